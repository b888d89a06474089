//! Admission: which submissions become jobs, who waits for which entry, and when keys are
//! forgotten.
//!
//! A submission is answered from its committed entry only. Submissions with a key that is in flight
//! at this gate wait for the same entry: all of them hear the same job. Caps count what is in
//! flight at this gate; whether there is room is decided by the ledger. Keys live for
//! `KEY_RETENTION` at least and twice that at most; a new leader begins the span anew.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ledger::{Applied, GateLedger, Key};
use super::models::GateCommand;
use crate::api::{Refusal, Reply};
use crate::digest;
use crate::ids::{CallId, JobId, LogIndex};
use crate::limits::{JOBS_LIVE_MAX, KEY_BYTES_MAX, KEYS_MAX, PLANS_LIVE_BYTES_MAX};
use crate::machine::{Cx, Wake};
use crate::plan::Plan;
use crate::stat::Stat;
use crate::time::Instant;
use crate::wire::codec;

/// How long a key stands for its job, at least.
const KEY_RETENTION: Duration = Duration::from_secs(24 * 3600);

/// Submissions in flight, and the age of keys.
#[derive(Debug, Default)]
pub(super) struct Registry {
    /// The submission, by number, that is in flight for a key.
    creating: BTreeMap<String, u64>,
    waiting: BTreeMap<u64, Vec<Waiter>>,
    /// Keys of jobs below this entry are old at this instant.
    aging: Option<(JobId, Instant)>,
}

#[derive(Clone, Copy, Debug)]
struct Waiter {
    call: CallId,
    plan_digest: u64,
}

/// What becomes of a submission.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Admission {
    /// It is answered.
    Reply(Reply),
    /// It waits for an entry that is in flight.
    Joined,
    /// It needs an entry that creates a job.
    Propose { key: String, plan_digest: u64, plan: Box<Plan> },
}

