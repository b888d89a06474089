//! Every fault of a seed: who dies, stands still, loses its disk or is asked to leave, and when.

use std::ops::Range;

use super::overload;
use hyperscale_core::input::Sample;

use super::shapes::{self, MS};
use super::{Class, Fault, Ground};
use crate::layout::Group;
use crate::streams::{Stream, Streams};

/// Every fault of a seed, ordered by time.
pub fn schedule(streams: Streams, classes: &[Class], ground: Ground) -> Vec<(u64, Fault)> {
    let mut list = Vec::new();
    for class in classes {
        match class {
            Class::CrashGate => {
                deaths(streams, *class, ground.layout.gates(), ground, &mut list);
                beheadings(streams, *class, Group::GATES, ground, &mut list);
            }
            Class::CrashManager => {
                for datacenter in ground.layout.datacenters() {
                    let managers = ground.layout.managers(datacenter);
                    deaths(streams, *class, managers, ground, &mut list);
                    let group = Group::of_datacenter(datacenter);
                    beheadings(streams, *class, group, ground, &mut list);
                }
            }
            Class::CrashWorker => {
                deaths(streams, *class, ground.layout.all_workers(), ground, &mut list);
            }
            Class::Gone => gone(streams, ground, &mut list),
            Class::Pause => pauses(streams, ground, &mut list),
            Class::Partition => shapes::partitions(streams, ground, &mut list),
            Class::Bridge | Class::Ring | Class::Flap | Class::Apart => {
                shapes::cuts(streams, *class, ground, &mut list);
                if *class == Class::Apart {
                    shapes::forsaken(streams, ground, &mut list);
                }
            }
            Class::Blackout => blackouts(streams, ground, &mut list),
            Class::Wipe | Class::Change => replacements(streams, *class, ground, &mut list),
            Class::Drain => drains(streams, ground, &mut list),
            Class::Depose => depositions(streams, ground, &mut list),
            Class::Amnesia => amnesias(streams, ground, &mut list),
            Class::SlowSync | Class::FailSync => syncs(streams, *class, ground, &mut list),
            Class::Overload => overload::spells(streams, ground, &mut list),
            Class::Skew => upgrades(streams, ground, &mut list),
            Class::Strain => strains(streams, ground, &mut list),
            Class::Loss
            | Class::Dup
            | Class::Reorder
            | Class::Spike
            | Class::Damage
            | Class::Offset
            | Class::Drift
            | Class::DriftBeyond
            | Class::Torn
            | Class::LostWrites => {}
        }
    }
    list.sort_by_key(|(at, _)| *at);
    list
}

/// The first of these dies, of the others some.
fn deaths(
    streams: Streams,
    class: Class,
    hosts: Range<u16>,
    ground: Ground,
    list: &mut Vec<(u64, Fault)>,
) {
    let first = hosts.start;
    for host in hosts {
        if host == first || streams.draw(Stream::Crash, u64::from(host), 99).chance(400_000) {
            crashes(streams, class, host, ground, list);
        }
    }
}

fn crashes(
    streams: Streams,
    class: Class,
    host: u16,
    ground: Ground,
    list: &mut Vec<(u64, Fault)>,
) {
    let mut cursor = streams.cursor(Stream::Crash, u64::from(host));
    for _ in 0..cursor.within(1, 3) {
        let at = cursor.within(500 * MS, ground.until);
        let long = cursor.chance(300_000);
        let down = cursor.within(20 * MS, if long { 3 * ground.ttl } else { ground.ttl / 2 });
        let between = cursor.chance(750_000);
        list.push((at, Fault::Crash { host, between, down: Some(down), class }));
    }
}

/// In a group of several, whoever leads dies.
fn beheadings(
    streams: Streams,
    class: Class,
    group: Group,
    ground: Ground,
    list: &mut Vec<(u64, Fault)>,
) {
    if ground.layout.members(group).len() < 2 {
        return;
    }
    let mut cursor = streams.cursor(Stream::Crash, 1 << 33 | u64::from(group.0));
    for _ in 0..cursor.within(0, 2) {
        let at = cursor.within(1_500 * MS, ground.until);
        let down = cursor.within(20 * MS, ground.ttl);
        list.push((at, Fault::Behead { group, down, class }));
    }
}

