//! control-never-shed, retry-after and queue-fair: what gates turn away, how clients take it, and
//! whose turn it is.

use std::collections::BTreeMap;

use hyperscale_core::api::{Command, Refusal, Reply};
use hyperscale_core::effect::Effect;
use hyperscale_core::flow::Level;
use hyperscale_core::gate::GateLedger;
use hyperscale_core::gate::models::Job;
use hyperscale_core::ids::{CallId, JobId, LogIndex};
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::plan::Datacenters;

use super::{Oracle, Seen, View, Wants, broken};

/// However overloaded a gate is, neither a cancel nor a look at the cluster is turned away.
#[derive(Debug, Default)]
pub(super) struct ControlNeverShed {
    called: BTreeMap<CallId, Level>,
    judged: u64,
}

impl Oracle for ControlNeverShed {
    fn inv(&self) -> Inv {
        Inv::ControlNeverShed
    }
    fn wants(&self) -> Wants {
        Wants::CALLED.and(Wants::GIVEN)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Called {
                host,
                call,
                command: Command::Cancel(_) | Command::CancelWorkflow { .. } | Command::Cluster,
            } => {
                let now = view.hosts[usize::from(*host)].local(view.now);
                let level = view.gate(*host).map(|gate| gate.level(now)).unwrap_or_default();
                self.called.insert(*call, level);
            }
            Seen::Given { host, effect: Effect::Reply { call, reply, .. } } => {
                let Some(level) = self.called.remove(call) else { return Ok(()) };
                self.judged += u64::from(level > Level::Healthy);
                let refused = matches!(
                    **reply,
                    Reply::Refused(Refusal::Busy { .. } | Refusal::Limited { .. } | Refusal::Full)
                );
                if refused {
                    let detail = format!("gate {host}, {}: {reply:?}", level.name());
                    return broken(self.inv(), detail);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// A client that was told when to come back asks nobody before.
#[derive(Debug, Default)]
pub(super) struct RetryAfter {
    judged: u64,
}

impl Oracle for RetryAfter {
    fn inv(&self) -> Inv {
        Inv::RetryAfter
    }
    fn wants(&self) -> Wants {
        Wants::LOOKED.and(Wants::OVER)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, _: &Seen<'_>) -> Result<(), Violation> {
        self.judged = view.patrons.iter().map(|patron| patron.told_to_wait).sum();
        match view.patrons.iter().find_map(|patron| patron.early.clone()) {
            Some(early) => broken(self.inv(), early),
            None => Ok(()),
        }
    }
}

/// No more jobs run than may. Among jobs that need the same datacenters the older of a tenant goes
/// first, and no tenant has its turn again and again while another waits.
#[derive(Debug, Default)]
pub(super) struct QueueFair {
    /// The datacenters that each job asked for.
    wishes: BTreeMap<JobId, Datacenters>,
    judged: u64,
}

impl Oracle for QueueFair {
    fn inv(&self) -> Inv {
        Inv::QueueFair
    }
    fn wants(&self) -> Wants {
        Wants::APPLIED
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        let Seen::Applied { host, .. } = seen else { return Ok(()) };
        let Some(gate) = view.gate(*host) else { return Ok(()) };
        let (ledger, most) = (gate.ledger(), view.case.gate.admission.jobs_running_max);
        let running = ledger.admitted_count();
        if running > most as usize {
            return broken(self.inv(), format!("gate {host}: {running} admitted, {most} may be"));
        }
        for (id, job) in ledger.live() {
            if let Some(plan) = &job.plan {
                self.wishes.entry(id).or_insert_with(|| plan.datacenters.clone());
            }
        }
        for (id, job) in ledger.waiting() {
            self.judged += 1;
            if let Some(detail) = self.overtaken(ledger, (id, job), most as usize) {
                return broken(self.inv(), format!("gate {host}: {detail}"));
            }
        }
        Ok(())
    }
}

impl QueueFair {
    /// Who went before a job that waits and should not have.
    fn overtaken(
        &self,
        ledger: &GateLedger,
        (id, job): (JobId, &Job),
        most: usize,
    ) -> Option<String> {
        let wanted = self.wishes.get(&id);
        let mut turns: BTreeMap<&str, usize> = BTreeMap::new();
        let mut own = 0;
        for (other_id, other) in ledger.jobs() {
            let came = other.admitted.is_some_and(|turn| turn > LogIndex::new(id.get()));
            own += usize::from(came && other.tenant == job.tenant);
            let alike = self.wishes.get(&other_id) == wanted;
            let Some(turn) = other.admitted.filter(|_| alike) else { continue };
            if other.tenant == job.tenant && other_id > id {
                return Some(format!("{other_id} went before {id} of the same tenant"));
            }
            if other.tenant != job.tenant && turn > LogIndex::new(id.get()) {
                *turns.entry(other.tenant.as_str()).or_default() += 1;
            }
        }
        // What was in flight when the job came, one turn of each tenant, and one more for each turn
        // that older jobs of the job's own tenant had.
        let (tenant, count) = turns.into_iter().find(|(_, count)| *count > most + 1 + own)?;
        Some(format!("{tenant} had {count} turns while {id} waited"))
    }
}
