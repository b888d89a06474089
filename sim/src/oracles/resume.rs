//! load-resumes: after a worker's death the missing load is back within `ttl x (1 + drift) / (1 -
//! drift)^2 + 1 s`, if cores were free and nothing else was in the way.

use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::plan::{Executor, OnWorkerLoss, Priority};

use super::{Oracle, Seen, View, Wants, broken};
use crate::faults::{Class, Fault};

#[derive(Clone, Copy, Debug)]
struct Death {
    at: u64,
    place: usize,
}

/// Runs whose worker died while it issued.
#[derive(Debug, Default)]
pub(super) struct LoadResumes {
    deaths: Vec<Death>,
    judged: u64,
}

impl Oracle for LoadResumes {
    fn inv(&self) -> Inv {
        Inv::LoadResumes
    }
    fn wants(&self) -> Wants {
        Wants::LIVES.and(Wants::OVER)
    }
    fn rests_on_clocks(&self) -> bool {
        true
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Crashed { host } if view.case.layout.is_worker(*host) => {
                self.on_death(view, *host);
                Ok(())
            }
            Seen::Over => {
                let deaths = std::mem::take(&mut self.deaths);
                deaths.iter().try_for_each(|death| self.on_over(view, *death))
            }
            _ => Ok(()),
        }
    }
}

impl LoadResumes {
    fn on_death(&mut self, view: &View<'_>, host: u16) {
        let case = view.case;
        if case.target.stall.is_some() {
            return;
        }
        let blurred = [Class::Loss, Class::Spike, Class::Damage, Class::DriftBeyond];
        if blurred.iter().any(|class| case.has(*class)) || !is_quiet(view, host) {
            return;
        }
        let Some(datacenter) = case.layout.datacenter_of(host) else { return };
        let free: usize = case
            .layout
            .workers(datacenter)
            .filter(|other| *other != host)
            .map(|other| {
                let place = &view.hosts[usize::from(other)];
                let cores = usize::from(case.cores_of(other));
                if place.is_awake() { cores.saturating_sub(place.engine.runs()) } else { 0 }
            })
            .sum();
        let died: Vec<usize> = (0..view.truth.runs.len())
            .filter(|place| {
                let run = &view.truth.runs[*place];
                run.host == host && run.over == Some(view.now) && run.licensed_until > view.now
            })
            .collect();
        let alone = case.jobs.iter().all(|job| job.key == case.jobs[0].key);
        if !died.is_empty() && free >= died.len() && alone {
            self.deaths.extend(died.into_iter().map(|place| Death { at: view.now, place }));
        }
    }

    fn on_over(&mut self, view: &View<'_>, death: Death) -> Result<(), Violation> {
        let run = &view.truth.runs[death.place];
        let bound = bound_ns(view);
        let workflow = &view.truth.workflows[run.workflow];
        let planned = workflow.executor.planned_duration().as_nanos() as u64;
        let plan = &view.case.jobs[0].plan;
        // A free core beside an exclusive workflow is not free for another, nor the other way.
        let shared = plan.workflows.iter().all(|w| w.priority != Priority::Exclusive);
        let replaced = plan.on_worker_loss == OnWorkerLoss::Replace && shared;
        let started = workflow.started.get(&run.datacenter).copied();
        let Some(started) = started.filter(|_| replaced) else { return Ok(()) };
        // Only where the plan goes on well beyond the bound, and has a time of its own.
        let is_timed = !matches!(
            workflow.executor,
            Executor::PerVuIterations { .. } | Executor::SharedIterations { .. }
        );
        if !is_timed || started + planned < death.at + bound + 200_000_000 {
            return Ok(());
        }
        let shard = run.run.shard;
        let next = view
            .truth
            .runs
            .iter()
            .filter(|next| next.datacenter == run.datacenter && next.run.shard == shard)
            .filter_map(|next| next.permitted.filter(|at| *at >= death.at));
        self.judged += 1;
        match next.min() {
            Some(at) if at - death.at <= bound => Ok(()),
            back => broken(
                self.inv(),
                format!(
                    "{:?} died at {} ns, its load was back at {back:?}, the bound is {} ms",
                    run.run,
                    death.at,
                    bound / 1_000_000
                ),
            ),
        }
    }
}

fn bound_ns(view: &View<'_>) -> u64 {
    let lease = view.case.lease;
    let (drift, million) = (u128::from(lease.drift_ppm), 1_000_000_u128);
    let ttl = lease.ttl.as_nanos();
    let wait = ttl * (million + drift) * million / (million - drift) / (million - drift);
    wait as u64 + 1_000_000_000
}

/// No other scheduled fault touches the wait for the replacement.
fn is_quiet(view: &View<'_>, host: u16) -> bool {
    let layout = &view.case.layout;
    let (now, until) = (view.now, view.now + bound_ns(view));
    let touches = |from: u64, span: u64| from < until && from + span + 1_000_000_000 > now;
    view.case.faults.iter().all(|(at, fault)| match fault {
        Fault::Crash { host, .. } if layout.is_gate(*host) => true,
        Fault::Crash { host: other, down, .. } => {
            let own = *other == host && *at <= now;
            own || !touches(*at, down.unwrap_or(until))
        }
        Fault::Pause { host, .. } if layout.is_gate(*host) => true,
        Fault::Pause { span, .. } | Fault::Cut { span, .. } => !touches(*at, *span),
        Fault::Behead { group, down, .. } => group.datacenter().is_none() || !touches(*at, *down),
        Fault::Depose { group, patience, down, .. } => {
            group.datacenter().is_none() || !touches(*at, patience + down)
        }
        Fault::Forget { group, after, span, down, .. } => {
            group.datacenter().is_none() || !touches(*at, after + span + down)
        }
        Fault::Replace { down, .. } => !touches(*at, *down),
        // A worker at its limits has no core to spare, until its samples are old.
        Fault::Strain { .. } => !touches(*at, 12_000_000_000),
        Fault::Drain { patience, down, .. } => !touches(*at, patience + down),
        // An overloaded gate is nothing to a run.
        Fault::Heal { .. } | Fault::Leave { .. } | Fault::Slow { .. } => true,
        // A slow or failing sync strikes at the next sync, whenever that is.
        Fault::SlowSync { host, .. } | Fault::FailSync { host, .. } => {
            !layout.is_manager(*host) || *at > until
        }
    })
}
