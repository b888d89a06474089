//! What the three node programs share: arguments, configuration, logging, signals, exit codes.
//!
//! A setting comes from the configuration file alone; the command line says where it is and how to
//! log, `RUST_LOG` what. The first SIGTERM or SIGINT asks the node to drain, the second ends the
//! process at once.

use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args as _, Command, FromArgMatches as _};
use hyperscale_runtime::config::{self, NodeFile};
use tracing_subscriber::filter::LevelFilter;

use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::log::{self, Format};
use crate::nodes;
use crate::output;

/// What a signal does, as `--help` shows it.
const SIGNALS: &str = "Signals:
    The first SIGTERM or SIGINT drains the node: it takes nothing new, hands over what others can
    go on with (a gate its jobs, a leader its leadership), finishes the rest and ends with 0; after
    `drain_timeout_ms` (30 s) it ends all the same. `POST /v1/drain` asks a gate for the same.
    Nodes drain one by one, each on its own signal. The second signal ends the process at once.";

#[derive(clap::Args, Debug)]
struct Args {
    /// The node's TOML file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Check the file, start nothing
    #[arg(long)]
    validate_config: bool,
    /// Shape of log lines on standard error; RUST_LOG chooses them (default: info)
    #[arg(long, value_enum, default_value_t)]
    log_format: Format,
}

/// Where a node was started from and what stops it.
#[derive(Debug)]
pub(crate) struct Launch {
    /// Its file, for messages.
    pub(crate) config: PathBuf,
    /// The signals.
    pub(crate) interrupt: Interrupt,
}

/// A gate.
pub fn gate() -> ExitCode {
    main("hyperscale-gate", nodes::run_gate)
}

/// A manager.
pub fn manager() -> ExitCode {
    main("hyperscale-manager", nodes::run_manager)
}

/// A worker.
pub fn worker() -> ExitCode {
    main("hyperscale-worker", nodes::run_worker)
}

/// Runs a node until it has drained.
fn main<F, R>(name: &'static str, run: impl FnOnce(F, Launch) -> R) -> ExitCode
where
    F: NodeFile,
    R: Future<Output = Result<(), Failure>>,
{
    let command = Args::augment_args(Command::new(name))
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(format!("{SIGNALS}\n\n{}", exit::HELP));
    let args = match Args::from_arg_matches(&command.get_matches()) {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    log::init(args.log_format, LevelFilter::INFO, false);
    super::ended(started(args, run))
}

fn started<F, R>(args: Args, run: impl FnOnce(F, Launch) -> R) -> Result<Exit, Failure>
where
    F: NodeFile,
    R: Future<Output = Result<(), Failure>>,
{
    let file: F = config::read(&args.config).map_err(|error| Failure::new(Exit::Invalid, error))?;
    if args.validate_config {
        output::line(&format!("{}: ok", args.config.display()));
        return Ok(Exit::Ok);
    }
    super::runtime()?.block_on(async {
        run(file, Launch { config: args.config, interrupt: Interrupt::listen()? }).await?;
        tracing::info!("drained");
        Ok(Exit::Ok)
    })
}

#[cfg(test)]
mod tests {
    use hyperscale_runtime::config::{GateFile, ManagerFile, WorkerFile};

    use super::*;

    /// Settings that have no default to show.
    const OPTIONAL: [&str; 4] = ["event_log", "listen", "peers", "record"];

    /// The example with those commented settings switched on that are `wanted` by name.
    fn with(text: &str, wanted: impl Fn(&str) -> bool) -> String {
        let setting = |line: &str| {
            let rest = line.strip_prefix('#')?;
            let is_setting = rest.starts_with(|first: char| first.is_ascii_lowercase())
                && wanted(rest.split(' ').next().unwrap_or_default());
            (is_setting || rest.starts_with('[')).then(|| rest.to_owned())
        };
        let lines = text.lines().map(|line| setting(line).unwrap_or_else(|| line.to_owned()));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn check<F: NodeFile + std::fmt::Debug>(name: &str) {
        let path = format!("{}/examples/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).expect("the example");
        let defaults = with(&text, |setting| !OPTIONAL.contains(&setting));
        let [plain, defaults, _] = [text.clone(), defaults, with(&text, |_| true)].map(|text| {
            let file: F = toml_text(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            format!("{file:?}")
        });
        assert_eq!(plain, defaults, "{name}: comments show the defaults");
    }

    fn toml_text<F: NodeFile>(text: &str) -> Result<F, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("node.toml");
        std::fs::write(&path, text).expect("written");
        config::read(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn examples_are_valid_and_their_comments_show_the_defaults() {
        check::<GateFile>("gate.toml");
        check::<ManagerFile>("manager.toml");
        check::<WorkerFile>("worker.toml");
        for node in 1..=3 {
            check::<GateFile>(&format!("cluster/gate{node}.toml"));
            check::<ManagerFile>(&format!("cluster/manager{node}.toml"));
            check::<WorkerFile>(&format!("cluster/worker{node}.toml"));
        }
    }
}
