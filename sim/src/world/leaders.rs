//! Faults that follow whoever leads: what a leader must not do any more, while it cannot know why.

use super::World;
use crate::faults::{Class, Fault};
use crate::layout::Group;

impl World {
    /// The leader is asked to leave and hears nothing more of the others: whom it tells to lead can
    /// be elected before it knows.
    pub(super) fn depose(&mut self, group: Group, span: u64, (patience, down): (u64, u64)) {
        let Some(leader) = self.leader(group) else { return };
        let others = self.case.layout.members(group).filter(|host| *host != leader);
        let links = others.map(|host| (host, leader)).collect();
        self.sever(links, span, Class::Depose);
        self.drain(leader, patience, down);
    }

    /// One member does not hear the leader and would stand; the others do, until they start again
    /// and do not hear it either. What they promised before must hold them back.
    pub(super) fn forget(
        &mut self,
        group: Group,
        first: u16,
        (after, span): (u64, u64),
        down: u64,
    ) {
        let Some(leader) = self.leader(group) else { return };
        let led = self.case.layout.members(group).filter(|host| *host != leader);
        let mut led: Vec<u16> = led.collect();
        let alone = led.remove(usize::from(first) % led.len());
        let class = Class::Amnesia;
        self.sever(both_ways(leader, &[alone]), after + span, class);
        self.later(after, Fault::Cut { links: both_ways(leader, &led), span, class });
        for host in led {
            self.later(after, Fault::Crash { host, between: false, down: Some(down), class });
        }
    }
}

fn both_ways(host: u16, others: &[u16]) -> Vec<(u16, u16)> {
    others.iter().flat_map(|other| [(host, *other), (*other, host)]).collect()
}
