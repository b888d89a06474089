//! Whose turn it is: which of the jobs that wait is admitted next.
//!
//! A job waits while `jobs_running_max` have been admitted and not ended, or while the datacenters
//! that it needs are full: reachable, with cores, none of them free or all of them spoken for. One
//! that is not reachable or has no cores at all is no reason to wait: placing it says why it fails.
//! Tenants take turns, the one admitted longest ago first; within one the oldest job goes first. A
//! job that waits for full datacenters is overtaken only by those that need others: what is free
//! there next is its. After `queue_patience` all that it needs is kept for it, so that one that
//! needs several at a time comes to its turn.
//! Free cores are known a second late, so a job counts as taking what it wants until
//! `SETTLED_AFTER` it was begun.
//!
//! Inputs: the ledger and the datacenters. Only the leader of the gates admits, from all that is
//! committed, so the order is one order (queue-fair) and the cap holds. A submission for which
//! there surely is room is admitted with its own entry. `accept_within` begins with the offer, so
//! waiting counts against no job. Does not do: choose the datacenter (`health`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::ledger::GateLedger;
use super::models::{GateCommand, Job};
use super::models::{Reachability, Standing};
use crate::api::Tenant;
use crate::config::AdmissionConfig;
use crate::ids::{JobId, LogIndex, PartIx};
use crate::machine::Cx;
use crate::plan::{Datacenters, Plan};
use crate::stat::Stat;
use crate::time::Instant;

/// How long after a part was begun the free cores that are known lack those it took.
const SETTLED_AFTER: Duration = Duration::from_millis(2_500);

/// What the leader remembers beside the ledger. All of it may be lost.
#[derive(Debug)]
pub(super) struct Queue {
    config: AdmissionConfig,
    due: bool,
    /// Admitted by an entry that is not applied yet.
    proposed: BTreeSet<JobId>,
    /// When an admitted job was seen to be begun.
    begun: BTreeMap<JobId, Instant>,
    /// Since when a job is overtaken.
    blocked: BTreeMap<JobId, Instant>,
    /// The position that was published last.
    pub(super) shown: BTreeMap<JobId, u32>,
}

/// Whether a job finds room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Room {
    Found,
    Full,
}

/// What is left of a datacenter while turns are given.
#[derive(Clone, Debug)]
struct Site<'a> {
    view: &'a Standing,
    spoken_for: u32,
    kept: bool,
}

impl Queue {
    pub(super) fn new(config: AdmissionConfig) -> Self {
        Self {
            config,
            due: false,
            proposed: BTreeSet::new(),
            begun: BTreeMap::new(),
            blocked: BTreeMap::new(),
            shown: BTreeMap::new(),
        }
    }

    /// Something happened that may let a job go ahead.
    pub(super) fn on_changed(&mut self) {
        self.due = true;
    }

    /// An entry that admits a job is applied.
    pub(super) fn on_admitted(&mut self, id: JobId) {
        self.proposed.remove(&id);
        self.due = true;
    }

    /// This gate leads no more, or begins to: what it had proposed is void or applied.
    pub(super) fn on_leader_changed(&mut self) {
        self.proposed.clear();
        self.blocked.clear();
        self.due = true;
    }

    /// Whether turns are to be given; `true` once per change.
    pub(super) fn take_due(&mut self) -> bool {
        std::mem::take(&mut self.due)
    }

    /// How many jobs may be admitted by the entry that creates one: none if it has to wait.
    pub(super) fn slots(
        &self,
        now: Instant,
        ledger: &GateLedger,
        (plan, coming): (&Plan, usize),
        datacenters: &[Standing],
    ) -> u32 {
        let mut sites = self.sites(now, ledger, datacenters);
        let coming = u32::try_from(coming).unwrap_or(u32::MAX);
        sites.iter_mut().for_each(|site| site.spoken_for = site.spoken_for.saturating_add(coming));
        match room(&sites, plan) {
            Room::Found => self.config.jobs_running_max,
            Room::Full => 0,
        }
    }

    /// The jobs whose turn it is.
    pub(super) fn turns(
        &mut self,
        cx: &mut Cx<'_>,
        ledger: &GateLedger,
        datacenters: &[Standing],
    ) -> Vec<GateCommand> {
        let now = cx.now();
        let most = usize::try_from(self.config.jobs_running_max).unwrap_or(usize::MAX);
        let taken = ledger.admitted_count().saturating_add(self.proposed.len());
        let mut left = most.saturating_sub(taken);
        let mut sites = self.sites(now, ledger, datacenters);
        let mut turns = Vec::new();
        // What was proposed last decides whose turn is next: one batch at a time.
        if !self.proposed.is_empty() {
            return turns;
        }
        for id in order(ledger) {
            let Some(plan) = ledger.job(id).and_then(|job| job.plan.as_deref()) else { continue };
            if left == 0 {
                break;
            }
            if room(&sites, plan) == Room::Full {
                self.overtaken(cx, id, plan, &mut sites);
                continue;
            }
            sites.iter_mut().for_each(|site| site.speak_for(plan, None));
            left = left.saturating_sub(1);
            self.blocked.remove(&id);
            self.proposed.insert(id);
            turns.push(GateCommand::Admit { job: id });
        }
        turns
    }

    pub(super) fn is_idle(&self) -> bool {
        self.begun.is_empty() && self.blocked.is_empty() && self.shown.is_empty()
    }

