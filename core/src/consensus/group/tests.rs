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

fn entry(term: u64, index: u64, payload: Payload<ManagerCommand>) -> Entry<ManagerCommand> {
    Entry { term: Term::new(term), index: LogIndex::new(index), origin: None, payload }
}

fn alone() -> Group<ManagerCommand> {
    let disk = DiskId::new(9);
    let boot = Boot { id: crate::ids::BootId::new(1), entropy: 1, disk };
    Group::new(NodeId::new(2), ConsensusConfig::default(), boot)
}

#[test]
fn a_group_of_one_forms_itself_and_leads_once_its_entry_is_durable() {
    let mut rig = Rig::new(alone(), 0);
    let (effects, events) = rig.step(Input::Start);
    let group = rig.group.id();
    let membership = Membership::of_one(rig.group.me());
    let vote = Some(DiskId::new(9));
    assert_eq!(
        effects,
        [
            append(1, Record::Formed { group, membership }),
            append(2, Record::Booted),
            append(3, Record::Ballot { term: Term::new(1), vote }),
            append(4, Record::Manager(entry(1, 1, Payload::Opened))),
        ]
    );
    assert_eq!(events, []);
    assert_eq!(rig.step(Input::Durable(Lsn::new(3))), (vec![], vec![]));
    let led = Event::Led { term: Term::new(1) };
    assert_eq!(rig.step(Input::Durable(Lsn::new(4))), (vec![], vec![led]));
    let (effects, _) = rig.step(Input::Propose(close(1)));
    assert_eq!(effects, [append(5, Record::Manager(entry(1, 2, Payload::Command(close(1)))))]);
    let index = LogIndex::new(2);
    let committed = Event::Committed { index, command: close(1), seq: None };
    assert_eq!(rig.step(Input::Durable(Lsn::new(9))), (vec![], vec![committed]));
    assert_eq!((rig.group.committed(), rig.group.committed_lsn()), (index, Lsn::new(5)));
}
