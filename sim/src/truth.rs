//! Ground truth: what every engine really did, in true time. Oracles compare with this; nodes never
//! see it.

use std::collections::{BTreeMap, BTreeSet};

use hyperscale_core::ids::{JobId, RunId, WorkflowIx};
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::plan::{Executor, Slice, Stripe};
use hyperscale_core::stats::Totals;

/// Width of the buckets in which issues are counted, nanoseconds of true time.
pub const BUCKET_NS: u64 = 100_000_000;

/// What a run's totals were at one cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cut {
    /// Everything that ended before this plan second, or everything at the end.
    pub second: u32,
    /// The digest of the totals without what the generator saw of itself.
    pub digest: u64,
    /// Seconds in which the generator watched itself, and of those the saturated ones.
    pub generator: (u64, u64),
    /// Iterations that ended.
    pub iterations: u64,
    /// Requests that ended.
    pub requests: u64,
    /// Items issued by then.
    pub issued: u64,
    /// True time of the cut.
    pub at: u64,
}

/// The digest of totals without what the generator saw of itself: a node of an older minor does not
/// hand that on.
pub fn measured_digest(totals: &Totals) -> u64 {
    let measured = Totals { watched: 0, saturated: 0, ..totals.clone() };
    hyperscale_core::digest::of(&measured)
}

/// One run on one life of one worker.
#[derive(Clone, Debug)]
pub struct RunTruth {
    /// The run.
    pub run: RunId,
    /// The worker's place.
    pub host: u16,
    /// Its datacenter.
    pub datacenter: u16,
    /// The worker's life.
    pub life: u32,
    /// Its workflow's place in [`Truth::workflows`].
    pub workflow: usize,
    /// VUs of its share.
    pub vus: u64,
    /// Which items are its shard's.
    pub stripe: Stripe,
    /// The first local item it may issue.
    pub first_item: u64,
    /// When it was prepared.
    pub prepared: u64,
    /// When its first permit took effect.
    pub permitted: Option<u64>,
    /// When the last permit ends, if nothing ends it before.
    pub licensed_until: u64,
    /// When it ended or died with its node.
    pub over: Option<u64>,
    /// The first and last instants at which it issued.
    pub issued_span: Option<(u64, u64)>,
    /// When its last request left.
    pub last_request: u64,
    /// Items issued.
    pub issued: u64,
    /// Its totals at every plan second it reported.
    pub cuts: Vec<Cut>,
    /// Its totals at the end, if it lived to say so.
    pub end: Option<Cut>,
}

impl RunTruth {
    /// The instant after which it surely issues nothing.
    pub fn license_end(&self) -> u64 {
        self.over.map_or(self.licensed_until, |over| over.min(self.licensed_until))
    }
}

/// One workflow of one job over all its runs in all datacenters.
#[derive(Clone, Debug)]
pub struct WorkflowTruth {
    /// The job.
    pub job: JobId,
    /// The workflow.
    pub workflow: WorkflowIx,
    /// What the plan calls it.
    pub name: String,
    /// How its load is planned.
    pub executor: Executor,
    /// Items issued.
    pub issued: u64,
    /// Requests that left.
    pub requests: u64,
    /// When the committed start was proposed, by datacenter.
    pub started: BTreeMap<u16, u64>,
    /// Items issued per [`BUCKET_NS`] of true time since the first.
    pub buckets: Vec<u32>,
    /// The true time of the first bucket.
    pub buckets_from: u64,
    seen: Vec<u64>,
}

/// Everything that engines did.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// Every run on every life.
    pub runs: Vec<RunTruth>,
    /// Every workflow that was ever prepared.
    pub workflows: Vec<WorkflowTruth>,
    /// What is already known to be wrong.
    pub broken: Vec<Violation>,
    by_run: BTreeMap<RunId, Vec<usize>>,
    by_workflow: BTreeMap<(JobId, WorkflowIx), usize>,
    by_shard: BTreeMap<(usize, u16, u16), Vec<usize>>,
    /// Pairs of runs of one shard that were compared.
    pub compared: u64,
    /// Permits that a hanging engine did not take.
    pub stalled: u64,
    /// Every issue, where somebody asks for it: when, the place of its workflow, which index.
    pub arrivals: Option<Vec<(u64, usize, u64)>>,
}

impl Truth {
    /// A run was prepared on a worker's life; gives its place.
    pub fn on_prepared(
        &mut self,
        run: RunId,
        slice: &Slice,
        (host, datacenter, life): (u16, u16, u32),
        now: u64,
    ) -> usize {
        let workflow = self.workflow_of(run, slice);
        let place = self.runs.len();
        self.runs.push(RunTruth {
            run,
            host,
            datacenter,
            life,
            workflow,
            vus: u64::from(slice.share.vus),
            stripe: slice.share.stripe,
            first_item: slice.first,
            prepared: now,
            permitted: None,
            licensed_until: 0,
            over: None,
            issued_span: None,
            last_request: 0,
            issued: 0,
            cuts: Vec::new(),
            end: None,
        });
        self.by_run.entry(run).or_default().push(place);
        self.by_shard.entry((workflow, datacenter, run.shard.shard.get())).or_default().push(place);
        place
    }