impl Registry {
    /// Judges a submission.
    pub(super) fn on_submit(
        &mut self,
        ledger: &GateLedger,
        call: CallId,
        key: String,
        plan: Box<Plan>,
    ) -> Admission {
        let refused = |refusal| Admission::Reply(Reply::Refused(refusal));
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return refused(Refusal::KeyInvalid);
        }
        let plan_digest = digest::of(&plan);
        if let Some(known) = ledger.key(&key) {
            return Admission::Reply(known_reply(known, plan_digest));
        }
        if let Some(seq) = self.creating.get(&key) {
            self.waiting.entry(*seq).or_default().push(Waiter { call, plan_digest });
            return Admission::Joined;
        }
        if let Err(error) = plan.check_again() {
            return refused(Refusal::PlanInvalid(error.to_string()));
        }
        let coming = self.creating.len();
        let bytes = ledger.plan_bytes().saturating_add(codec::length(&*plan));
        if ledger.live_count().saturating_add(coming) >= JOBS_LIVE_MAX
            || bytes > PLANS_LIVE_BYTES_MAX
            || ledger.key_count().saturating_add(coming) >= KEYS_MAX
        {
            return refused(Refusal::Full);
        }
        Admission::Propose { key, plan_digest, plan }
    }

    /// The entry was submitted for a call.
    pub(super) fn on_submitted(&mut self, seq: u64, call: CallId, key: &str, plan_digest: u64) {
        self.creating.insert(key.to_owned(), seq);
        self.waiting.entry(seq).or_default().push(Waiter { call, plan_digest });
    }

    /// Submissions in flight at this gate.
    pub(super) fn coming(&self) -> usize {
        self.creating.len()
    }

    /// The time of a call is up.
    pub(super) fn give_up(&mut self, call: CallId) {
        self.waiting.values_mut().for_each(|all| all.retain(|waiter| waiter.call != call));
    }

    /// The entry is committed: what everyone who waits hears of the job it made.
    pub(super) fn on_committed(
        &mut self,
        seq: u64,
        create: (&str, u64),
        applied: Applied,
    ) -> Vec<(CallId, Reply)> {
        let (key, plan_digest) = create;
        if self.creating.get(key) == Some(&seq) {
            self.creating.remove(key);
        }
        let made = match applied {
            Applied::Created(job) => Some(Key { job, plan_digest }),
            Applied::Known(known) => Some(known),
            Applied::Overtaken
            | Applied::Fenced(_)
            | Applied::Full
            | Applied::Enrolled(_)
            | Applied::Expired(_)
            | Applied::Owned(_)
            | Applied::Placed(_)
            | Applied::Begun(_)
            | Applied::Cancelling(_)
            | Applied::AlreadyEnded(_)
            | Applied::PartEnded(_)
            | Applied::JobEnded(_)
            | Applied::Admitted(_)
            | Applied::Forgot => None,
        };
        let mut fresh = matches!(applied, Applied::Created(_));
        let waiting = self.waiting.remove(&seq).unwrap_or_default().into_iter();
        let answers = waiting.map(|waiter| {
            let reply = match made {
                Some(key) if fresh && key.plan_digest == waiter.plan_digest => {
                    Reply::Submitted { job: key.job, existing: false }
                }
                Some(key) => known_reply(key, waiter.plan_digest),
                None => Reply::Refused(Refusal::Full),
            };
            fresh = false;
            (waiter.call, reply)
        });
        answers.collect()
    }

    /// Another ledger replaced the one that submissions were judged by: which of those in flight it
    /// contains is not known.
    pub(super) fn on_installed(&mut self, ledger: &GateLedger) -> Vec<(CallId, Reply)> {
        let mut answers = Vec::new();
        for (key, seq) in std::mem::take(&mut self.creating) {
            let known = ledger.key(&key);
            for waiter in self.waiting.remove(&seq).unwrap_or_default() {
                let reply = match known {
                    Some(known) => known_reply(known, waiter.plan_digest),
                    None => Reply::Refused(Refusal::OutcomeUnknown),
                };
                answers.push((waiter.call, reply));
            }
        }
        answers
    }

    /// This gate leads no more: keys are another's to forget.
    pub(super) fn on_stood_down(&mut self) {
        self.aging = None;
    }

    /// Keys exist up to this entry: the oldest of them are forgotten in good time.
    pub(super) fn on_keys(&mut self, now: Instant, ledger: &GateLedger, index: LogIndex) {
        if self.aging.is_none() && ledger.key_count() > 0 {
            self.aging = Some((JobId::new(index.next().get()), now.after(KEY_RETENTION)));
        }
    }

    /// Gives the entry that forgets old keys, when it is time.
    pub(super) fn on_wake(&mut self, now: Instant) -> Option<GateCommand> {
        let (before, _) = self.aging.take_if(|(_, at)| *at <= now)?;
        Some(GateCommand::Forget { before })
    }

    /// When keys are old.
    pub(super) fn next_wake(&self) -> Option<Wake> {
        self.aging.map(|(_, at)| Wake { at, why: "forget keys" })
    }

    /// Whether no submission is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.creating.is_empty() && self.waiting.is_empty()
    }
}

/// Counts what a submission came to.
pub(super) fn count(cx: &mut Cx<'_>, reply: &Reply) {
    match reply {
        Reply::Submitted { existing: true, .. } => cx.count(Stat::JobDeduplicated),
        Reply::Submitted { existing: false, .. } => cx.count(Stat::JobCreated),
        Reply::Refused(Refusal::Full) => {
            cx.count(Stat::CapRefused);
            cx.count(Stat::JobRefused);
        }
        Reply::Refused(_) => cx.count(Stat::JobRefused),
        Reply::Jobs(_)
        | Reply::Status(_)
        | Reply::Cancelling(_)
        | Reply::Result(_)
        | Reply::Watching { .. }
        | Reply::Stats(_)
        | Reply::Explained(_)
        | Reply::Cluster(_) => {}
    }
}

fn known_reply(known: Key, plan_digest: u64) -> Reply {
    if known.plan_digest == plan_digest {
        Reply::Submitted { job: known.job, existing: true }
    } else {
        Reply::Refused(Refusal::KeyReused(known.job))
    }
}
