//! Ground truth of replicated logs: what every disk holds of its group's log and ballots, and which
//! entries are chosen.
//!
//! An entry counts as chosen when a member first acts on it as committed; that is the leader, which
//! decides it. At that moment a majority of the voters that its own log names must hold the entry
//! durably, whatever it believes (quorum-configured); whoever acts on the place later must hold the
//! same entry (log-matching). Nothing here is told to a node.

use std::collections::BTreeMap;

use hyperscale_core::consensus::{Entry, Member, Membership, Payload};
use hyperscale_core::digest;
use hyperscale_core::ids::{DiskId, LogIndex, Lsn, Term};
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::journal::Record;

use crate::layout::{Group, Layout};

/// A chosen entry.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// Its place.
    pub index: LogIndex,
    /// The term it was proposed in.
    pub term: Term,
    /// When it was first appended anywhere, true time.
    pub appended: u64,
    /// What it holds.
    pub record: Record,
}

/// A line of a disk's copy of the log.
#[derive(Clone, Copy, Debug)]
struct Line {
    lsn: Lsn,
    index: LogIndex,
    term: Term,
    /// It is the end of a snapshot that took the place of the log.
    is_snapshot: bool,
}

/// A ballot that a disk recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ballot {
    /// The record.
    pub lsn: Lsn,
    /// The term.
    pub term: Term,
    /// Whom it is for.
    pub vote: Option<DiskId>,
}

#[derive(Clone, Debug)]
struct Proposal {
    digest: u64,
    appended: u64,
    record: Record,
}

#[derive(Clone, Debug, Default)]
struct History {
    /// The terms and digests of chosen entries, the first at 0.
    chosen: Vec<(Term, u64)>,
    /// Entries that some disk holds beyond those.
    open: BTreeMap<(LogIndex, Term), Proposal>,
    /// Who is in the group from which entry on; the founders at 0.
    members: BTreeMap<(LogIndex, Term), Membership>,
}

#[derive(Clone, Debug, Default)]
struct Copy {
    lines: Vec<Line>,
    ballots: Vec<Ballot>,
}

impl History {
    fn is_chosen(&self, index: LogIndex, term: Term) -> bool {
        let chosen = place(index).and_then(|at| self.chosen.get(at));
        chosen.is_some_and(|(chosen, _)| *chosen == term)
    }
}

impl Copy {
    /// Only records up to `last` are there.
    fn cut(&mut self, last: Lsn) {
        self.lines.retain(|line| line.lsn <= last);
        self.ballots.retain(|ballot| ballot.lsn <= last);
    }

    /// The newest line that is at or before `index` decides: an entry truncates everything from its
    /// place on, and a snapshot everything.
    fn line(&self, index: LogIndex, durable: Lsn) -> Option<&Line> {
        let mut lines = self.lines.iter().rev().filter(|line| line.lsn <= durable);
        let line = lines.find(|line| line.index <= index || line.is_snapshot)?;
        (line.index == index).then_some(line)
    }
}

/// Every group's log and every disk's copy of it.
#[derive(Clone, Debug)]
pub struct Annals {
    layout: Layout,
    groups: Vec<History>,
    disks: Vec<Copy>,
    /// Changes of members that were proposed and are not judged yet.
    changes: Vec<(Group, LogIndex, Term)>,
    /// Disks that were replaced, as far as they were durable: what they acknowledged and voted
    /// before counts as it did.
    retired: BTreeMap<DiskId, Copy>,
    /// How often a majority of several was counted.
    pub counted: u64,
    /// How often a place was compared with what was chosen there.
    pub compared: u64,
}

/// Beyond every record.
const LATEST: Lsn = Lsn::new(u64::MAX);

/// Where an entry stands, and the members it names.
fn entry_of(record: &Record) -> Option<(Term, LogIndex, Option<&Membership>)> {
    fn of<C>(entry: &Entry<C>) -> (Term, LogIndex, Option<&Membership>) {
        let members = match &entry.payload {
            Payload::Membership(members) => Some(members),
            Payload::Opened | Payload::Command(_) => None,
        };
        (entry.term, entry.index, members)
    }
    match record {
        Record::Gate(entry) => Some(of(entry)),
        Record::Manager(entry) => Some(of(entry)),
        _ => None,
    }
}

/// The term and place of the last entry of a snapshot from a leader, if the record completes one.
pub fn installs(record: &Record) -> Option<(Term, LogIndex)> {
    let Record::Chunk(chunk) = record else { return None };
    let is_last = chunk.offset + chunk.bytes.len() as u64 == chunk.total;
    is_last.then_some((chunk.at.term, chunk.at.index))
}

