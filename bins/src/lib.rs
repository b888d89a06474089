//! The command line: arguments, the API client, rendering, exit codes. It makes no scheduling
//! decision.
//!
//! Precedence of settings: a flag, then its environment variable (`HYPERSCALE_GATES`), then the
//! default. What a plan says is never overridden.

mod args;
mod client;
mod cluster;
pub mod daemon;
mod exit;
mod explain;
mod failure;
#[cfg(test)]
mod fake;
mod interrupt;
mod log;
mod nodes;
mod output;
mod plan_file;
mod progress;
mod remote;
mod run;
mod windows;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::filter::LevelFilter;

use args::{About, Cli, Command};
use exit::Exit;
use failure::Failure;

/// Runs the command that the process's arguments ask for.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let color = output::color(cli.no_color);
    log::init(cli.log_format, LevelFilter::WARN, color);
    ended(runtime().and_then(|runtime| runtime.block_on(command(&cli.command, color))))
}

async fn command(command: &Command, color: bool) -> Result<Exit, Failure> {
    match command {
        Command::Run(args) => run::run(args, color).await,
        Command::Validate { plan } => {
            let file = plan_file::PlanFile::read(plan)?;
            output::line(&format!("{}: ok, {}", plan.display(), file.describe()));
            Ok(Exit::Ok)
        }
        Command::Submit(args) => remote::submit(args, color).await,
        Command::Status { job, json, remote } => {
            remote::status(remote, job.as_deref(), *json).await
        }
        Command::Watch { job, json: true, remote, .. } => remote::watch_json(remote, job).await,
        Command::Watch { job, quiet, remote, .. } => {
            remote::watch(remote, job, *quiet, color).await
        }
        Command::Cancel { job, workflow, remote } => {
            remote::cancel(remote, job, workflow.as_deref()).await
        }
        Command::Result { job, json, remote } => remote::result(remote, job, *json, color).await,
        Command::Stats(args) => windows::stats(args).await,
        Command::Explain(args) | Command::Job { about: About::Explain(args) } => {
            explain::explain(&args.remote, &args.job, args.json).await
        }
        Command::Cluster { action: Some(action), .. } => cluster::perform(action),
        Command::Cluster { action: None, json, remote } => remote::cluster(remote, *json).await,
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::other(format!("the runtime does not start: {error}")))
}

/// One message on standard error, and the code.
fn ended(outcome: Result<Exit, Failure>) -> ExitCode {
    outcome
        .unwrap_or_else(|failure| {
            output::note(&format!("error: {failure}"));
            failure.exit
        })
        .into()
}
