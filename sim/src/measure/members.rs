//! Figures of membership: false suspicions on a bad network, how long a dead worker goes
//! unnoticed, and what members send.
//!
//! What SWIM and Lifeguard call a false positive is a living member that is taken for dead; a
//! suspicion that is refuted in time is the protocol at work, and costs a placement at most. The
//! goal is about the stricter of the two: a suspicion that any member raised against a living one
//! counts, refuted or not, so that what operators see in `status` is rare as well. False deaths
//! are counted apart and must be none.

use hyperscale_core::membership::Standing;
use hyperscale_core::stat::Stat;

use super::{LIMIT, LOOK, MS, Measured, SECOND, Shape, WINDOW, calm};
use crate::case::node_id;
use crate::layout::Group;
use crate::network::Weather;
use crate::streams::{Stream, Streams};
use crate::world::World;

/// Rumours of a start have gone around by then.
const SETTLED: u64 = 120 * SECOND;
/// A bad network is watched for so long.
const WATCHED: u64 = 600 * SECOND;
/// It loses so many messages, millionths, and delays the others by up to so long.
const BAD: (u32, u64) = (50_000, 200 * MS);

/// What happened among members of which none died.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Suspicions {
    /// Nodes times seconds.
    pub node_seconds: u64,
    /// Suspicions, counted at every node that came to believe one.
    pub believed: u64,
    /// Suspicions, counted once each: by their suspect, which refuted them.
    pub refuted: u64,
    /// Deaths, counted at every node that came to believe one.
    pub deaths: u64,
}

/// Watches living members for ten minutes at 5 % loss and 200 ms of jitter.
///
/// # Errors
/// What went wrong, in words.
pub fn suspicions(shape: Shape, seed: u64) -> Result<Suspicions, String> {
    watch(shape, seed, BAD, WATCHED)
}

fn watch(
    shape: Shape,
    seed: u64,
    (loss_ppm, delay_max): (u32, u64),
    span: u64,
) -> Result<Suspicions, String> {
    let mut case = calm(shape, seed);
    case.weather = Weather { loss_ppm, delay_max, ..case.weather };
    let mut cluster = Measured { layout: case.layout, world: World::measured(case), calls: 0 };
    cluster.pass(30 * SECOND)?;
    let count = |cluster: &Measured, stat: Stat| -> u64 {
        let hosts = 0..cluster.layout.hosts();
        hosts.map(|host| cluster.world.host(host).count(stat)).sum()
    };
    let stats = [Stat::SwimSuspected, Stat::SwimRefuted, Stat::SwimDied];
    let before = stats.map(|stat| count(&cluster, stat));
    cluster.pass(span)?;
    let after = stats.map(|stat| count(&cluster, stat));
    let [believed, refuted, deaths] = [0, 1, 2].map(|place| after[place] - before[place]);
    let node_seconds = u64::from(cluster.layout.hosts()) * span / SECOND;
    Ok(Suspicions { node_seconds, believed, refuted, deaths })
}

/// From the death of a worker until the leading manager takes it for dead, nanoseconds.
///
/// # Errors
/// What went wrong, in words.
pub fn detection(shape: Shape, seed: u64) -> Result<u64, String> {
    let mut cluster = Measured::new(shape, seed)?;
    let draw = |n| Streams::new(seed).draw(Stream::Client, 1 << 41, n);
    cluster.pass(20 * SECOND + draw(0).below(2 * SECOND))?;
    let leader = cluster.leader(Group::of_datacenter(0))?;
    let workers = cluster.layout.all_workers();
    let victim = workers.start + draw(1).below(u64::from(shape.workers)) as u16;
    let at = cluster.world.now();
    cluster.world.kill(victim);
    let is_dead = |world: &World| {
        let manager = world.host(leader).node.as_ref()?;
        let standing = manager.membership().standing(node_id(victim));
        (standing == Some(Standing::Dead)).then_some(())
    };
    let limit = at + LIMIT;
    while is_dead(&cluster.world).is_none() && cluster.world.now() < limit {
        cluster.pass(LOOK * 10)?;
    }
    is_dead(&cluster.world).ok_or_else(|| "the death goes unnoticed".to_owned())?;
    Ok(cluster.world.now() - at)
}

/// Datagrams and their bytes per second and node, at rest, of so many members of a datacenter.
///
/// # Errors
/// What went wrong, in words.
pub fn datagrams(members: u16) -> Result<(f64, f64), String> {
    let shape = Shape { voters: 3, workers: members - 3 };
    let mut cluster = Measured::new(shape, 1)?;
    cluster.pass(SETTLED)?;
    cluster.world.count_traffic();
    cluster.pass(WINDOW)?;
    let of = cluster.layout.all_managers().chain(cluster.layout.all_workers());
    let (mut messages, mut bytes) = (0, 0);
    for host in of {
        let (sent, length) = cluster.world.traffic()[usize::from(host)].datagrams;
        messages += sent;
        bytes += length;
    }
    let each = f64::from(members) * WINDOW as f64 / SECOND as f64;
    Ok((messages as f64 / each, bytes as f64 / each))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suspicions_are_rare_where_the_goal_is_set_and_counted_where_they_are_not() {
        let shape = Shape { voters: 3, workers: 4 };
        let bad = watch(shape, 1, BAD, 60 * SECOND).unwrap();
        assert_eq!((bad.node_seconds, bad.believed, bad.deaths), (600, 0, 0));
        let awful = watch(shape, 1, (700_000, 400 * MS), 120 * SECOND).unwrap();
        assert!(awful.believed > 0 && awful.refuted > 0, "{awful:?}");
    }

    #[test]
    fn a_dead_worker_is_noticed_and_a_living_one_is_left_alone() {
        let shape = Shape { voters: 1, workers: 2 };
        assert!(detection(shape, 1).unwrap() > SECOND);
        let (sent, bytes) = datagrams(5).unwrap();
        assert!(sent > 1.0 && bytes > sent);
    }
}