impl Annals {
    /// Empty logs.
    pub fn new(layout: Layout) -> Self {
        Self {
            layout,
            groups: vec![History::default(); layout.groups().count()],
            disks: vec![Copy::default(); usize::from(layout.hosts())],
            changes: Vec::new(),
            retired: BTreeMap::new(),
            counted: 0,
            compared: 0,
        }
    }

    /// A node appends a record.
    ///
    /// # Errors
    /// When another entry of the same term stands at the same place somewhere.
    pub fn on_append(
        &mut self,
        now: u64,
        host: u16,
        lsn: Lsn,
        record: &Record,
    ) -> Result<(), Violation> {
        let Some(group) = self.layout.group_of(host) else { return Ok(()) };
        let history = &mut self.groups[usize::from(group.0)];
        let disk = &mut self.disks[usize::from(host)];
        if let Record::Formed { membership, .. } = record {
            history.members.insert(Default::default(), membership.clone());
        }
        if let Record::Ballot { term, vote } = record {
            disk.ballots.push(Ballot { lsn, term: *term, vote: *vote });
        }
        if let Some((term, index)) = installs(record) {
            self.on_installed(host, lsn, index, term);
            return Ok(());
        }
        let Some((term, index, members)) = entry_of(record) else { return Ok(()) };
        disk.lines.push(Line { lsn, index, term, is_snapshot: false });
        if let Some(members) = members {
            history.members.insert((index, term), members.clone());
        }
        let digest = digest::of(record);
        let known = match place(index).and_then(|at| history.chosen.get(at)) {
            Some((chosen, known)) if *chosen == term => Some(*known),
            // A member that was cut off holds an entry that lost.
            Some(_) => return Ok(()),
            None => history.open.get(&(index, term)).map(|proposal| proposal.digest),
        };
        match known {
            Some(known) if known != digest => Err(Violation::new(
                Inv::LogMatching,
                format!("{group:?}: two entries {index:?} of {term:?}, one appended by {host}"),
            )),
            Some(_) => Ok(()),
            None => {
                if members.is_some() {
                    self.changes.push((group, index, term));
                }
                let proposal = Proposal { digest, appended: now, record: record.clone() };
                history.open.insert((index, term), proposal);
                Ok(())
            }
        }
    }

    /// Judges the changes of members that a step proposed, once what it acts on is chosen.
    ///
    /// # Errors
    /// When no entry of the proposing leader's own term was chosen before.
    pub fn judge_changes(&mut self) -> Result<(), Violation> {
        for (group, index, term) in std::mem::take(&mut self.changes) {
            let chosen = &self.groups[usize::from(group.0)].chosen;
            let mut newest = chosen.iter().rev().take_while(|(chosen, _)| *chosen >= term);
            if !newest.any(|(chosen, _)| *chosen == term) {
                let detail = format!(
                    "{group:?}: {index:?} changes the members before anything of {term:?} is chosen"
                );
                return Err(Violation::new(Inv::QuorumConfigured, detail));
            }
        }
        Ok(())
    }
    /// A record completes a snapshot up to this entry, which takes the place of a node's log.
    pub fn on_installed(&mut self, host: u16, lsn: Lsn, index: LogIndex, term: Term) {
        let line = Line { lsn, index, term, is_snapshot: true };
        self.disks[usize::from(host)].lines.push(line);
    }

    /// A process starts; its disk holds records up to `last`.
    pub fn on_booted(&mut self, host: u16, last: Lsn) {
        let disk = &mut self.disks[usize::from(host)];
        let lost: Vec<Line> = disk.lines.iter().filter(|line| line.lsn > last).copied().collect();
        disk.cut(last);
        let Some(group) = self.layout.group_of(host) else { return };
        // What was lost before any other disk held it was never there: with the ballot of its term
        // lost too, the place and term may be used again.
        for line in lost {
            let same = |kept: &Line| kept.index == line.index && kept.term == line.term;
            let mut disks = self.disks.iter().chain(self.retired.values());
            if !disks.any(|disk| disk.lines.iter().any(same)) {
                let history = &mut self.groups[usize::from(group.0)];
                history.open.remove(&(line.index, line.term));
                if !history.is_chosen(line.index, line.term) {
                    history.members.remove(&(line.index, line.term));
                }
            }
        }
    }

    /// A disk that was durable so far is replaced by an empty one.
    pub fn on_wiped(&mut self, host: u16, disk: DiskId, durable: Lsn) {
        let mut old = std::mem::take(&mut self.disks[usize::from(host)]);
        old.cut(durable);
        self.retired.insert(disk, old);
    }

