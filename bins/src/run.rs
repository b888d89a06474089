//! `run`: a whole cluster in this process, one job, its progress and its summary.
//!
//! The first signal cancels the job and the partial summary is still printed; the second ends the
//! process at once.

use std::time::{Duration, Instant, SystemTime};

use hyperscale_core::api::{Command, Refusal, Reply};
use hyperscale_core::ids::JobId;
use hyperscale_runtime::api::view;
use hyperscale_runtime::boot;
use hyperscale_runtime::calls::{CallError, Gate};
use hyperscale_runtime::summary::Summary;
use tokio::sync::broadcast;

use crate::args;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::nodes::Local;
use crate::output;
use crate::plan_file::PlanFile;
use crate::progress::Progress;

/// How long the gate may take until it can commit.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// How often the job is looked at although no update came.
const LOOK_EVERY: Duration = Duration::from_secs(2);

pub(crate) async fn run(args: &args::Run, color: bool) -> Result<Exit, Failure> {
    let file = PlanFile::read(&args.plan)?;
    if !args.quiet {
        let version = env!("CARGO_PKG_VERSION");
        output::line(&format!("hyperscale {version}, {}", file.describe()));
    }
    let interrupt = Interrupt::listen()?;
    let mut cluster = Local::start(args)?;
    let progress = Progress::new(args.quiet, file.durations());
    let mut running = Running { gate: cluster.gate(), interrupt, progress, interrupted: false };
    let outcome = tokio::select! {
        biased;
        failed = cluster.failed() => Err(failed),
        outcome = running.job(file) => outcome,
    };
    running.progress.finish();
    drop(cluster);
    let summary = outcome?;
    output::text(&summary.text(color));
    if let Some(path) = &args.summary_export {
        output::export(path, &summary)?;
    }
    Ok(Exit::of(&summary, running.interrupted))
}

struct Running {
    gate: Gate,
    interrupt: Interrupt,
    progress: Progress,
    /// A signal came, and the job's cancel is committed.
    interrupted: bool,
}

impl Running {
    async fn job(&mut self, file: PlanFile) -> Result<Summary, Failure> {
        let key = format!("run-{:016x}", boot::entropy());
        let submit = Command::Submit { key, plan: Box::new(file.plan) };
        let mut live = self.gate.updates();
        let Reply::Submitted { job, .. } = self.ask(submit).await? else {
            return Err(unexpected());
        };
        self.followed(job, &mut live).await?;
        match self.ask(Command::Result(job)).await? {
            Reply::Result(result) => Ok(Summary::of(&result, SystemTime::now())),
            _ => Err(unexpected()),
        }
    }

    async fn followed(
        &mut self,
        job: JobId,
        live: &mut broadcast::Receiver<hyperscale_runtime::calls::Published>,
    ) -> Result<(), Failure> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        let interrupt = self.interrupt.clone();
        loop {
            tokio::select! {
                update = live.recv() => match update {
                    Ok((of, update)) if of == job => {
                        self.progress.on_update(&view::Job::from(&*update.view));
                        if update.view.status.is_terminal() {
                            return Ok(());
                        }
                    }
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return Err(gone()),
                },
                _ = look.tick() => {
                    if self.ended(job).await? {
                        return Ok(());
                    }
                }
                () = interrupt.asked(), if !self.interrupted => self.cancel(job).await?,
            }
        }
    }

    async fn ended(&mut self, job: JobId) -> Result<bool, Failure> {
        match self.ask(Command::Status(job)).await? {
            Reply::Status(view) => Ok(view.status.is_terminal()),
            _ => Err(unexpected()),
        }
    }

    /// A job that has just ended needs no cancel, and is then not interrupted.
    async fn cancel(&mut self, job: JobId) -> Result<(), Failure> {
        output::note("interrupted: cancelling, press again to stop at once");
        match self.gate.ask(Command::Cancel(job)).await {
            Ok(Reply::Refused(Refusal::AlreadyEnded(_))) => Ok(()),
            Ok(Reply::Cancelling(_)) => {
                self.interrupted = true;
                Ok(())
            }
            Ok(_) => Err(unexpected()),
            Err(error) => Err(Failure::new(Exit::Interrupted, error)),
        }
    }

    /// Asks until the gate can commit; every command is repeatable.
    async fn ask(&self, command: Command) -> Result<Reply, Failure> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let again = match self.gate.ask(command.clone()).await {
                Ok(Reply::Refused(Refusal::PlanInvalid(why))) => {
                    return Err(Failure::new(Exit::Invalid, why));
                }
                Ok(Reply::Refused(refusal @ (Refusal::NotReady | Refusal::OutcomeUnknown))) => {
                    format!("{refusal:?}")
                }
                Ok(Reply::Refused(refusal)) => return Err(Failure::other(format!("{refusal:?}"))),
                Ok(reply) => return Ok(reply),
                Err(CallError::Busy) => CallError::Busy.to_string(),
                Err(CallError::Gone) => return Err(gone()),
            };
            if Instant::now() > deadline {
                let message = format!("the gate is not ready: {again}");
                return Err(Failure::new(Exit::Unavailable, message));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn gone() -> Failure {
    Failure::new(Exit::Internal, "the gate stopped; its log says why")
}

fn unexpected() -> Failure {
    Failure::new(Exit::Internal, "the gate's answer does not fit the request")
}

#[cfg(test)]
mod tests;
