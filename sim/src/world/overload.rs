//! A gate that does not cope: what its driver would measure, and far more questions than it takes.

use hyperscale_core::api::{Command, Tenant};
use hyperscale_core::ids::{CallId, JobId};
use hyperscale_core::input::{Input, Sample};

use super::World;
use crate::faults::Slowness;
use crate::hash::input_digest;
use crate::oracles::Seen;

impl World {
    /// The driver of a gate measured this.
    pub(super) fn on_slowness(&mut self, host: u16, slowness: Slowness) {
        let place = &self.hosts[usize::from(host)];
        if place.node.is_none() {
            return;
        }
        let sample = Sample {
            queued: slowness.delay_ms,
            delay: std::time::Duration::from_millis(slowness.delay_ms.into()),
            cpu: slowness.cpu,
            memory: slowness.memory,
            dropped: [0; 4],
        };
        self.tally.slowness += 1;
        let input = Input::Sampled(sample);
        let digest = input_digest(&input);
        self.offer(host, input, digest);
        for n in 0..slowness.calls {
            self.bother(host, n);
        }
    }

    /// One of many calls whose answer nobody waits for.
    fn bother(&mut self, host: u16, n: u16) {
        let job = JobId::new(1 + u64::from(n) % 40);
        let command = match n % 8 {
            0 => Command::Cluster,
            1 => Command::Cancel(JobId::new(1 << 40)),
            2 | 5 => Command::List,
            3 | 6 => Command::Status(job),
            4 => Command::Result(job),
            _ => Command::Watch { job, after: 0 },
        };
        self.interject(host, Tenant::truncated("many"), command);
    }

    /// A call whose answer nobody waits for.
    pub(super) fn interject(&mut self, host: u16, client: Tenant, command: Command) {
        self.next_call += 1;
        let call = CallId::new(self.next_call);
        self.observe(Seen::Called { host, call, command: &command });
        let input = Input::Called { call, client, command: Box::new(command) };
        let digest = input_digest(&input);
        self.offer(host, input, digest);
    }

    /// The name under which a client submits: two share each.
    pub(super) fn tenant(&self, place: u16, command: &Command) -> Tenant {
        let scripted = match command {
            Command::Submit { key, .. } if self.replies.is_some() => key.split_once('/'),
            _ => None,
        };
        match scripted {
            Some((tenant, _)) => Tenant::truncated(tenant),
            None => Tenant::truncated(&format!("t{}", place % 2)),
        }
    }
}