    /// How far a group's log is chosen.
    pub fn chosen(&self, group: Group) -> LogIndex {
        LogIndex::new(self.groups[usize::from(group.0)].chosen.len() as u64)
    }

    /// The members of a group by the newest chosen entry that names some, else the founders.
    pub fn members(&self, group: Group) -> Membership {
        let history = &self.groups[usize::from(group.0)];
        let is_chosen =
            |(index, term): &(LogIndex, Term)| index.get() == 0 || history.is_chosen(*index, *term);
        let newest = history.members.iter().rev().find(|(place, _)| is_chosen(place));
        newest.map(|(_, members)| members.clone()).unwrap_or_default()
    }

    /// Whether some entry, chosen or not, or the founding names this disk a voter.
    pub fn was_voter(&self, group: Group, disk: DiskId) -> bool {
        self.groups[usize::from(group.0)].members.values().any(|members| members.is_voter(disk))
    }

    /// The ballots that a node's disk recorded, oldest first.
    pub fn ballots(&self, host: u16) -> &[Ballot] {
        &self.disks[usize::from(host)].ballots
    }

    /// The ballots of a disk that was replaced, all of them durable.
    pub fn retired(&self, disk: DiskId) -> &[Ballot] {
        self.retired.get(&disk).map_or(&[], |copy| &copy.ballots)
    }

    /// The next entry becomes chosen because `host` acts on it, in a step before which it had
    /// appended records up to `before`: a change of members that the step appends was not in force
    /// when it decided. `durable` is how far the disk of a member is, `None` if there is no such
    /// disk any more.
    ///
    /// # Errors
    /// When the node does not hold it, or no majority of the voters that it knows of does.
    pub fn choose(
        &mut self,
        host: u16,
        before: Lsn,
        durable: impl Fn(Member) -> Option<(u16, Lsn)>,
    ) -> Result<Option<Chosen>, Violation> {
        let Some(group) = self.layout.group_of(host) else { return Ok(None) };
        let index = self.chosen(group).next();
        let Some(term) = self.term_on(host, index) else {
            return Err(Violation::new(
                Inv::LogMatching,
                format!("{group:?}: {host} acts on {index:?} and does not hold it"),
            ));
        };
        let (holders, voters) = self.holders((host, before), (index, term), &durable);
        if holders <= voters / 2 {
            let detail = format!(
                "{group:?}: {host} acts on {index:?} of {term:?}, durable on {holders} of {voters}"
            );
            return Err(Violation::new(Inv::QuorumConfigured, detail));
        }
        self.counted += u64::from(voters > 1);
        // An entry of an earlier term is chosen with one of the deciding leader's term above it.
        let decides = self.ballots(host).last().map_or(term, |ballot| ballot.term);
        let above = self.first_of_term(host, index, decides);
        let held = above.map(|above| self.holders((host, before), (above, decides), &durable));
        if held.is_none_or(|(holders, voters)| holders <= voters / 2) {
            let detail = format!(
                "{group:?}: {host} acts on {index:?} of {term:?} and no majority has anything of \
                 {decides:?}"
            );
            return Err(Violation::new(Inv::LogMatching, detail));
        }
        let history = &mut self.groups[usize::from(group.0)];
        let Some(proposal) = history.open.remove(&(index, term)) else { return Ok(None) };
        history.chosen.push((term, proposal.digest));
        history.open.retain(|(open, _), _| *open > index);
        let Proposal { appended, record, .. } = proposal;
        Ok(Some(Chosen { index, term, appended, record }))
    }

