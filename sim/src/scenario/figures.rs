//! Figures that people want to see: the longest time without a request, with and without a death.

use std::time::Duration;

use super::{Arrival, Cluster, Found, Group, Load, Node, ended, judge, running, submitted, until};

/// Who is killed while a figure is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Figure {
    /// Nobody.
    Nobody,
    /// The leader of the first datacenter's managers.
    ManagerLeader,
    /// The gate that owns the job.
    OwningGate,
    /// A worker of the first datacenter.
    Worker,
    /// Everything in the first datacenter.
    Datacenter,
}

/// Every figure, the undisturbed one first.
pub const KILLS: [Figure; 5] =
    [Figure::Nobody, Figure::ManagerLeader, Figure::OwningGate, Figure::Worker, Figure::Datacenter];

/// The longest time without a request between the first and the last one.
pub fn gap(arrivals: &[Arrival]) -> Duration {
    let gaps = arrivals.windows(2).map(|pair| pair[1].at.saturating_sub(pair[0].at));
    gaps.max().unwrap_or_default()
}

impl Figure {
    /// Runs the load, kills, and says what the target saw.
    ///
    /// # Errors
    /// A promise does not hold.
    pub fn take(self, cluster: &mut dyn Cluster, load: &Load) -> Found<String> {
        let key = format!("figure-{self:?}").to_lowercase();
        let job = submitted(cluster, &key, load)?;
        running(cluster, &key, load.rate as usize * 3)?;
        let victims = self.victims(cluster, job)?;
        let killed = cluster.now();
        for victim in &victims {
            cluster.kill(*victim);
        }
        let limit = load.span() + Duration::from_secs(60);
        let outcome = ended(cluster, job, limit)?;
        judge(cluster, &key, load, &outcome)?;
        let arrivals = cluster.served(&key);
        let (first, other): (Vec<Arrival>, Vec<Arrival>) =
            arrivals.iter().partition(|arrival| load.is_of(0, arrival.index));
        Ok(format!(
            "{self:?}: killed {victims:?} at {killed:?}; longest gap {:?}, of the first \
             datacenter's part {:?}, of the others' {:?}; load back after {:?}; {outcome:?}",
            gap(&arrivals),
            gap(&first),
            gap(&other),
            back(&arrivals, killed, load.rate),
        ))
    }

    fn victims(self, cluster: &mut dyn Cluster, job: u64) -> Found<Vec<Node>> {
        let topology = cluster.topology();
        let limit = Duration::from_secs(10);
        Ok(match self {
            Figure::Nobody => Vec::new(),
            Figure::ManagerLeader => vec![until(cluster, "a leader", limit, |cluster| {
                cluster.leader_of(Group::Managers(0))
            })?],
            Figure::OwningGate => {
                vec![until(cluster, "an owner", limit, |cluster| cluster.owner_of(job))?]
            }
            Figure::Worker => vec![Node::Worker(0, 0)],
            Figure::Datacenter => topology.managers_of(0).chain(topology.workers_of(0)).collect(),
        })
    }
}

/// How long after `from` the load was whole again for a second, the second not counted.
fn back(arrivals: &[Arrival], from: Duration, rate: u32) -> Option<Duration> {
    let window = Duration::from_secs(1);
    let step = Duration::from_millis(50);
    let last = arrivals.last()?.at;
    let mut start = from;
    while start + window <= last {
        let within = |arrival: &&Arrival| arrival.at >= start && arrival.at < start + window;
        if arrivals.iter().filter(within).count() * 100 >= rate as usize * 97 {
            return Some(start - from);
        }
        start += step;
    }
    None
}
