//! peer-confirmed and suspicion-expires, and what tables of members disagree on.

use std::collections::BTreeMap;

use hyperscale_core::config::MembershipConfig;
use hyperscale_core::ids::{BootId, NodeId};
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::membership::{Membership, Standing};
use hyperscale_core::wire::version::VERSION;

use super::{Oracle, Seen, View, Wants, broken};
use crate::case::{host_of, node_id};
use crate::layout::Role;

/// A clock that stands still is read as a nanosecond later, step by step.
const SLACK_NS: u64 = 1_000_000;

/// A peer from which nothing ever arrived is neither suspected nor dead.
#[derive(Debug, Default)]
pub(super) struct PeerConfirmed {
    /// By host: from whom something arrived in its life.
    heard: Vec<Vec<bool>>,
    /// By host: how many it had for dead.
    dead: Vec<usize>,
    judged: u64,
}

impl PeerConfirmed {
    fn judge(&mut self, view: &View<'_>, host: u16) -> Result<(), Violation> {
        let Some(members) = membership(view, host) else { return Ok(()) };
        self.judged += u64::from(members.count(Standing::Unconfirmed) > 0);
        let heard = self.heard.get(usize::from(host));
        let is_heard = |node: NodeId| {
            let row = heard.and_then(|row| row.get(usize::from(host_of(node))));
            row.copied().unwrap_or(false)
        };
        if let Some(held) = members.suspicions().find(|held| !is_heard(held.node)) {
            return broken(self.inv(), format!("host {host} suspects {held:?}, never reached"));
        }
        let dead = members.count(Standing::Dead);
        self.dead.resize(view.hosts.len(), 0);
        if std::mem::replace(&mut self.dead[usize::from(host)], dead) != dead {
            let mut gone = members.members().filter(|member| member.standing == Standing::Dead);
            if let Some(member) = gone.find(|member| !is_heard(member.node)) {
                return broken(self.inv(), format!("host {host} has {member:?}, never reached"));
            }
        }
        Ok(())
    }
}

impl Oracle for PeerConfirmed {
    fn inv(&self) -> Inv {
        Inv::PeerConfirmed
    }
    fn wants(&self) -> Wants {
        Wants::STEPPED.and(Wants::LIVES).and(Wants::RECEIVED)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Booted { host, .. } => {
                self.heard.resize(view.hosts.len(), Vec::new());
                self.heard[usize::from(*host)].clear();
                Ok(())
            }
            Seen::Received { host, from } => {
                let (host, from) = (usize::from(*host), usize::from(*from));
                self.heard.resize(view.hosts.len().max(host + 1), Vec::new());
                let row = &mut self.heard[host];
                if row.len() <= from {
                    row.resize(view.hosts.len().max(from + 1), false);
                }
                row[from] = true;
                Ok(())
            }
            Seen::Stepped { host } => self.judge(view, *host),
            _ => Ok(()),
        }
    }
}

type Suspected = (NodeId, BootId, u64);

/// A suspicion ends within its configured longest span, and its end is never put off.
#[derive(Debug, Default)]
pub(super) struct SuspicionExpires {
    /// By host: when each suspicion began and when it ends, on the host's clock.
    held: Vec<BTreeMap<Suspected, (u64, u64)>>,
    judged: u64,
}

impl SuspicionExpires {
    fn judge(&mut self, view: &View<'_>, host: u16) -> Result<(), Violation> {
        let Some(members) = membership(view, host) else { return Ok(()) };
        self.held.resize(view.hosts.len(), BTreeMap::new());
        let earlier = &mut self.held[usize::from(host)];
        if earlier.is_empty() && members.suspicions().next().is_none() {
            return Ok(());
        }
        let now = view.hosts[usize::from(host)].local(view.now).as_nanos();
        let max = config(view, host).suspicion_max.as_nanos() as u64 + SLACK_NS;
        let mut current = BTreeMap::new();
        for held in members.suspicions() {
            let key = (held.node, held.boot, held.incarnation);
            let deadline = held.deadline.as_nanos();
            let (since, before) = earlier.get(&key).copied().unwrap_or((now, deadline));
            if deadline > before || deadline > since + max || now > since + max {
                let detail = format!(
                    "host {host} suspects {} since {since}, at {now} until {deadline}, before \
                     until {before}",
                    held.node
                );
                return broken(Inv::SuspicionExpires, detail);
            }
            current.insert(key, (since, deadline));
        }
        self.judged += earlier.keys().filter(|key| !current.contains_key(key)).count() as u64;
        *earlier = current;
        Ok(())
    }
}

impl Oracle for SuspicionExpires {
    fn inv(&self) -> Inv {
        Inv::SuspicionExpires
    }
    fn wants(&self) -> Wants {
        Wants::STEPPED.and(Wants::LIVES)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Booted { host, .. } => {
                self.held.resize(view.hosts.len(), BTreeMap::new());
                self.held[usize::from(*host)].clear();
                Ok(())
            }
            Seen::Stepped { host } => self.judge(view, *host),
            _ => Ok(()),
        }
    }
}

/// Who among the living is not seen as living by a member of its table, or the other way round, in
/// words.
pub fn astray(view: &View<'_>) -> Option<String> {
    let hosts = 0..view.case.hosts();
    // A process of an older minor does not speak to members.
    let speaks = |host: &u16| view.hosts[usize::from(*host)].minor >= VERSION.minor;
    let hosts = hosts.filter(speaks);
    hosts.clone().find_map(|host| {
        let members = membership(view, host)?;
        hosts.clone().filter(|peer| *peer != host).find_map(|peer| {
            let standing = members.standing(node_id(peer))?;
            let place = &view.hosts[usize::from(peer)];
            let is_wrong = match membership(view, peer) {
                Some(own) if own.me().standing == Standing::Left => false,
                Some(_) => {
                    matches!(standing, Standing::Suspect | Standing::Dead | Standing::Left)
                }
                None => place.is_gone && standing == Standing::Alive,
            };
            let lives = if place.node.is_some() { "lives" } else { "is gone" };
            is_wrong.then(|| format!("{host} has {peer} as {}, which {lives}", standing.name()))
        })
    })
}

fn membership<'a>(view: &View<'a>, host: u16) -> Option<&'a Membership> {
    Some(view.hosts.get(usize::from(host))?.node.as_ref()?.membership())
}

fn config(view: &View<'_>, host: u16) -> MembershipConfig {
    match view.case.layout.role(host) {
        Role::Gate => view.case.gate.membership,
        Role::Manager(_) | Role::Worker(_) => view.case.manager.membership,
    }
}
