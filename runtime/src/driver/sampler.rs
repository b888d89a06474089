//! Measures how a node copes, four times a second: what waits in its queue and for how long, and
//! the process's share of its cores and of its memory.
//!
//! A sample travels through the queue like every input; the driver replaces the instant at which it
//! was put in by the time that it waited. One is on its way at a time.

use std::fs;
use std::time::Duration;

use hyperscale_core::input::{Input, Sample};
use hyperscale_core::time::Instant;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::mpsc;

use crate::clock;
use crate::host::Host;
use crate::transport::Peers;

const EVERY: Duration = Duration::from_millis(250);

/// Measures until the node has ended. `memory_max` bounds the process, in bytes; without it, what
/// the control group or the machine has is shared with whoever else is there.
pub(crate) fn start(inbox: &mpsc::Sender<Input>, peers: Peers, memory_max: Option<u64>) {
    let inbox = inbox.downgrade();
    tokio::spawn(async move {
        let host = Host::default();
        let cores = host.allowance().cores;
        let mut last = (clock::now(), cpu_time());
        loop {
            tokio::time::sleep(EVERY).await;
            let Some(inbox) = inbox.upgrade() else { return };
            let (now, used) = (clock::now(), cpu_time());
            let span = now.since(last.0).saturating_mul(u32::from(cores));
            let sample = Sample {
                queued: (inbox.max_capacity() - inbox.capacity()) as u32,
                delay: Duration::from_nanos(now.as_nanos()),
                cpu: per_mille(used.saturating_sub(last.1).as_nanos(), span.as_nanos()),
                memory: match memory_max {
                    Some(max) => per_mille(resident().into(), max.max(1).into()),
                    None => host.memory_permille(),
                },
                dropped: peers.dropped(),
            };
            last = (now, used);
            if inbox.send(Input::Sampled(sample)).await.is_err() {
                return;
            }
        }
    });
}

/// A sample has arrived at the head of the queue: it knows how long it waited.
pub(super) fn arrived(now: Instant, input: Input) -> Input {
    match input {
        Input::Sampled(sample) => {
            let sent = Instant::from_nanos(sample.delay.as_nanos() as u64);
            Input::Sampled(Sample { delay: now.since(sent), ..sample })
        }
        other => other,
    }
}

fn per_mille(part: u128, whole: u128) -> u16 {
    (part * 1_000 / whole.max(1)).min(1_000) as u16
}

fn cpu_time() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}

fn resident() -> u64 {
    fs::read_to_string("/proc/self/status").map_or(0, |text| kib(&text, "VmRSS:").unwrap_or(0))
}

/// The bytes that a line of a `/proc` file names.
fn kib(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_understood() {
        let text = "Name:\tgate\nVmRSS:\t    2048 kB\nThreads:\t3\n";
        assert_eq!(kib(text, "VmRSS:"), Some(2 << 20));
        assert_eq!(kib(text, "VmSwap:"), None);
        assert!(resident() > 1 << 20);
    }

    #[test]
    fn shares_are_of_the_whole_and_at_most_all_of_it() {
        assert_eq!(per_mille(1, 4), 250);
        assert_eq!(per_mille(9, 4), 1_000);
        assert_eq!(per_mille(9, 0), 1_000);
    }

    #[tokio::test]
    async fn a_sample_knows_how_long_it_waited() {
        let (inbox, mut inputs) = mpsc::channel(4);
        start(&inbox, Peers::new(hyperscale_core::ids::NodeId::new(1)), Some(1 << 40));
        let input = inputs.recv().await.expect("a sample");
        let now = clock::now().after(Duration::from_secs(3));
        let Input::Sampled(sample) = arrived(now, input) else { panic!("no sample") };
        assert!(sample.delay >= Duration::from_secs(3) && sample.delay < Duration::from_secs(60));
        assert_eq!((sample.queued, sample.memory), (0, 0));
    }
}