    /// How many of the voters that `host` knows of hold an entry durably, and how many voters there
    /// are. A step may commit, change the members and commit again: of the majorities before and
    /// after it the one that is closer to being reached counts.
    fn holders(
        &self,
        (host, before): (u16, Lsn),
        (index, term): (LogIndex, Term),
        durable: &impl Fn(Member) -> Option<(u16, Lsn)>,
    ) -> (usize, usize) {
        let Some(group) = self.layout.group_of(host) else { return (0, 0) };
        let holds = |voter: &&Member| {
            let line = match durable(**voter) {
                Some((place, durable)) => self.line(place, index, durable),
                None => self.retired.get(&voter.disk).and_then(|disk| disk.line(index, LATEST)),
            };
            line.is_some_and(|line| line.term == term)
        };
        let counts = [before, LATEST].map(|upto| {
            let members = self.members_by(host, group, upto);
            (members.voters.iter().filter(holds).count(), members.voters.len())
        });
        let [first, then] = counts;
        if first.0 <= first.1 / 2 && then.0 > then.1 / 2 { then } else { first }
    }
    /// The first entry of a term at or above a place in what a node appended.
    fn first_of_term(&self, host: u16, from: LogIndex, term: Term) -> Option<LogIndex> {
        let mut at = from;
        while let Some(found) = self.term_on(host, at) {
            if found >= term {
                return (found == term).then_some(at);
            }
            at = at.next();
        }
        None
    }
    /// `host` acts on a place that is chosen.
    ///
    /// # Errors
    /// When it holds another entry there.
    pub fn compare(&mut self, host: u16, index: LogIndex) -> Result<(), Violation> {
        let Some(group) = self.layout.group_of(host) else { return Ok(()) };
        let held = self.term_on(host, index);
        let history = &self.groups[usize::from(group.0)];
        let chosen = place(index).and_then(|at| history.chosen.get(at)).map(|(term, _)| *term);
        self.compared += 1;
        // What a snapshot from the leader contains is on no line.
        if held.is_none() || held == chosen {
            return Ok(());
        }
        let detail = format!(
            "{group:?}: {host} acts on {index:?} of {held:?}, chosen is that of {chosen:?}"
        );
        Err(Violation::new(Inv::LogMatching, detail))
    }

    /// The members by the newest entry of a node's own log that names some, else the founders.
    pub fn members_on(&self, host: u16, group: Group) -> Membership {
        self.members_by(host, group, LATEST)
    }

    /// The members that a node's own log names before the first entry of a term: who elects.
    pub fn electors(&self, host: u16, group: Group, term: Term) -> Membership {
        let is_of_term = |line: &&Line| line.term == term;
        let first = self.disks[usize::from(host)].lines.iter().find(is_of_term);
        let before = first.map_or(u64::MAX, |line| line.lsn.get().saturating_sub(1));
        self.members_by(host, group, Lsn::new(before))
    }

    fn members_by(&self, host: u16, group: Group, upto: Lsn) -> Membership {
        let history = &self.groups[usize::from(group.0)];
        let members = history.members.iter().rev();
        let own = |(index, term): &(LogIndex, Term)| {
            let contained = self.is_contained(host, *index) && history.is_chosen(*index, *term);
            let held = || self.line(host, *index, upto).map(|line| line.term);
            index.get() == 0 || contained || held() == Some(*term)
        };
        let newest = members.into_iter().find(|(place, _)| own(place));
        newest.map(|(_, members)| members.clone()).unwrap_or_default()
    }

    /// The term of the entry that stands at `index` in what a node appended, durable or not.
    pub fn term_on(&self, host: u16, index: LogIndex) -> Option<Term> {
        self.line(host, index, LATEST).map(|line| line.term)
    }

    fn line(&self, host: u16, index: LogIndex, durable: Lsn) -> Option<&Line> {
        self.disks[usize::from(host)].line(index, durable)
    }

    /// Whether a snapshot that a node got stands for this entry.
    fn is_contained(&self, host: u16, index: LogIndex) -> bool {
        let mut lines = self.disks[usize::from(host)].lines.iter().rev();
        let line = lines.find(|line| line.index <= index || line.is_snapshot);
        line.is_some_and(|line| line.is_snapshot && line.index >= index)
    }
}

