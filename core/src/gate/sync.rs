//! Judges what managers report about parts: what is new, what is late, what is nobody's.
//!
//! A report counts when it comes from the datacenter that the part is placed in, under the group's
//! fences, with a higher sequence than the last. A part is placed in a datacenter once at most, so
//! that any fence from the offer on is of that offer: a claim raises it. The end of a part is taken
//! whatever its sequence: nothing follows it. A datacenter that has ended a part is told so
//! (`Settled`) as often as it asks, but only once the end is committed; one that holds a part it
//! should not hold is told to end it (`Orphaned`). Totals of a workflow that goes on never go back
//! to an earlier plan second. State: the newest live view of every part of a
//! live job, volatile.

use std::collections::BTreeMap;

use super::models::{Job, Part, PartEnd};
use super::state::Committed;
use super::stats::{fits, fits_live};
use crate::ids::{JobId, LogIndex, PartId, WorkflowIx};
use crate::limits;
use crate::machine::Cx;
use crate::report::{PartResult, WorkflowStatus, WorkflowView};
use crate::stat::Stat;
use crate::wire::{PartPhase, PartReport};

/// What a report means.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Heard {
    /// Nothing: counted and dropped.
    Nothing,
    /// The reporter waits for an acknowledgement of an end that is committed or that nobody needs.
    Settled,
    /// The reporter holds a part that it must not run.
    Orphaned,
    /// The offer, or the begin, is refused.
    Refused(String),
    /// The offer is accepted.
    Accepted,
    /// The part is being worked on.
    Alive,
    /// The part's result.
    Ended(Box<PartResult>),
}

/// The newest reports of live jobs.
#[derive(Debug, Default)]
pub(super) struct Sync {
    live: BTreeMap<PartId, Live>,
}

#[derive(Debug, Default)]
struct Live {
    /// Which placing `seq` belongs to.
    offer: Option<LogIndex>,
    seq: (u64, u64),
    views: Vec<WorkflowView>,
}

impl Sync {
    /// The newest live view of a part.
    pub(super) fn views(&self, part: PartId) -> &[WorkflowView] {
        self.live.get(&part).map_or(&[], |live| &live.views)
    }

    /// Workflows that are cancelled, and that the newest view of a part shows as if they were not.
    pub(super) fn untouched(&self, part: PartId, job: &Job) -> Vec<WorkflowIx> {
        let shown = |ix: WorkflowIx| self.views(part).iter().find(|view| view.workflow == ix);
        let goes_on = |view: &WorkflowView| {
            !view.status.is_terminal() && view.status != WorkflowStatus::Cancelling
        };
        let stopped = job.stopped.iter().map(|stopped| stopped.workflow);
        stopped.filter(|ix| shown(*ix).is_some_and(goes_on)).collect()
    }

    /// A job has ended.
    pub(super) fn forget(&mut self, job: JobId) {
        self.live.retain(|part, _| part.job != job);
    }

    /// Whether nothing is kept.
    pub(super) fn is_idle(&self) -> bool {
        self.live.is_empty()
    }

    /// Judges a report from a manager of `datacenter`.
    pub(super) fn on_report(
        &mut self,
        cx: &mut Cx<'_>,
        committed: Committed<'_>,
        datacenter: &str,
        report: PartReport,
    ) -> Heard {
        let id = report.part.job;
        let job = committed.ledger.job(id);
        let parts = job.map_or(limits::DATACENTERS_MAX, |job| job.parts.len());
        let known = usize::from(report.part.part.get()) < parts
            && report.fence.group == committed.group
            && id.get() <= committed.index.get();
        if !known {
            cx.count(Stat::MessageForeign);
            return Heard::Nothing;
        }
        if report.fence.index > committed.index {
            // The part has obeyed an entry that is not applied here yet.
            cx.count(Stat::MessageStale);
            return Heard::Nothing;
        }
        let part = job.and_then(|job| job.part(report.part.part));
        match part.filter(|part| part.offer.is_some() && part.datacenter == datacenter) {
            Some(part) if part.end.is_none() => self.judge(cx, committed, report),
            Some(part) => after_end(cx, part, &report.phase),
            None => {
                cx.count(Stat::MessageStale);
                not_placed(&report.phase)
            }
        }
    }

