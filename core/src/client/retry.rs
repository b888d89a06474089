//! When a question is asked again.

use std::time::Duration;

use crate::api::{Refusal, Reply};
use crate::rng::Rng;

const DOUBLINGS: u32 = 4;

/// Back-off of one question: doubles up to 16 times the first wait, with up to a half of jitter on
/// top.
#[derive(Clone, Debug)]
pub struct Retry {
    first: Duration,
    tries: u32,
}

impl Retry {
    /// Nothing was tried yet.
    pub fn new(first: Duration) -> Self {
        Self { first, tries: 0 }
    }

    /// How long to wait before the next try.
    pub fn next_wait(&mut self, rng: &mut Rng) -> Duration {
        let wait = self.first.saturating_mul(1 << self.tries.min(DOUBLINGS));
        self.tries = self.tries.saturating_add(1);
        rng.between(wait, wait.saturating_add(wait / 2))
    }

    /// How long to wait when the gate has asked for at least so much: the back-off goes on top, so
    /// that those it turned away at once do not come back at once.
    pub fn next_wait_beyond(&mut self, rng: &mut Rng, asked: Duration) -> Duration {
        asked.saturating_add(self.next_wait(rng))
    }

    /// There was an answer: the next wait is the first again.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

/// After how long the gate wants to be asked again, if it says so.
pub fn retry_after(reply: &Reply) -> Option<Duration> {
    match reply {
        Reply::Refused(Refusal::Busy { retry_after } | Refusal::Limited { retry_after }) => {
            Some(*retry_after)
        }
        Reply::Refused(_)
        | Reply::Submitted { .. }
        | Reply::Jobs(_)
        | Reply::Status(_)
        | Reply::Cancelling(_)
        | Reply::Result(_)
        | Reply::Watching { .. }
        | Reply::Stats(_)
        | Reply::Explained(_)
        | Reply::Cluster(_) => None,
    }
}

/// Whether the same question may have another answer later.
pub fn is_retryable(reply: &Reply) -> bool {
    match reply {
        Reply::Refused(refusal) => match refusal {
            Refusal::Full
            | Refusal::NotReady
            | Refusal::Draining
            | Refusal::OutcomeUnknown
            | Refusal::Busy { .. }
            | Refusal::Limited { .. }
            | Refusal::Elsewhere { .. } => true,
            Refusal::KeyReused(_)
            | Refusal::KeyInvalid
            | Refusal::NoSuchJob(_)
            | Refusal::NoSuchWorkflow(_)
            | Refusal::NotEnded(_)
            | Refusal::AlreadyEnded(_)
            | Refusal::PlanInvalid(_) => false,
        },
        Reply::Submitted { .. }
        | Reply::Jobs(_)
        | Reply::Status(_)
        | Reply::Cancelling(_)
        | Reply::Result(_)
        | Reply::Watching { .. }
        | Reply::Stats(_)
        | Reply::Explained(_)
        | Reply::Cluster(_) => false,
    }
}
