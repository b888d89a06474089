//! `cluster init`, `join`, `replace` and `show`: the state directory of one gate or manager,
//! offline.

use std::path::{Path, PathBuf};

use hyperscale_core::ids::{ClusterId, DiskId, NodeId};
use hyperscale_runtime::config::{self, VoterFile};
use hyperscale_runtime::formation::{self, Founded, Founding, Standing};
use hyperscale_runtime::store::Owner;
use hyperscale_runtime::transport::RoleName;

use crate::args::Formation;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;

/// What a file says of its node.
struct Subject {
    owner: Owner,
    dir: PathBuf,
    has_peers: bool,
}

/// Does what is asked.
///
/// # Errors
/// Exit 104; nothing was changed unless the message says so.
pub(crate) fn perform(action: &Formation) -> Result<Exit, Failure> {
    let lines = match action {
        Formation::Init { config } => founded(config, Founding::Init)?,
        Formation::Join { config } => founded(config, Founding::Join)?,
        Formation::Replace { config, disk } => founded(config, Founding::Replace(*disk))?,
        Formation::Show { config } => shown(&subject(config)?)?,
    };
    for line in lines {
        output::line(&line);
    }
    Ok(Exit::Ok)
}

fn subject(config: &Path) -> Result<Subject, Failure> {
    let (cluster, role, node, dir, has_peers) = match config::read_voter(config).map_err(invalid)? {
        VoterFile::Gate(file) => {
            let has_peers = !file.dials().is_empty();
            (file.cluster, RoleName::Gate, file.node, file.state_dir, has_peers)
        }
        VoterFile::Manager(file) => {
            let has_peers = !file.dials().is_empty();
            (file.cluster, RoleName::Manager, file.node, file.state_dir, has_peers)
        }
    };
    let owner = Owner { cluster: ClusterId::new(cluster), role, node: NodeId::new(node) };
    Ok(Subject { owner, dir, has_peers })
}

fn founded(config: &Path, how: Founding) -> Result<Vec<String>, Failure> {
    let Subject { owner, dir, has_peers } = subject(config)?;
    if how != Founding::Init && !has_peers {
        let message = format!("{}: no peers to join are configured", config.display());
        return Err(invalid(message));
    }
    let Founded { disk, group } = formation::found(&dir, owner, how).map_err(invalid)?;
    let mut lines = vec![format!("{}: {owner}, disk {disk}", dir.display())];
    lines.push(match (how, group) {
        (Founding::Init, Some(group)) => format!("founded group {group} with this node alone"),
        (Founding::Replace(lost), _) => format!("joins in the place of disk {lost} once started"),
        (Founding::Init | Founding::Join, _) => "joins its peers once started".to_owned(),
    });
    Ok(lines)
}

fn shown(subject: &Subject) -> Result<Vec<String>, Failure> {
    let Subject { owner, dir, .. } = subject;
    let Some(standing) = formation::standing(dir, *owner).map_err(invalid)? else {
        return Err(invalid(format!("{} holds no state of {owner}", dir.display())));
    };
    let Standing { disk, running, group, joins, term, vote, membership, last } = standing;
    let running = if running { ", running" } else { "" };
    let mut lines = vec![format!("{}: {owner}, disk {disk}{running}", dir.display())];
    match (group, joins) {
        (Some(group), _) => lines.push(format!("group       {group}")),
        (None, Some(Some(lost))) => lines.push(format!("joining in the place of disk {lost}")),
        (None, _) => lines.push("joining".to_owned()),
    }
    lines.push(format!("term        {term}, voted for {}", named(vote)));
    lines.push(format!("last entry  {last}"));
    let voters = membership.voters.iter().map(|member| ("voter", member));
    let learners = membership.learners.iter().map(|member| ("learner", member));
    for (kind, member) in voters.chain(learners) {
        lines.push(format!("{kind:<11} {}, disk {}", member.node, member.disk));
    }
    Ok(lines)
}

fn named(disk: Option<DiskId>) -> String {
    disk.map_or("nobody".to_owned(), |disk| format!("disk {disk}"))
}

fn invalid(message: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Invalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dir: &Path, peers: &str) -> PathBuf {
        let path = dir.join("manager.toml");
        let text = format!(
            "cluster = 1\nnode = 2\ndatacenter = \"dc\"\nlisten = \"127.0.0.1:1\"\n\
             state_dir = {:?}\n{peers}",
            dir.join("state")
        );
        std::fs::write(&path, text).expect("written");
        path
    }

    const PEERS: &str = "peers = [{node = 2, addr = \"a:1\"}, {node = 3, addr = \"b:1\"}]\n";

    fn show(config: &Path) -> Vec<String> {
        shown(&subject(config).expect("valid")).expect("shown")
    }

    #[test]
    fn init_founds_once_and_show_tells() {
        let dir = tempfile::tempdir().expect("a folder");
        let config = file(dir.path(), PEERS);
        let failure = perform(&Formation::Show { config: config.clone() }).expect_err("empty");
        assert!(failure.message.contains("holds no state of manager n2 of cluster c1"));
        let lines = founded(&config, Founding::Init).expect("founded");
        assert!(lines[0].contains("manager n2 of cluster c1, disk d"), "{lines:?}");
        assert!(lines[1].starts_with("founded group g"), "{lines:?}");
        let again = founded(&config, Founding::Init).expect_err("twice");
        assert_eq!(again.exit, Exit::Invalid);
        assert!(again.message.contains("not empty"), "{again}");
        let shown = show(&config);
        assert_eq!(shown[0], lines[0]);
        assert!(shown[1].starts_with("group       g"), "{shown:?}");
        assert_eq!(shown[2..4], ["term        t0, voted for nobody", "last entry  i0"]);
        assert!(shown[4].starts_with("voter       n2, disk d"), "{shown:?}");
    }

    #[test]
    fn joining_needs_peers_and_says_whose_place_is_taken() {
        let dir = tempfile::tempdir().expect("a folder");
        let alone = founded(&file(dir.path(), ""), Founding::Join).expect_err("nobody");
        assert!(alone.message.contains("no peers"), "{alone}");
        let config = file(dir.path(), PEERS);
        let lines = founded(&config, Founding::Replace(DiskId::new(7))).expect("written");
        assert_eq!(lines[1], "joins in the place of disk d7 once started");
        assert_eq!(show(&config)[1], "joining in the place of disk d7");
    }

    #[test]
    fn a_worker_has_nothing_to_found() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("worker.toml");
        std::fs::write(&path, "cluster = 1\nnode = 2\nmanagers = []\n").expect("written");
        let failure = founded(&path, Founding::Init).expect_err("stateless");
        assert!(failure.message.contains("not the file of a gate or a manager"), "{failure}");
    }
}
