use super::*;
use crate::effect::{Effect, Effects};
use crate::ids::{JobId, PartId, PartIx};
use crate::manager::ManagerCommand;
use crate::rng::Streams;
use crate::stat::Counters;
use crate::time::Instant;

fn close(job: u64) -> ManagerCommand {
    let part = PartId { job: JobId::new(job), part: PartIx::new(0) };
    ManagerCommand::Close { part }
}

struct Rig {
    group: Group<ManagerCommand>,
    out: Effects,
    streams: Streams,
    stats: Counters,
}

impl Rig {
    fn new(group: Group<ManagerCommand>, last: u64) -> Self {
        let streams = Streams::new(1, 2, 3);
        Self { group, out: Effects::new(Lsn::new(last)), streams, stats: Counters::default() }
    }

    fn step(&mut self, input: Input<ManagerCommand>) -> (Vec<Effect>, Vec<Event<ManagerCommand>>) {
        let now = Instant::ZERO;
        let mut cx = Cx::new(now, &mut self.streams, &mut self.out, &mut self.stats);
        let events = self.group.handle(&mut cx, input).into_iter().collect();
        self.group.check().unwrap();
        (self.out.drain().collect(), events)
    }
}

fn append(lsn: u64, record: Record) -> Effect {
    Effect::Append { lsn: Lsn::new(lsn), record: Box::new(record) }
}

fn entry(term: u64, index: u64, command: Option<ManagerCommand>) -> Entry<ManagerCommand> {
    Entry { term: Term::new(term), index: LogIndex::new(index), command }
}

#[test]
fn the_first_life_forms_the_group_once_and_opens_a_term() {
    let mut rig = Rig::new(Group::default(), 0);
    let (effects, events) = rig.step(Input::Start);
    let group = rig.group.id();
    assert_eq!(
        effects,
        [
            append(1, Record::Formed { group }),
            append(2, Record::Termed { term: Term::new(1) }),
            append(3, Record::Manager(entry(1, 1, None))),
        ]
    );
    assert_eq!(events, []);
    assert!(!rig.group.leads());
}

#[test]
fn it_leads_only_once_an_entry_of_its_term_is_durable() {
    let mut rig = Rig::new(Group::default(), 0);
    let _ = rig.step(Input::Start);
    let (effects, events) = rig.step(Input::Propose(close(1)));
    assert_eq!(effects, [append(4, Record::Manager(entry(1, 2, Some(close(1)))))]);
    assert_eq!(events, []);
    assert_eq!(rig.step(Input::Durable(Lsn::new(2))), (vec![], vec![]));
    assert!(!rig.group.leads());
    let led = Event::Led { term: Term::new(1) };
    assert_eq!(rig.step(Input::Durable(Lsn::new(3))), (vec![], vec![led]));
    assert!(rig.group.leads());
    assert_eq!(rig.group.committed(), LogIndex::new(1));
    let committed = Event::Committed { index: LogIndex::new(2), command: close(1) };
    assert_eq!(rig.step(Input::Durable(Lsn::new(9))), (vec![], vec![committed]));
    assert_eq!(rig.group.committed_lsn(), Lsn::new(4));
    assert_eq!(rig.step(Input::Durable(Lsn::new(4))), (vec![], vec![]));
}

#[test]
fn one_durable_input_commits_everything_before_it_in_order() {
    let mut rig = Rig::new(Group::default(), 0);
    let _ = rig.step(Input::Start);
    let _ = rig.step(Input::Propose(close(1)));
    let _ = rig.step(Input::Propose(close(2)));
    let (_, events) = rig.step(Input::Durable(Lsn::new(5)));
    let at = |index, job| Event::Committed { index: LogIndex::new(index), command: close(job) };
    assert_eq!(events, [Event::Led { term: Term::new(1) }, at(2, 1), at(3, 2)]);
}

#[test]
fn a_later_life_keeps_the_group_and_takes_a_higher_term() {
    let mut group = Group::default();
    group.replay_formed(GroupId::new(5));
    group.replay_term(Term::new(3));
    group.replay_entry(Lsn::new(3), &entry(3, 1, None)).unwrap();
    group.replay_entry(Lsn::new(4), &entry(3, 2, Some(close(1)))).unwrap();
    assert_eq!((group.committed(), group.committed_lsn()), (LogIndex::new(2), Lsn::new(4)));
    let mut rig = Rig::new(group, 4);
    let (effects, _) = rig.step(Input::Start);
    assert_eq!(
        effects,
        [
            append(5, Record::Termed { term: Term::new(4) }),
            append(6, Record::Manager(entry(4, 3, None))),
        ]
    );
    assert_eq!(rig.group.fence(LogIndex::new(3)).group, GroupId::new(5));
}

#[test]
fn a_gap_in_the_log_is_refused_and_changes_nothing() {
    let mut group: Group<ManagerCommand> =
        Group::restore(GroupId::new(5), Term::new(2), LogIndex::new(7));
    assert_eq!(group.next_index(), LogIndex::new(8));
    let refused = group.replay_entry(Lsn::new(1), &entry(2, 9, None));
    assert_eq!(
        refused,
        Err(RecoverError::LogGap {
            lsn: Lsn::new(1),
            last: LogIndex::new(7),
            found: LogIndex::new(9),
        })
    );
    assert_eq!(group.next_index(), LogIndex::new(8));
    group.replay_entry(Lsn::new(1), &entry(2, 8, None)).unwrap();
    assert!(!group.leads());
}
