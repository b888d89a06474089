//! What clients submit, and what else they ask about it.

use hyperscale_core::ids::WorkflowIx;
use hyperscale_core::plan::Plan;

use crate::faults::Class;
use crate::layout::Layout;
use crate::manner::{self, Manner};
use crate::plans;
use crate::streams::{Stream, Streams};

const MS: u64 = 1_000_000;

/// A job that a client will submit.
#[derive(Clone, Debug)]
pub struct JobSpec {
    /// When, true time.
    pub at: u64,
    /// The idempotency key.
    pub key: String,
    /// What to run.
    pub plan: Plan,
    /// When it is cancelled, true time, if it is.
    pub cancel_at: Option<u64>,
}

/// A question about a client's job whose answer nobody waits for. Every gate is asked.
#[derive(Clone, Copy, Debug)]
pub struct Aside {
    /// When, true time.
    pub at: u64,
    /// Whose job.
    pub client: u16,
    /// What.
    pub what: Wish,
}

/// What an aside is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// Windows, added up to so many seconds.
    Stats(u32),
    /// Why its parts are where they are.
    Explain,
    /// Updates from the first one on.
    Watch,
    /// The end of one of its workflows.
    Stop(WorkflowIx),
}

/// What clients submit. A job may have an echo: another client with the same key, and the same plan
/// or another.
pub fn drawn(streams: Streams, layout: Layout, calm_from: u64) -> Vec<JobSpec> {
    let mut cursor = streams.cursor(Stream::Client, 0);
    let count = cursor.pick(&[1_u64, 2, 2, 3, 3, 3]);
    let mut specs = Vec::new();
    for n in 0..count {
        let mut cursor = streams.cursor(Stream::Client, 1 + n);
        let at = if n == 0 { cursor.within(1, 1_500) } else { cursor.within(1, 8_000) } * MS;
        let cancelled = cursor.chance(250_000) && n > 0;
        let cancel_at = at + cursor.within(MS, calm_from / 2);
        let (echoed, other) = (cursor.chance(250_000), cursor.chance(300_000));
        let echo_at = at + cursor.within(0, 3_000) * MS;
        let key = format!("key-{n}");
        let plan = plans::spread(plans::drawn(streams, n), streams, n, layout);
        let cancel_at = cancelled.then_some(cancel_at);
        specs.push(JobSpec { at, key: key.clone(), plan: plan.clone(), cancel_at });
        if echoed {
            let plan = if other { plans::drawn(streams, n + 100) } else { plan };
            specs.push(JobSpec { at: echo_at, key, plan, cancel_at: None });
        }
    }
    special(streams, layout, &mut specs);
    specs
}

/// What the manner of the case makes of them.
fn special(streams: Streams, layout: Layout, specs: &mut Vec<JobSpec>) {
    let manner = Manner::of(streams, layout);
    if let Some(plan) = manner.first_plan(streams) {
        let key = "key-0".to_owned();
        specs.retain(|spec| spec.key != key);
        specs.insert(0, JobSpec { at: 500 * MS, key, plan, cancel_at: None });
    }
    for n in 0..manner.more_jobs() {
        let mut cursor = streams.cursor(Stream::Client, (1 << 34) + 2 + n);
        let at = cursor.within(500, 9_000) * MS;
        let (key, plan) = (format!("small-{n}"), manner::small(&mut cursor));
        specs.push(JobSpec { at, key, plan, cancel_at: None });
    }
}

/// What else is asked while faults go on.
pub fn asides(streams: Streams, jobs: &[JobSpec], calm_from: u64) -> Vec<Aside> {
    let mut asides = Vec::new();
    for n in 0..3 {
        let mut cursor = streams.cursor(Stream::Client, (1 << 35) + n);
        let client = cursor.within(0, jobs.len() as u64 - 1) as u16;
        let at = cursor.within(2_000 * MS, calm_from);
        let workflows = jobs[usize::from(client)].plan.workflows.len() as u64;
        let workflow = WorkflowIx::new(cursor.within(0, workflows - 1) as u16);
        let width = cursor.pick(&[1, 1, 5, 60]);
        let what = match cursor.draw().below(100) {
            _ if Class::is_sparse(streams) => continue,
            0..=2 => Wish::Stop(workflow),
            3..=19 => Wish::Stats(width),
            20..=24 => Wish::Explain,
            25..=29 => Wish::Watch,
            _ => continue,
        };
        asides.push(Aside { at, client, what });
    }
    asides
}
