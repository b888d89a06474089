//! Ledgers: every member's equals the fold of the chosen entries, each submission applied once; and
//! when faults have stopped the members of a group come to agree.
//!
//! The fold is made here with the ledger's own `apply`, over entries that the annals chose. It says
//! nothing about whether `apply` is right, only that every member applied the same.

use std::collections::{BTreeMap, BTreeSet};

use hyperscale_core::consensus::{Entry, Origin};
use hyperscale_core::digest;
use hyperscale_core::gate::GateLedger;
use hyperscale_core::ids::LogIndex;
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::journal::Record;
use hyperscale_core::manager::ManagerLedger;

use super::{Oracle, Seen, View, Wants, astray, broken};
use crate::layout::Group;

/// A comparison of whole ledgers is made at one in so many applications of a member.
const RARELY: u64 = 29;

#[derive(Clone, Debug)]
enum Ledger {
    Gates(Box<GateLedger>),
    Managers(Box<ManagerLedger>),
}

impl Ledger {
    fn of(group: Group) -> Self {
        match group.datacenter() {
            None => Self::Gates(Box::default()),
            Some(_) => Self::Managers(Box::default()),
        }
    }

    fn apply(&mut self, record: &Record) {
        match (self, record) {
            (Self::Gates(ledger), Record::Gate(entry)) => {
                if let Some(command) = entry.command() {
                    let _ = ledger.apply(entry.index, command);
                }
            }
            (Self::Managers(ledger), Record::Manager(entry)) => {
                if let Some(command) = entry.command() {
                    let _ = ledger.apply(entry.index, command);
                }
            }
            _ => {}
        }
    }

    fn digest(&self) -> u64 {
        match self {
            Self::Gates(ledger) => digest::of(&**ledger),
            Self::Managers(ledger) => digest::of(&**ledger),
        }
    }
}

/// The fold of one group's log.
#[derive(Clone, Debug)]
struct Fold {
    ledger: Ledger,
    /// The same with repeated submissions applied again, once there is one.
    repeated: Option<Ledger>,
    seen: BTreeSet<Origin>,
    index: LogIndex,
    /// Digests at entries where some were compared.
    digests: BTreeMap<LogIndex, u64>,
}

fn origin_of(record: &Record) -> Option<Origin> {
    fn of<C>(entry: &Entry<C>) -> Option<Origin> {
        entry.origin
    }
    match record {
        Record::Gate(entry) => of(entry),
        Record::Manager(entry) => of(entry),
        _ => None,
    }
}

impl Fold {
    fn new(group: Group) -> Self {
        Self {
            ledger: Ledger::of(group),
            repeated: None,
            seen: BTreeSet::new(),
            index: LogIndex::new(0),
            digests: BTreeMap::new(),
        }
    }

    /// Applies a chosen entry; true if its submission was applied before.
    fn take(&mut self, index: LogIndex, record: &Record) -> bool {
        self.index = index;
        let is_new = origin_of(record).is_none_or(|origin| self.seen.insert(origin));
        if !is_new {
            self.repeated.get_or_insert_with(|| self.ledger.clone());
        }
        if let Some(repeated) = &mut self.repeated {
            repeated.apply(record);
        }
        if is_new {
            self.ledger.apply(record);
        }
        !is_new
    }
}

/// Members that have applied the same entry hold equal ledgers.
#[derive(Debug, Default)]
pub(super) struct LedgerEqual {
    folds: BTreeMap<Group, Fold>,
    applied: u64,
    judged: u64,
}

impl Oracle for LedgerEqual {
    fn inv(&self) -> Inv {
        Inv::LedgerEqual
    }
    fn wants(&self) -> Wants {
        Wants::COMMITTED.and(Wants::APPLIED).and(Wants::OVER)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Committed { group, chosen } => {
                let fold = self.folds.entry(*group).or_insert_with(|| Fold::new(*group));
                fold.take(chosen.index, &chosen.record);
                Ok(())
            }
            Seen::Applied { host, .. } => {
                self.applied += 1;
                if self.applied.is_multiple_of(RARELY) { self.compare(view, *host) } else { Ok(()) }
            }
            Seen::Over => (0..view.case.hosts()).try_for_each(|host| self.compare(view, host)),
            _ => Ok(()),
        }
    }
}