    fn judge(&mut self, cx: &mut Cx<'_>, committed: Committed<'_>, report: PartReport) -> Heard {
        let PartReport { part: id, fence, seq, phase, workflows } = report;
        let job = committed.ledger.job(id.job);
        let placed = job.and_then(|job| Some((job, job.part(id.part)?, job.plan.as_deref()?)));
        let Some((job, part, plan)) = placed else { return Heard::Nothing };
        let live = self.live.entry(id).or_default();
        if live.offer != part.offer {
            *live = Live { offer: part.offer, ..Live::default() };
        }
        let ended = matches!(phase, PartPhase::Ended(_));
        if seq <= live.seq && !ended {
            cx.count(Stat::ReportStale);
            return Heard::Nothing;
        }
        let offered = part.begun.is_none() && job.cancel.is_none();
        let heard = match phase {
            PartPhase::Refused { reason }
                if job.cancel.is_none() && Some(fence.index) >= part.begun.or(part.offer) =>
            {
                Heard::Refused(reason)
            }
            PartPhase::Accepted if offered && Some(fence.index) >= part.offer => Heard::Accepted,
            PartPhase::Running | PartPhase::Cancelling if part.begun.is_some() => {
                if !fits_live(plan, &workflows) {
                    cx.count(Stat::MessageForeign);
                    return Heard::Nothing;
                }
                Heard::Alive
            }
            PartPhase::Ended(_) if offered => {
                Heard::Refused("the datacenter ended the part before it began".into())
            }
            PartPhase::Ended(result) if fits(plan, id.part, &result) => Heard::Ended(result),
            PartPhase::Ended(_) => {
                cx.count(Stat::MessageForeign);
                return Heard::Nothing;
            }
            PartPhase::Refused { .. }
            | PartPhase::Accepted
            | PartPhase::Running
            | PartPhase::Cancelling => {
                cx.count(Stat::MessageStale);
                return Heard::Nothing;
            }
        };
        live.seq = live.seq.max(seq);
        if heard == Heard::Alive && !workflows.is_empty() {
            let mut views = workflows.into_vec();
            for view in views.iter_mut().filter(|view| !view.status.is_terminal()) {
                let known = live.views.iter().find(|known| known.workflow == view.workflow);
                // A new leader there has yet to hear what the one before knew.
                if let Some(known) = known.filter(|known| known.second >= view.second) {
                    if known.second > view.second {
                        cx.count(Stat::ViewStale);
                    }
                    (view.second, view.shards_late) = (known.second, known.shards_late);
                    view.totals.clone_from(&known.totals);
                }
            }
            live.views = views;
        }
        heard
    }
}

fn after_end(cx: &mut Cx<'_>, part: &Part, phase: &PartPhase) -> Heard {
    let reported = part.end == Some(PartEnd::Reported);
    match phase {
        PartPhase::Ended(_) if reported => Heard::Settled,
        PartPhase::Ended(_) => {
            cx.count(Stat::PartResultLate);
            Heard::Settled
        }
        PartPhase::Accepted | PartPhase::Running | PartPhase::Cancelling if !reported => {
            cx.count(Stat::MessageStale);
            Heard::Orphaned
        }
        PartPhase::Refused { .. }
        | PartPhase::Accepted
        | PartPhase::Running
        | PartPhase::Cancelling => {
            cx.count(Stat::ReportStale);
            Heard::Nothing
        }
    }
}

fn not_placed(phase: &PartPhase) -> Heard {
    match phase {
        PartPhase::Ended(_) => Heard::Settled,
        PartPhase::Accepted | PartPhase::Running | PartPhase::Cancelling => Heard::Orphaned,
        PartPhase::Refused { .. } => Heard::Nothing,
    }
}