fn blackouts(streams: Streams, ground: Ground, list: &mut Vec<(u64, Fault)>) {
    let class = Class::Blackout;
    let at = streams.draw(Stream::Crash, 1 << 34, 0).within(1_000 * MS, ground.until);
    for host in 0..ground.layout.hosts() {
        let down = streams.draw(Stream::Crash, 1 << 34, 1 + u64::from(host));
        let down = Some(down.within(20 * MS, ground.ttl));
        list.push((at, Fault::Crash { host, between: false, down, class }));
    }
}

/// Of a group of three or more, as many as it can bear one after the other.
fn replacements(streams: Streams, class: Class, ground: Ground, list: &mut Vec<(u64, Fault)>) {
    for group in ground.layout.groups() {
        let members = ground.layout.members(group);
        if members.len() < 3 {
            continue;
        }
        let entity = 1 << 35 | u64::from(group.0) << 8 | class as u64;
        let mut cursor = streams.cursor(Stream::Crash, entity);
        for _ in 0..cursor.within(0, 2) {
            let at = cursor.within(2_000 * MS, ground.until);
            let host = members.start + cursor.draw().below(members.len() as u64) as u16;
            let down = cursor.within(20 * MS, ground.ttl);
            list.push((at, Fault::Replace { host, down, class }));
        }
    }
}

fn drains(streams: Streams, ground: Ground, list: &mut Vec<(u64, Fault)>) {
    let mut cursor = streams.cursor(Stream::Crash, 1 << 36);
    for _ in 0..cursor.within(1, 4) {
        let at = cursor.within(1_000 * MS, ground.until);
        let host = cursor.draw().below(u64::from(ground.layout.hosts())) as u16;
        let patience = cursor.within(500 * MS, 8_000 * MS);
        let down = cursor.within(20 * MS, ground.ttl);
        list.push((at, Fault::Drain { host, patience, down }));
    }
}

/// Of every group of three or more, whoever leads then.
fn depositions(streams: Streams, ground: Ground, list: &mut Vec<(u64, Fault)>) {
    for group in ground.layout.groups().filter(|group| ground.layout.members(*group).len() > 2) {
        let mut cursor = streams.cursor(Stream::Crash, 1 << 42 | u64::from(group.0));
        let at = cursor.within(2_000 * MS, ground.until);
        let span = cursor.within(200 * MS, 2_000 * MS);
        let patience = cursor.within(span, 4_000 * MS);
        let down = cursor.within(20 * MS, ground.ttl);
        list.push((at, Fault::Depose { group, span, patience, down }));
    }
}

/// The first member is cut off for long enough to stand, the others are dead for a moment only.
fn amnesias(streams: Streams, ground: Ground, list: &mut Vec<(u64, Fault)>) {
    for group in ground.layout.groups().filter(|group| ground.layout.members(*group).len() > 2) {
        let mut cursor = streams.cursor(Stream::Crash, 1 << 43 | u64::from(group.0));
        for _ in 0..cursor.within(1, 3) {
            let at = cursor.within(2_000 * MS, ground.until);
            let first = cursor.within(0, 60) as u16;
            let after = cursor.within(400 * MS, 2_000 * MS);
            let span = cursor.within(200 * MS, 1_500 * MS);
            let down = cursor.within(MS, 40 * MS);
            list.push((at, Fault::Forget { group, first, after, span, down }));
        }
    }
}

fn gone(streams: Streams, ground: Ground, list: &mut Vec<(u64, Fault)>) {
    let class = Class::Gone;
    for group in ground.layout.groups() {
        let members = ground.layout.members(group);
        let mut cursor = streams.cursor(Stream::Crash, 1 << 37 | u64::from(group.0));
        if members.len() < 3 || !cursor.chance(300_000) {
            continue;
        }
        let at = cursor.within(2_000 * MS, ground.until);
        let host = members.start + cursor.draw().below(members.len() as u64) as u16;
        list.push((at, Fault::Crash { host, between: false, down: None, class }));
    }
    let all = ground.layout.all_workers();
    let workers = all.len() as u64;
    if workers < 2 {
        return;
    }
    let mut cursor = streams.cursor(Stream::Crash, 1 << 32);
    let host = all.start + cursor.draw().below(workers) as u16;
    let at = cursor.within(1_000 * MS, ground.until);
    list.push((at, Fault::Crash { host, between: false, down: None, class }));
}

