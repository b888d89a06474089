//! What a client was told, and between which instants: the history that must be linearizable.

use hyperscale_core::api::{Command, Refusal, Reply};
use hyperscale_core::ids::JobId;
use hyperscale_core::report::JobStatus;

/// What an answer says of a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Said {
    /// It exists.
    Created,
    /// This is where it stands.
    Stands(JobStatus),
    /// Its cancel is committed.
    Cancelling,
    /// There is no such job.
    Unknown,
}

/// One answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The job.
    pub job: JobId,
    /// When it was asked, true time.
    pub asked: u64,
    /// When the answer was heard, true time.
    pub heard: u64,
    /// What it says.
    pub said: Said,
}

/// The questions and answers of one client.
#[derive(Clone, Debug, Default)]
pub struct History {
    questions: Vec<(u64, u64, Option<JobId>)>,
    /// Every answer about a job, in the order of hearing.
    pub answers: Vec<Answer>,
    /// When it first asked for the end of a job.
    pub cancelled: Option<(JobId, u64)>,
}

impl History {
    /// It asks.
    pub fn on_asked(&mut self, now: u64, attempt: u64, command: &Command) {
        let job = match command {
            Command::Status(job)
            | Command::Result(job)
            | Command::Cancel(job)
            | Command::Explain(job)
            | Command::CancelWorkflow { job, .. } => Some(*job),
            Command::Submit { .. }
            | Command::List
            | Command::Watch { .. }
            | Command::Stats { .. }
            | Command::Cluster => None,
        };
        if let Command::Cancel(job) = command {
            self.cancelled.get_or_insert((*job, now));
        }
        self.questions.push((attempt, now, job));
    }

    /// It hears. A question that reached a gate twice may be answered twice.
    pub fn on_heard(&mut self, now: u64, attempt: u64, reply: &Reply) {
        let asked = self.questions.iter().rev().find(|(number, ..)| *number == attempt);
        let Some((_, asked, about)) = asked.copied() else { return };
        let (job, said) = match reply {
            Reply::Submitted { job, .. } => (Some(*job), Said::Created),
            Reply::Status(view) => (Some(view.job), Said::Stands(view.status)),
            Reply::Result(result) => (Some(result.job), Said::Stands(result.status)),
            Reply::Cancelling(job) => (Some(*job), Said::Cancelling),
            Reply::Refused(Refusal::AlreadyEnded(status) | Refusal::NotEnded(status)) => {
                (about, Said::Stands(*status))
            }
            Reply::Refused(Refusal::NoSuchJob(job)) => (Some(*job), Said::Unknown),
            _ => return,
        };
        if let Some(job) = job {
            self.answers.push(Answer { job, asked, heard: now, said });
        }
    }
}
