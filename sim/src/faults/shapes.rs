//! How the network is cut: sides, one way or both, a bridge between them, a ring, a datacenter
//! apart, links that come and go.

use super::{Class, Fault, Ground};
use crate::manner::Manner;
use crate::streams::{Cursor, Stream, Streams};

pub(super) const MS: u64 = 1_000_000;

type Links = Vec<(u16, u16)>;

/// The cuts of one class other than [`Class::Partition`].
pub(super) fn cuts(streams: Streams, class: Class, ground: Ground, list: &mut Vec<(u64, Fault)>) {
    let entity = |n: u64| 1 << 32 | (class as u64) << 8 | n;
    let count = streams.draw(Stream::NetPartition, entity(0), 0).within(1, 3);
    for n in 1..=count {
        let mut cursor = streams.cursor(Stream::NetPartition, entity(n));
        let at = cursor.within(300 * MS, ground.until);
        let span = cursor.within(100 * MS, 3 * ground.ttl);
        let links = match class {
            Class::Bridge => bridge(&mut cursor, ground),
            Class::Ring => ring(&mut cursor, ground),
            Class::Apart => apart(&mut cursor, ground),
            _ => between(ground.places, side(&mut cursor, ground), cursor.draw().below(3)),
        };
        let flaps = if class == Class::Flap { cursor.within(3, 12) } else { 1 };
        flap(at, span, (flaps, class), &links, list);
    }
}

/// Two sides, both ways or one, some of them flapping.
pub(super) fn partitions(streams: Streams, ground: Ground, list: &mut Vec<(u64, Fault)>) {
    let class = Class::Partition;
    let count = streams.draw(Stream::NetPartition, 0, 0).within(1, 4);
    for n in 1..=count {
        let mut cursor = streams.cursor(Stream::NetPartition, n);
        let at = cursor.within(300 * MS, ground.until);
        let side = side(&mut cursor, ground);
        let ways = cursor.draw().below(3);
        let span = cursor.within(50 * MS, 3 * ground.ttl);
        let links = between(ground.places, side, ways);
        let flaps = if cursor.chance(300_000) { cursor.within(2, 6) } else { 1 };
        flap(at, span, (flaps, class), &links, list);
    }
}

fn flap(
    at: u64,
    span: u64,
    (flaps, class): (u64, Class),
    links: &Links,
    list: &mut Vec<(u64, Fault)>,
) {
    for flap in 0..flaps {
        let at = at + flap * 2 * span / flaps;
        list.push((at, Fault::Cut { links: links.clone(), span: span / flaps, class }));
    }
}

/// One node alone, or any set of them, as bits.
fn side(cursor: &mut Cursor, ground: Ground) -> u64 {
    let hosts = ground.layout.hosts();
    let side = cursor.draw().bits() & ((1 << hosts) - 1);
    let alone = cursor.draw().below(u64::from(hosts));
    if cursor.chance(600_000) { 1 << alone } else { side }
}

/// Links from a side and to it; only out of it with 2, only into it with 1.
fn between(places: u16, side: u64, ways: u64) -> Links {
    let mut links = Vec::new();
    for from in 0..places {
        for to in 0..places {
            let out = side >> from & 1 == 1 && side >> to & 1 == 0;
            let back = side >> from & 1 == 0 && side >> to & 1 == 1;
            if (out && ways != 1) || (back && ways != 2) {
                links.push((from, to));
            }
        }
    }
    links
}

/// A group, or all nodes, fall into two sides that one member sees both of.
fn bridge(cursor: &mut Cursor, ground: Ground) -> Links {
    let members = one_group(cursor, ground);
    let bridge = cursor.draw().below(members.len() as u64) as usize;
    let sides: Vec<bool> = members.iter().map(|_| cursor.chance(500_000)).collect();
    let mut links = Vec::new();
    for (a, from) in members.iter().enumerate() {
        for (b, to) in members.iter().enumerate() {
            if a != b && a != bridge && b != bridge && sides[a] != sides[b] {
                links.push((*from, *to));
            }
        }
    }
    links
}

/// In a group, or over all nodes, everyone sees only the one before and the one after.
fn ring(cursor: &mut Cursor, ground: Ground) -> Links {
    let members = one_group(cursor, ground);
    let mut links = Vec::new();
    for (a, from) in members.iter().enumerate() {
        for (b, to) in members.iter().enumerate() {
            let apart = a.abs_diff(b);
            if apart > 1 && apart != members.len() - 1 {
                links.push((*from, *to));
            }
        }
    }
    links
}

/// Everything of a datacenter sees no gate, or is seen by none.
fn apart(cursor: &mut Cursor, ground: Ground) -> Links {
    let layout = ground.layout;
    let datacenter = cursor.draw().below(layout.datacenters().len() as u64) as u16;
    let ways = cursor.draw().below(4);
    let mut links = Vec::new();
    for gate in layout.gates() {
        for other in layout.managers(datacenter).chain(layout.workers(datacenter)) {
            if ways != 1 {
                links.push((gate, other));
            }
            if ways != 2 {
                links.push((other, gate));
            }
        }
    }
    links
}

/// No gate sees anything of a datacenter while the timeout of a job is due there.
pub(super) fn forsaken(streams: Streams, ground: Ground, list: &mut Vec<(u64, Fault)>) {
    let layout = ground.layout;
    if Manner::of(streams, layout) != Manner::Forsaken {
        return;
    }
    let at = streams.draw(Stream::NetPartition, 1 << 48, 0).within(3_500 * MS, 5_500 * MS);
    let others = layout.all_managers().start..layout.all_workers().end;
    let pairs = layout.gates().flat_map(|gate| others.clone().map(move |other| (gate, other)));
    let links = pairs.flat_map(|(gate, other)| [(gate, other), (other, gate)]).collect();
    list.push((at, Fault::Cut { links, span: 8_000 * MS, class: Class::Apart }));
}

/// A group that has sides at all, or all nodes.
fn one_group(cursor: &mut Cursor, ground: Ground) -> Vec<u16> {
    let layout = ground.layout;
    let groups: Vec<_> =
        layout.groups().map(|group| layout.members(group)).filter(|of| of.len() > 2).collect();
    let place = cursor.draw().below(groups.len() as u64 + 1) as usize;
    groups.get(place).cloned().unwrap_or(0..layout.hosts()).collect()
}