fn place(index: LogIndex) -> Option<usize> {
    index.get().checked_sub(1).map(|at| at as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyperscale_core::bounded::BoundedVec;
    use hyperscale_core::gate::GateCommand;
    use hyperscale_core::ids::{GroupId, JobId, NodeId};

    fn member(host: u64) -> Member {
        Member { node: NodeId::new(host + 1), disk: DiskId::new(host + 100) }
    }

    fn members(hosts: &[u64]) -> Membership {
        let voters: Vec<Member> = hosts.iter().map(|host| member(*host)).collect();
        let voters = BoundedVec::try_from(voters).unwrap_or_default();
        Membership { voters, ..Membership::default() }
    }

    fn entry(term: u64, index: u64, says: u64) -> Record {
        let before = JobId::new(says);
        let payload = Payload::Command(GateCommand::Forget { before });
        let (term, index) = (Term::new(term), LogIndex::new(index));
        Record::Gate(Entry { term, index, origin: None, payload })
    }

    /// Three gates, the first of which founded the group of all.
    fn annals() -> Annals {
        let mut annals = Annals::new(Layout::new(3, &[]));
        let formed = Record::Formed { group: GroupId::new(1), membership: members(&[0, 1, 2]) };
        annals.on_append(0, 0, Lsn::new(1), &formed).unwrap();
        annals
    }

    fn append(annals: &mut Annals, host: u16, lsn: u64, record: &Record) {
        annals.on_append(lsn, host, Lsn::new(lsn), record).unwrap();
    }

    /// Disks are durable up to these records.
    fn durable(lsns: [u64; 3]) -> impl Fn(Member) -> Option<(u16, Lsn)> {
        move |member| {
            let host = member.disk.get().checked_sub(100)?;
            Some((host as u16, Lsn::new(*lsns.get(host as usize)?)))
        }
    }

    #[test]
    fn an_entry_is_chosen_when_a_majority_holds_it_durably() {
        let mut annals = annals();
        append(&mut annals, 0, 2, &entry(1, 1, 7));
        append(&mut annals, 1, 2, &entry(1, 1, 7));
        let early = annals.clone().choose(0, LATEST, durable([2, 1, 9])).unwrap_err();
        assert_eq!(early.inv, Inv::QuorumConfigured);
        let chosen = annals.choose(0, LATEST, durable([2, 2, 0])).unwrap().unwrap();
        assert_eq!(
            (chosen.index, chosen.term, chosen.appended),
            (LogIndex::new(1), Term::new(1), 2)
        );
        assert_eq!(annals.chosen(Group::GATES), LogIndex::new(1));
        let unheld = annals.choose(0, LATEST, durable([9, 9, 9])).unwrap_err();
        assert_eq!(unheld.inv, Inv::LogMatching);
    }

    #[test]
    fn a_disk_that_is_gone_counts_for_nothing() {
        let mut annals = annals();
        append(&mut annals, 0, 2, &entry(1, 1, 7));
        append(&mut annals, 1, 2, &entry(1, 1, 7));
        let replaced =
            |member: Member| durable([2, 2, 2])(member).filter(|_| member.disk != DiskId::new(101));
        let early = annals.clone().choose(0, LATEST, replaced).unwrap_err();
        assert_eq!(early.inv, Inv::QuorumConfigured);
        // What it held durably when it went, it had acknowledged.
        annals.on_wiped(1, DiskId::new(101), Lsn::new(2));
        assert!(annals.choose(0, LATEST, replaced).unwrap().is_some());
    }

    #[test]
    fn an_entry_truncates_what_follows_and_a_crash_brings_it_back() {
        let mut annals = annals();
        append(&mut annals, 1, 2, &entry(1, 1, 7));
        append(&mut annals, 1, 3, &entry(1, 2, 8));
        append(&mut annals, 1, 4, &entry(2, 1, 9));
        let term = |annals: &Annals, index| annals.term_on(1, LogIndex::new(index));
        assert_eq!((term(&annals, 1), term(&annals, 2)), (Some(Term::new(2)), None));
        annals.on_booted(1, Lsn::new(3));
        assert_eq!(term(&annals, 1), Some(Term::new(1)));
        assert_eq!(term(&annals, 2), Some(Term::new(1)));
    }

    #[test]
    fn two_entries_of_one_place_and_term_are_seen_and_so_is_a_lost_one() {
        let mut annals = annals();
        append(&mut annals, 0, 2, &entry(1, 1, 7));
        let other = annals.clone().on_append(3, 1, Lsn::new(2), &entry(1, 1, 8)).unwrap_err();
        assert_eq!(other.inv, Inv::LogMatching);
        append(&mut annals, 1, 2, &entry(1, 1, 7));
        append(&mut annals, 2, 2, &entry(2, 1, 8));
        annals.choose(0, LATEST, durable([2, 2, 2])).unwrap();
        annals.compare(1, LogIndex::new(1)).unwrap();
        let lost = annals.compare(2, LogIndex::new(1)).unwrap_err();
        assert_eq!(lost.inv, Inv::LogMatching);
    }

    #[test]
    fn the_newest_members_of_the_own_log_count() {
        let mut annals = annals();
        let payload = Payload::Membership(members(&[0]));
        let (term, index) = (Term::new(1), LogIndex::new(1));
        let alone = Record::Gate(Entry { term, index, origin: None, payload });
        append(&mut annals, 0, 2, &alone);
        assert_eq!(annals.members_on(0, Group::GATES).voters.len(), 1);
        assert_eq!(annals.members_on(1, Group::GATES).voters.len(), 3);
        assert_eq!(annals.members(Group::GATES).voters.len(), 3);
        assert!(annals.choose(0, LATEST, durable([2, 0, 0])).unwrap().is_some());
        assert_eq!(annals.members(Group::GATES).voters.len(), 1);
        assert!(annals.was_voter(Group::GATES, DiskId::new(101)));
        assert!(!annals.was_voter(Group::GATES, DiskId::new(103)));
    }
}