fn pauses(streams: Streams, ground: Ground, list: &mut Vec<(u64, Fault)>) {
    for host in 0..ground.layout.hosts() {
        let mut cursor = streams.cursor(Stream::Pause, u64::from(host));
        if !cursor.chance(450_000) {
            continue;
        }
        for _ in 0..cursor.within(1, 3) {
            let at = cursor.within(500 * MS, ground.until);
            let long = cursor.chance(400_000);
            let span = cursor.within(5 * MS, if long { 3 * ground.ttl } else { 300 * MS });
            list.push((at, Fault::Pause { host, span }));
        }
    }
}

fn syncs(streams: Streams, class: Class, ground: Ground, list: &mut Vec<(u64, Fault)>) {
    for host in 0..ground.layout.all_managers().end {
        let entity = u64::from(host) << 8 | class as u64;
        let mut cursor = streams.cursor(Stream::Disk, 1 << 32 | entity);
        for _ in 0..cursor.within(1, 2 + 4 * u64::from(class == Class::SlowSync)) {
            let at = cursor.within(200 * MS, ground.until);
            let span = cursor.within(20 * MS, 2_000 * MS);
            list.push(match class {
                Class::SlowSync => (at, Fault::SlowSync { host, span }),
                _ => (at, Fault::FailSync { host, down: span }),
            });
        }
    }
}

/// Some nodes, one after the other, end and come back as another minor.
fn upgrades(streams: Streams, ground: Ground, list: &mut Vec<(u64, Fault)>) {
    let mut order = streams.cursor(Stream::Crash, 1 << 38);
    let (first, step) = (order.within(1_000 * MS, 4_000 * MS), order.within(200 * MS, 1_500 * MS));
    let share = order.pick(&[150_000, 300_000, 600_000]);
    let mut at = first;
    for host in 0..ground.layout.hosts() {
        let mut cursor = streams.cursor(Stream::Crash, (1 << 38) | (1 + u64::from(host)));
        if !cursor.chance(share) || at > ground.until {
            continue;
        }
        let down = cursor.within(20 * MS, ground.ttl / 2);
        let (between, class) = (cursor.chance(300_000), Class::Skew);
        list.push((at, Fault::Crash { host, between, down: Some(down), class }));
        at += step;
    }
}

/// The machines of some workers come to their limits, and get away from them.
fn strains(streams: Streams, ground: Ground, list: &mut Vec<(u64, Fault)>) {
    const EVERY: u64 = 500 * MS;
    let all = ground.layout.all_workers();
    let first = all.start;
    for host in all {
        let mut cursor = streams.cursor(Stream::Crash, 1 << 39 | u64::from(host));
        if host != first && !cursor.chance(300_000) {
            continue;
        }
        let memory = cursor.pick(&[300_u16, 800, 900, 965, 990]);
        let cpu = cursor.pick(&[200_u16, 900, 1_000]);
        let (from, strained) = (cursor.within(1_000 * MS, ground.until), cursor.within(3, 14));
        let samples = strained + cursor.within(0, 24);
        for n in 0..samples {
            let (cpu, memory) = if n < strained { (cpu, memory) } else { (200, 300) };
            let sample = Sample { cpu, memory, ..Sample::default() };
            list.push((from + n * EVERY, Fault::Strain { host, sample }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Layout;

    fn ground() -> Ground {
        Ground {
            layout: Layout::new(3, &[(3, 2), (1, 2)]),
            places: 13,
            until: 20_000 * MS,
            ttl: 3_000 * MS,
        }
    }

    #[test]
    fn switching_a_class_off_moves_no_fault_of_another() {
        for seed in 0..1_000 {
            let streams = Streams::new(seed);
            let all = Class::of_seed(streams, &[]);
            for off in &all {
                let rest = Class::of_seed(streams, &[*off]);
                assert!(all.iter().filter(|class| *class != off).eq(rest.iter()));
                let whole = schedule(streams, &all, ground());
                let part = schedule(streams, &rest, ground());
                let own = schedule(streams, &[*off], ground());
                assert_eq!(whole.len(), part.len() + own.len());
                assert!(part.iter().all(|fault| whole.contains(fault)), "seed {seed}");
            }
        }
    }

    #[test]
    fn names_lead_back() {
        for class in Class::ALL {
            assert_eq!(Class::named(class.id()), Some(*class));
        }
    }
}