    fn overtaken(&mut self, cx: &mut Cx<'_>, id: JobId, plan: &Plan, sites: &mut [Site<'_>]) {
        let since = self.blocked.entry(id).or_insert_with(|| {
            cx.count(Stat::JobOvertaken);
            cx.now()
        });
        let aged = cx.now() >= since.after(self.config.queue_patience);
        if aged {
            cx.count(Stat::JobAged);
        }
        for site in sites.iter_mut().filter(|site| site.may_take(plan)) {
            site.kept |= aged || site.is_full(plan);
        }
    }

    /// Remembers when jobs were seen to be begun, and forgets those that have ended.
    pub(super) fn look(&mut self, now: Instant, ledger: &GateLedger) {
        let live = |id: &JobId| ledger.job(*id).is_some_and(|job| !job.status.is_terminal());
        self.begun.retain(|id, _| live(id));
        self.blocked.retain(|id, _| live(id));
        self.shown.retain(|id, _| live(id));
        self.proposed.retain(live);
        for (id, _) in ledger.live().filter(|(_, job)| job.has_begun()) {
            self.begun.entry(id).or_insert(now);
        }
    }

    fn sites<'a>(
        &self,
        now: Instant,
        ledger: &GateLedger,
        datacenters: &'a [Standing],
    ) -> Vec<Site<'a>> {
        let fresh = |view| Site { view, spoken_for: 0, kept: false };
        let mut sites: Vec<_> = datacenters.iter().map(fresh).collect();
        let settled = |id: &JobId| {
            let begun = self.begun.get(id);
            begun.is_some_and(|at| now >= at.after(SETTLED_AFTER))
        };
        for (id, job) in ledger.live() {
            let takes = job.admitted.is_some() || self.proposed.contains(&id);
            let Some(plan) = job.plan.as_deref().filter(|_| takes && !settled(&id)) else {
                continue;
            };
            sites.iter_mut().for_each(|site| site.speak_for(plan, Some(job)));
        }
        sites
    }
}

impl Site<'_> {
    /// Whether it may run a part of the plan.
    fn may_take(&self, plan: &Plan) -> bool {
        match &plan.datacenters {
            Datacenters::Any(_) => true,
            Datacenters::Named(sites) => sites.iter().any(|site| site.name == self.view.name),
        }
    }

    fn is_reachable(&self) -> bool {
        self.view.reachability != Reachability::Unreachable
    }

    /// Whether it has cores that will be free some time, and none for this plan now.
    fn is_full(&self, plan: &Plan) -> bool {
        self.is_reachable() && self.view.cores > 0 && !self.has_room(plan)
    }

    fn has_room(&self, plan: &Plan) -> bool {
        let free = self.view.free;
        let alone = self.spoken_for == 0 && free > 0;
        let beside = self.spoken_for.saturating_add(self.wanted(plan)) <= free;
        self.is_reachable() && !self.kept && (alone || beside)
    }

    /// A job takes what it wants, where its parts are or wherever they may go.
    fn speak_for(&mut self, plan: &Plan, job: Option<&Job>) {
        let placed = job.filter(|job| job.parts.iter().all(|part| part.offer.is_some()));
        let here = match placed {
            Some(job) => job.parts.iter().any(|part| part.datacenter == self.view.name),
            None => self.may_take(plan),
        };
        if here {
            self.spoken_for = self.spoken_for.saturating_add(self.wanted(plan));
        }
    }

    /// The cores that the first workflows of a plan will ask for in one datacenter.
    fn wanted(&self, plan: &Plan) -> u32 {
        let first = plan.workflows.iter().filter(|workflow| workflow.after.is_empty());
        let shards = first.filter_map(|workflow| {
            let share = plan.part_share(PartIx::new(0), &workflow.executor)?;
            let wanted = workflow.executor.shards_wanted(&share, self.view.workers, u32::MAX);
            Some(u32::from(wanted))
        });
        shards.fold(0, u32::saturating_add).max(1)
    }
}

/// Whether there is room for a plan, or none of what it lacks will be free later.
fn room(sites: &[Site<'_>], plan: &Plan) -> Room {
    let may = || sites.iter().filter(|site| site.may_take(plan));
    let open = may().filter(|site| site.has_room(plan)).count();
    let full = may().filter(|site| site.is_full(plan)).count();
    if open < plan.datacenters.count() && full > 0 { Room::Full } else { Room::Found }
}

/// The jobs that wait, in the order of their turns.
pub(super) fn order(ledger: &GateLedger) -> Vec<JobId> {
    let mut tenants: BTreeMap<&Tenant, Vec<JobId>> = BTreeMap::new();
    for (id, job) in ledger.waiting() {
        tenants.entry(&job.tenant).or_default().push(id);
    }
    if tenants.is_empty() {
        return Vec::new();
    }
    let mut last: BTreeMap<&Tenant, LogIndex> = BTreeMap::new();
    for (_, job) in ledger.jobs().filter(|(_, job)| tenants.contains_key(&job.tenant)) {
        let newest = last.entry(&job.tenant).or_default();
        *newest = job.admitted.unwrap_or_default().max(*newest);
    }
    let mut places = Vec::new();
    for (tenant, jobs) in &tenants {
        let turn = last.get(tenant).copied().unwrap_or_default();
        let first = jobs.first().copied();
        places.extend(jobs.iter().enumerate().map(|(round, id)| (round, turn, first, *id)));
    }
    places.sort_unstable();
    places.into_iter().map(|(_, _, _, id)| id).collect()
}