impl LedgerEqual {
    fn compare(&mut self, view: &View<'_>, host: u16) -> Result<(), Violation> {
        let group = view.case.layout.group_of(host);
        let Some(fold) = group.and_then(|group| self.folds.get_mut(&group)) else { return Ok(()) };
        let Some(node) = view.hosts[usize::from(host)].node.as_ref() else { return Ok(()) };
        let (index, digest) = node.ledger_digest();
        if index == fold.index {
            fold.digests.entry(index).or_insert_with(|| fold.ledger.digest());
        }
        // Nothing is known of a ledger that is behind, unless another was compared there.
        let known = *fold.digests.entry(index).or_insert(digest);
        self.judged += 1;
        if known == digest {
            return Ok(());
        }
        let repeated = fold.repeated.as_ref().filter(|_| index == fold.index).map(Ledger::digest);
        let what = format!("{group:?}: the ledger of {host} at {index:?} is not that of the log");
        match repeated == Some(digest) {
            true => broken(Inv::ForwardOnce, format!("{what}, with a submission applied twice")),
            false => broken(Inv::LedgerEqual, what),
        }
    }
}

/// A submission that is in a log twice is applied once: the ledgers tell (see [`LedgerEqual`]);
/// here both copies must say the same.
#[derive(Debug, Default)]
pub(super) struct ForwardOnce {
    said: BTreeMap<(Group, Origin), u64>,
    judged: u64,
}

impl Oracle for ForwardOnce {
    fn inv(&self) -> Inv {
        Inv::ForwardOnce
    }
    fn wants(&self) -> Wants {
        Wants::COMMITTED
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, _: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        let Seen::Committed { group, chosen } = seen else { return Ok(()) };
        let Some(origin) = origin_of(&chosen.record) else { return Ok(()) };
        let said = match &chosen.record {
            Record::Gate(entry) => digest::of(&entry.payload),
            Record::Manager(entry) => digest::of(&entry.payload),
            _ => return Ok(()),
        };
        self.judged += 1;
        let first = *self.said.entry((*group, origin)).or_insert(said);
        if first != said {
            return broken(self.inv(), format!("{group:?}: {origin:?} says two things"));
        }
        Ok(())
    }
}

/// When faults have stopped, every group has one leader that all its members know, all have applied
/// the same, and members take those for living that live.
#[derive(Debug, Default)]
pub(super) struct Converge {
    judged: u64,
}

impl Oracle for Converge {
    fn inv(&self) -> Inv {
        Inv::Converge
    }
    fn wants(&self) -> Wants {
        Wants::LOOKED.and(Wants::OVER)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        if !view.is_calm {
            return Ok(());
        }
        let since = view.now.saturating_sub(view.case.calm_from);
        let is_due = since > view.case.members_bound() || matches!(seen, Seen::Over);
        if let Some(what) = is_due.then(|| astray(view)).flatten() {
            return broken(self.inv(), what);
        }
        let late = since > view.case.agreement_bound();
        match (disagreement(view), seen) {
            (Some(what), _) if late || matches!(seen, Seen::Over) => broken(self.inv(), what),
            (None, Seen::Over) => {
                self.judged += 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// What the living members of some group do not agree on, in words.
pub fn disagreement(view: &View<'_>) -> Option<String> {
    view.case.layout.groups().find_map(|group| disagreement_in(view, group))
}

fn disagreement_in(view: &View<'_>, group: Group) -> Option<String> {
    let members = view.case.layout.members(group);
    let nodes = members.filter_map(|host| {
        let node = view.hosts[usize::from(host)].node.as_ref()?;
        Some((host, node.group()?))
    });
    let nodes: Vec<_> = nodes.collect();
    let leaders: Vec<_> = nodes.iter().filter(|(_, own)| own.leads).collect();
    let [(_, leader)] = leaders.as_slice() else {
        return Some(format!("{group:?} has {} leaders", leaders.len()));
    };
    let astray = nodes.iter().find(|(_, own)| {
        let knows = own.leader == Some(leader.me.node) && own.term == leader.term;
        !knows || own.members != leader.members
    });
    astray.map(|(host, own)| format!("{group:?}: {leader:?} leads, {host} has {own:?}"))
}
