//! ledger-linear: what clients observe of a job is linearizable.
//!
//! The object is one job. Its states form a chain: absent, waiting, running, cancelling, ended with
//! a status that never changes. Steps up the chain are taken by clients (create, cancel) and by the
//! cluster itself, at any instant; nothing steps down. Every answer names the state at its point of
//! linearization, or bounds it: a created job is not absent, a cancelled one at least cancelling.
//!
//! For this object a history is linearizable if and only if, whenever an answer was heard before
//! another question was asked, the state of the second can be at or above that of the first, and
//! all ended answers name one status, and no cancelled status is heard before somebody asked for a
//! cancel. Only if: points of linearization lie between asking and hearing, hence in order, and
//! states only rise. If: give every answer the lowest state that its bounds and all answers heard
//! before its question allow; order the answers by state, those of one state by the time of asking.
//! That order never puts an answer before one that was heard before its question, since the latter
//! has no higher state and was asked earlier; between two states of the order the cluster, or the
//! client that asked, takes the step. Jobs are independent of each other, so each is judged alone.

use std::collections::BTreeMap;

use hyperscale_core::ids::JobId;
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::report::JobStatus;

use super::{Oracle, Seen, View, Wants, broken};
use crate::history::{Answer, Said};

/// Answers to all clients, job by job.
#[derive(Debug, Default)]
pub(super) struct LedgerLinear {
    judged: u64,
}

impl Oracle for LedgerLinear {
    fn inv(&self) -> Inv {
        Inv::LedgerLinear
    }
    fn wants(&self) -> Wants {
        Wants::OVER
    }
    fn rests_on_clocks(&self) -> bool {
        true
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, _: &Seen<'_>) -> Result<(), Violation> {
        let mut jobs: BTreeMap<JobId, Vec<Answer>> = BTreeMap::new();
        for patron in view.patrons {
            for answer in &patron.history.answers {
                jobs.entry(answer.job).or_default().push(*answer);
            }
        }
        let cancels = view.patrons.iter().filter_map(|patron| patron.history.cancelled);
        let mut cancelled: BTreeMap<JobId, u64> = BTreeMap::new();
        for (job, at) in cancels {
            let first = cancelled.entry(job).or_insert(at);
            *first = at.min(*first);
        }
        for (job, answers) in &jobs {
            self.judged += pairs(answers);
            if let Err(what) = judge(answers, cancelled.get(job).copied()) {
                return broken(self.inv(), format!("{job:?}: {what}"));
            }
        }
        Ok(())
    }
}

fn pairs(answers: &[Answer]) -> u64 {
    let after = |first: &Answer| answers.iter().filter(|next| first.heard < next.asked).count();
    answers.iter().map(after).sum::<usize>() as u64
}

/// Whether the answers about one job can be those of a single one.
fn judge(answers: &[Answer], cancelled: Option<u64>) -> Result<(), String> {
    let mut ended = None;
    for answer in answers {
        let Said::Stands(status) = answer.said else { continue };
        if status.is_terminal() {
            let first = *ended.get_or_insert(status);
            if first != status {
                return Err(format!("ended as {first:?} and as {status:?}"));
            }
        }
        let by_client = status == JobStatus::Cancelled;
        if by_client && cancelled.is_none_or(|asked| asked > answer.heard) {
            return Err(format!("{answer:?}, and nobody had asked"));
        }
    }
    for first in answers {
        let later = answers.iter().filter(|next| first.heard < next.asked);
        for next in later {
            if bounds(first.said).0 > bounds(next.said).1 {
                return Err(format!("{first:?}, and then {next:?}"));
            }
        }
    }
    Ok(())
}

/// The lowest and the highest state that an answer allows.
fn bounds(said: Said) -> (u8, u8) {
    match said {
        Said::Unknown => (0, 0),
        Said::Created => (1, 4),
        Said::Cancelling => (3, 4),
        Said::Stands(JobStatus::Queued | JobStatus::Submitted | JobStatus::Dispatching) => (1, 1),
        Said::Stands(JobStatus::Running) => (2, 2),
        Said::Stands(JobStatus::Cancelling) => (3, 3),
        Said::Stands(
            JobStatus::Completed
            | JobStatus::Failed
            | JobStatus::Cancelled
            | JobStatus::TimedOut
            | JobStatus::Partial,
        ) => (4, 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(asked: u64, heard: u64, said: Said) -> Answer {
        Answer { job: JobId::new(1), asked, heard, said }
    }

    const RUNNING: Said = Said::Stands(JobStatus::Running);
    const COMPLETED: Said = Said::Stands(JobStatus::Completed);

    #[test]
    fn answers_of_questions_that_overlap_may_come_in_any_order() {
        let history = [
            answer(0, 9, Said::Unknown),
            answer(1, 8, Said::Created),
            answer(2, 7, COMPLETED),
            answer(3, 6, RUNNING),
        ];
        assert_eq!(judge(&history, None), Ok(()));
        assert_eq!(pairs(&history), 0);
    }

    #[test]
    fn an_older_answer_after_a_newer_one_is_seen() {
        let stale = |first, then| judge(&[answer(0, 1, first), answer(2, 3, then)], Some(0));
        for (low, high) in [
            (Said::Unknown, Said::Created),
            (Said::Unknown, RUNNING),
            (RUNNING, COMPLETED),
            (RUNNING, Said::Cancelling),
            (Said::Stands(JobStatus::Dispatching), RUNNING),
        ] {
            assert_eq!(stale(low, high), Ok(()));
            assert!(stale(high, low).is_err(), "{high:?} {low:?}");
        }
        assert!(stale(COMPLETED, Said::Stands(JobStatus::Cancelled)).is_err());
        assert!(stale(COMPLETED, Said::Stands(JobStatus::Failed)).is_err());
    }

    #[test]
    fn nothing_is_cancelled_before_somebody_asks() {
        let history = [answer(0, 5, Said::Stands(JobStatus::Cancelled))];
        assert!(judge(&history, None).is_err() && judge(&history, Some(6)).is_err());
        assert_eq!(judge(&history, Some(4)), Ok(()));
    }
}
