//! Claims: a gate that took a job over tells the datacenters of its parts where to report.
//!
//! A claim names the entry that gave the job to this gate. It is sent again with back-off until a
//! report about the part arrives here. Volatile, and only of jobs that this gate acts for.

use std::collections::BTreeMap;
use std::time::Duration;

use super::state::Committed;
use crate::ids::{JobId, PartId};
use crate::machine::{Cx, Wake};
use crate::rng::Stream;
use crate::stat::Stat;
use crate::timers::Timers;
use crate::wire::Claim;

/// The last doubling of the resend interval.
const DOUBLINGS: u32 = 4;

/// The parts whose datacenters were not heard since this gate took their jobs over.
#[derive(Debug)]
pub(super) struct Claims {
    resend_after: Duration,
    open: BTreeMap<PartId, Open>,
    timers: Timers<PartId>,
}

#[derive(Debug)]
struct Open {
    datacenter: String,
    attempts: u32,
}

/// A claim that leaves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Claimed {
    pub(super) datacenter: String,
    pub(super) attempt: u32,
    pub(super) claim: Claim,
}

impl Claims {
    pub(super) fn new(resend_after: Duration) -> Self {
        Self { resend_after, open: BTreeMap::new(), timers: Timers::new() }
    }

    /// A part of a job that was taken over, in its datacenter.
    pub(super) fn on_taken(
        &mut self,
        cx: &mut Cx<'_>,
        committed: Committed<'_>,
        part: PartId,
        datacenter: &str,
    ) -> Option<Claimed> {
        self.open.insert(part, Open { datacenter: datacenter.to_owned(), attempts: 0 });
        self.send(cx, committed, part)
    }

    /// A report about the part arrived here.
    pub(super) fn on_heard(&mut self, part: PartId) {
        self.open.remove(&part);
        self.timers.cancel(&part);
    }

    /// This gate does not act for the job any more.
    pub(super) fn forget(&mut self, job: JobId) {
        let parts: Vec<_> = self.open.keys().filter(|part| part.job == job).copied().collect();
        parts.into_iter().for_each(|part| self.on_heard(part));
    }

    /// The claims that are due again.
    pub(super) fn on_wake(&mut self, cx: &mut Cx<'_>, committed: Committed<'_>) -> Vec<Claimed> {
        let mut due = Vec::new();
        while let Some(part) = self.timers.pop_due(cx.now()) {
            cx.count(Stat::Resent);
            due.extend(self.send(cx, committed, part));
        }
        due
    }

    /// When a claim is due again.
    pub(super) fn next_wake(&self) -> Option<Wake> {
        self.timers.next().map(|(at, _)| Wake { at, why: "claim again" })
    }

    /// The jobs that parts are claimed of.
    pub(super) fn jobs(&self) -> impl Iterator<Item = JobId> {
        self.open.keys().map(|part| part.job)
    }

    /// Whether every datacenter was heard.
    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    fn send(&mut self, cx: &mut Cx<'_>, committed: Committed<'_>, part: PartId) -> Option<Claimed> {
        let open = self.open.get_mut(&part)?;
        let job = committed.ledger.job(part.job)?;
        let attempt = open.attempts;
        open.attempts = attempt.saturating_add(1);
        let wait = self.resend_after.saturating_mul(1 << attempt.min(DOUBLINGS));
        let wait = cx.rng(Stream::Backoff).between(wait, wait.saturating_add(wait / 4));
        self.timers.set(part, cx.now().after(wait));
        cx.count(Stat::PartClaimed);
        let claim = Claim { part, fence: committed.fence(job.owner.fence) };
        Some(Claimed { datacenter: open.datacenter.clone(), attempt, claim })
    }
}
