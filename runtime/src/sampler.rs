//! Tells a node how busy its process is.
//!
//! A sample that finds the node's queue full is lost: it says itself that the node is busy, and the
//! next one comes soon.

use std::time::Duration;

use hyperscale_core::input::{Input, Sample};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clock::now_ns;
use crate::host::Host;

/// How often.
const EVERY: Duration = Duration::from_millis(500);

/// Samples the process until the node's queue closes.
pub fn start(host: Host, inbox: mpsc::Sender<Input>) -> JoinHandle<()> {
    let cores = u64::from(host.allowance().cores);
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut last = (now_ns(), process_cpu_ns());
        while !inbox.is_closed() {
            tick.tick().await;
            let (now, cpu) = (now_ns(), process_cpu_ns());
            let waiting = inbox.max_capacity().saturating_sub(inbox.capacity());
            let sample = Sample {
                queue: u32::try_from(waiting).unwrap_or(u32::MAX),
                delay: Duration::ZERO,
                cpu_permille: share(cpu.saturating_sub(last.1), now.saturating_sub(last.0), cores),
                memory_permille: host.memory_permille(),
            };
            last = (now, cpu);
            drop(inbox.try_send(Input::Sampled(sample)));
        }
    })
}

/// Thousandths of `cores` that were used.
fn share(cpu: u64, wall: u64, cores: u64) -> u16 {
    let whole = u128::from(wall.max(1)) * u128::from(cores.max(1));
    u16::try_from((u128::from(cpu) * 1000 / whole).min(1000)).unwrap_or(1000)
}

/// Processor time that this process has used, nanoseconds.
fn process_cpu_ns() -> u64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as u64 * 1_000_000_000 + used.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_all_cores() {
        assert_eq!(share(500, 1000, 1), 500);
        assert_eq!(share(500, 1000, 2), 250);
        assert_eq!(share(9_000, 1000, 2), 1000);
        assert_eq!(share(1, 0, 0), 1000);
    }

    #[tokio::test]
    async fn samples_come_until_the_node_is_gone() {
        let (inbox, mut inputs) = mpsc::channel(4);
        let task = start(Host::default(), inbox);
        let Some(Input::Sampled(first)) = inputs.recv().await else { panic!("a sample") };
        assert!(first.memory_permille > 0 && first.cpu_permille <= 1000);
        drop(inputs);
        tokio::time::timeout(Duration::from_secs(10), task).await.expect("ends").expect("no panic");
    }
}
