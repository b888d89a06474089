//! Elections and identity, by what disks recorded: one leader per term, with the ballots of a
//! majority of the voters that its log names; one vote per disk and term; a disk belongs to one
//! node, and a node with an empty disk is nobody that it was before.

use std::collections::{BTreeMap, BTreeSet};

use hyperscale_core::consensus::{self, Body, Member};
use hyperscale_core::effect::Effect;
use hyperscale_core::ids::{DiskId, GroupId, Lsn, Term};
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::journal::Record;
use hyperscale_core::wire::Message;

use super::{Oracle, Seen, View, Wants, broken};
use crate::annals::Ballot;
use crate::case::host_of;
use crate::layout::Group;

/// At most one node leads a group in a term, and a majority of the voters of its log has recorded
/// durably that it votes for it.
#[derive(Debug, Default)]
pub(super) struct LeaderPerTerm {
    leaders: BTreeMap<(Group, Term), DiskId>,
    judged: u64,
}

impl Oracle for LeaderPerTerm {
    fn inv(&self) -> Inv {
        Inv::LeaderPerTerm
    }
    fn wants(&self) -> Wants {
        Wants::STEPPED
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        let Seen::Stepped { host } = seen else { return Ok(()) };
        let Some(group) = view.case.layout.group_of(*host) else { return Ok(()) };
        let node = view.hosts[usize::from(*host)].node.as_ref();
        let Some(own) = node.and_then(|node| node.group()).filter(|own| own.leads) else {
            return Ok(());
        };
        let leader = self.leaders.entry((group, own.term)).or_insert(DiskId::new(0));
        if *leader == own.me.disk {
            return Ok(());
        }
        if leader.get() > 0 {
            let what = format!("{group:?}: {leader:?} and {:?} lead {:?}", own.me, own.term);
            return broken(self.inv(), what);
        }
        *leader = own.me.disk;
        let voters = view.annals.electors(*host, group, own.term).voters;
        let votes = voters.iter().filter(|voter| voted(view, voter, own.term, own.me.disk));
        let votes = votes.count();
        self.judged += u64::from(voters.len() > 1);
        if votes <= voters.len() / 2 {
            return broken(
                self.inv(),
                format!(
                    "{group:?}: {:?} leads {:?} by {votes} votes of {}",
                    own.me,
                    own.term,
                    voters.len()
                ),
            );
        }
        Ok(())
    }
}

/// Whether this disk holds durably that it votes so, or did when it was replaced.
fn voted(view: &View<'_>, voter: &Member, term: Term, whom: DiskId) -> bool {
    let place = host_of(voter.node);
    let Some(host) = view.hosts.get(usize::from(place)) else { return false };
    let is_so = |ballot: &Ballot| ballot.term == term && ballot.vote == Some(whom);
    if host.disk.identity.disk != voter.disk.get() {
        return view.annals.retired(voter.disk).iter().any(is_so);
    }
    let ballots = view.annals.ballots(place).iter();
    ballots.filter(|ballot| ballot.lsn <= host.durable()).any(is_so)
}

/// No disk records two votes in a term, across crashes.
#[derive(Debug, Default)]
pub(super) struct VoteDurable {
    votes: BTreeMap<(DiskId, Term), (DiskId, Lsn)>,
    judged: u64,
}