    /// A permit took effect: from `now`, until `until`, both true time.
    pub fn on_permitted(&mut self, place: usize, now: u64, until: u64) {
        let truth = &mut self.runs[place];
        truth.permitted.get_or_insert(now);
        truth.licensed_until = until;
        let run = truth.run;
        let shard = (truth.workflow, truth.datacenter, run.shard.shard.get());
        let Some(runs) = self.by_shard.get(&shard) else { return };
        for other in runs.iter().filter(|other| **other != place) {
            let other = &self.runs[*other];
            self.compared += 1;
            if other.permitted.is_some() && other.license_end() > now && until > now {
                self.broken.push(Violation::new(
                    Inv::RunExclusive,
                    format!(
                        "{run:?} may issue from {now} ns while {:?} on host {} may until {} ns",
                        other.run,
                        other.host,
                        other.license_end()
                    ),
                ));
            }
        }
    }

    /// An item was issued at a true time.
    pub fn on_issued(&mut self, place: usize, index: u64, now: u64) {
        let truth = &mut self.runs[place];
        truth.issued += 1;
        truth.issued_span = Some((truth.issued_span.map_or(now, |(first, _)| first), now));
        let run = truth.run;
        let place = truth.workflow;
        if let Some(arrivals) = self.arrivals.as_mut() {
            arrivals.push((now, place, index));
        }
        let workflow = &mut self.workflows[place];
        workflow.issued += 1;
        if workflow.buckets.is_empty() {
            workflow.buckets_from = now;
        }
        let bucket = (now.saturating_sub(workflow.buckets_from) / BUCKET_NS) as usize;
        if bucket >= workflow.buckets.len() {
            workflow.buckets.resize(bucket + 1, 0);
        }
        workflow.buckets[bucket] += 1;
        if !workflow.mark(index) {
            self.broken.push(Violation::new(
                Inv::IndexOnce,
                format!("{run:?} issued index {index} of its workflow again at {now} ns"),
            ));
        }
    }

    /// A request left at a true time.
    pub fn on_request(&mut self, place: usize, now: u64) {
        let truth = &mut self.runs[place];
        truth.last_request = truth.last_request.max(now);
        self.workflows[truth.workflow].requests += 1;
    }

    /// The start of a workflow is committed in a datacenter.
    pub fn on_started(&mut self, datacenter: u16, workflow: (JobId, WorkflowIx), at: u64) {
        if let Some(place) = self.by_workflow.get(&workflow) {
            self.workflows[*place].started.entry(datacenter).or_insert(at);
        }
    }

    /// Every life of a run.
    pub fn lives_of(&self, run: RunId) -> impl Iterator<Item = &RunTruth> {
        self.by_run.get(&run).into_iter().flatten().map(|place| &self.runs[*place])
    }

    /// A workflow, if it was ever prepared.
    pub fn workflow(&self, job: JobId, workflow: WorkflowIx) -> Option<&WorkflowTruth> {
        self.by_workflow.get(&(job, workflow)).map(|place| &self.workflows[*place])
    }

    /// The runs of a workflow.
    pub fn runs_of(&self, job: JobId, workflow: WorkflowIx) -> impl Iterator<Item = &RunTruth> {
        let place = self.by_workflow.get(&(job, workflow)).copied();
        self.runs.iter().filter(move |run| Some(run.workflow) == place)
    }

    /// The runs of a workflow in one datacenter.
    pub fn runs_in(
        &self,
        datacenter: u16,
        (job, workflow): (JobId, WorkflowIx),
    ) -> impl Iterator<Item = &RunTruth> {
        self.runs_of(job, workflow).filter(move |run| run.datacenter == datacenter)
    }

    /// In how many datacenters load of a job was issued.
    pub fn datacenters_of(&self, job: JobId) -> usize {
        let issued = self.runs.iter().filter(|run| run.issued > 0 && run.run.shard.job == job);
        issued.map(|run| run.datacenter).collect::<BTreeSet<_>>().len()
    }

    /// Requests that left, in all.
    pub fn requests(&self) -> u64 {
        self.workflows.iter().map(|workflow| workflow.requests).sum()
    }

    fn workflow_of(&mut self, run: RunId, slice: &Slice) -> usize {
        let key = (run.shard.job, run.shard.workflow);
        if let Some(place) = self.by_workflow.get(&key) {
            return *place;
        }
        let place = self.workflows.len();
        self.workflows.push(WorkflowTruth {
            job: key.0,
            workflow: key.1,
            name: slice.workflow.name.clone(),
            executor: slice.workflow.executor,
            issued: 0,
            requests: 0,
            started: BTreeMap::new(),
            buckets: Vec::new(),
            buckets_from: 0,
            seen: Vec::new(),
        });
        self.by_workflow.insert(key, place);
        place
    }
}

impl WorkflowTruth {
    /// When it first started anywhere.
    pub fn first_started(&self) -> Option<u64> {
        self.started.values().min().copied()
    }

    /// Marks an index as issued; false if it was before.
    fn mark(&mut self, index: u64) -> bool {
        let (word, bit) = ((index / 64) as usize, 1 << (index % 64));
        if word >= self.seen.len() {
            self.seen.resize(word + 1, 0);
        }
        let fresh = self.seen[word] & bit == 0;
        self.seen[word] |= bit;
        fresh
    }
}