impl Oracle for VoteDurable {
    fn inv(&self) -> Inv {
        Inv::VoteDurable
    }
    fn wants(&self) -> Wants {
        Wants::APPENDED.and(Wants::LIVES).and(Wants::LEFT)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Appended { host, lsn, record: Record::Ballot { term, vote: Some(vote) } } => {
                let disk = DiskId::new(view.hosts[usize::from(*host)].disk.identity.disk);
                self.judged += u64::from(*vote != disk);
                let (before, _) = *self.votes.entry((disk, *term)).or_insert((*vote, *lsn));
                if before != *vote {
                    let what = format!("{disk:?} votes for {before:?} and {vote:?} in {term:?}");
                    return broken(self.inv(), what);
                }
            }
            Seen::Left { host, effect: Effect::Send { msg, .. } } => {
                let promised = match &**msg {
                    Message::Gates(msg) => promise(msg),
                    Message::Managers(msg) => promise(msg),
                    _ => None,
                };
                let Some((term, whom)) = promised else { return Ok(()) };
                self.judged += 1;
                let durable = view.hosts[usize::from(*host)].durable();
                let holds = view.annals.ballots(*host).iter().any(|ballot| {
                    ballot.lsn <= durable && ballot.term == term && ballot.vote == Some(whom)
                });
                if !holds {
                    let what = format!("{host} votes for {whom:?} in {term:?}, not durably");
                    return broken(self.inv(), what);
                }
            }
            Seen::Booted { host, last } => {
                let disk = DiskId::new(view.hosts[usize::from(*host)].disk.identity.disk);
                self.votes.retain(|(of, _), (_, lsn)| *of != disk || *lsn <= *last);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Who speaks in a group is the disk in the speaker's machine, and a group is formed once.
#[derive(Debug, Default)]
pub(super) struct IdentityOnce {
    formed: BTreeMap<Group, GroupId>,
    judged: u64,
}

impl Oracle for IdentityOnce {
    fn inv(&self) -> Inv {
        Inv::IdentityOnce
    }
    fn wants(&self) -> Wants {
        Wants::STEPPED.and(Wants::LEFT)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Left { host, effect: Effect::Send { msg, .. } } => {
                let Some(from) = speaker(msg) else { return Ok(()) };
                let own = &view.hosts[usize::from(*host)];
                self.judged += u64::from(own.disks > 1);
                if host_of(from.node) != *host || from.disk.get() != own.disk.identity.disk {
                    return broken(self.inv(), format!("host {host} speaks as {from:?}"));
                }
            }
            Seen::Stepped { host } => {
                let Some(group) = view.case.layout.group_of(*host) else { return Ok(()) };
                let node = view.hosts[usize::from(*host)].node.as_ref();
                let id = node.and_then(|node| node.group()).map(|own| own.group);
                let Some(id) = id.filter(|id| id.get() > 0) else { return Ok(()) };
                let first = *self.formed.entry(group).or_insert(id);
                let other = self.formed.iter().find(|(of, known)| **of != group && **known == id);
                if first != id || other.is_some() {
                    return broken(self.inv(), format!("{group:?} is {first:?} and {id:?}"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// A disk that came in the place of another votes and stands only once a chosen or appended change
/// names it.
#[derive(Debug, Default)]
pub(super) struct WipedNeverVotes {
    wiped: BTreeSet<u16>,
    judged: u64,
}

impl Oracle for WipedNeverVotes {
    fn inv(&self) -> Inv {
        Inv::WipedNeverVotes
    }
    fn wants(&self) -> Wants {
        Wants::APPENDED.and(Wants::LIVES)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Wiped { host } => {
                self.wiped.insert(*host);
                self.judged += 1;
            }
            Seen::Appended { host, record: Record::Ballot { vote: Some(vote), .. }, .. }
                if self.wiped.contains(host) =>
            {
                let Some(group) = view.case.layout.group_of(*host) else { return Ok(()) };
                let disk = DiskId::new(view.hosts[usize::from(*host)].disk.identity.disk);
                if !view.annals.was_voter(group, disk) {
                    let what = format!("{disk:?} votes for {vote:?} and no change names it");
                    return broken(self.inv(), what);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// The vote that a message gives, or rests on.
fn promise<C>(msg: &consensus::Message<C>) -> Option<(Term, DiskId)> {
    match msg.body {
        Body::Voted { granted: true } => Some((msg.term, msg.to)),
        Body::Vote { .. } => Some((msg.term, msg.from.disk)),
        _ => None,
    }
}

fn speaker(msg: &Message) -> Option<Member> {
    match msg {
        Message::Gates(msg) => Some(msg.from),
        Message::Managers(msg) => Some(msg.from),
        _ => None,
    }
}
