//! What the three node programs share: arguments, configuration, logging, signals, exit codes.
//!
//! A setting comes from the configuration file alone; the command line says where it is and how to
//! log, `RUST_LOG` what. The first SIGTERM or SIGINT asks the node to drain, the second ends the
//! process at once.

use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args as _, Command, FromArgMatches as _};
use hyperscale_core::config::ConfigError;
use hyperscale_runtime::config::{self, GateFile, ManagerFile, WorkerFile};
use serde::de::DeserializeOwned;
use tracing_subscriber::filter::LevelFilter;

use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::log::{self, Format};
use crate::nodes;
use crate::output;

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

/// A gate.
pub fn gate() -> ExitCode {
    main("hyperscale-gate", |file: &GateFile| file.checked().map(drop), nodes::run_gate)
}

/// A manager.
pub fn manager() -> ExitCode {
    main("hyperscale-manager", |file: &ManagerFile| file.checked().map(drop), nodes::run_manager)
}

/// A worker.
pub fn worker() -> ExitCode {
    main("hyperscale-worker", |file: &WorkerFile| file.checked().map(drop), nodes::run_worker)
}

/// Runs a node until it has drained.
fn main<F, R>(
    name: &'static str,
    check: impl FnOnce(&F) -> Result<(), ConfigError>,
    run: impl FnOnce(F, Interrupt) -> R,
) -> ExitCode
where
    F: DeserializeOwned,
    R: Future<Output = Result<(), Failure>>,
{
    let command = Args::augment_args(Command::new(name))
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(exit::HELP);
    let args = match Args::from_arg_matches(&command.get_matches()) {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    log::init(args.log_format, LevelFilter::INFO, false);
    super::ended(started(&args, check, run))
}

fn started<F, R>(
    args: &Args,
    check: impl FnOnce(&F) -> Result<(), ConfigError>,
    run: impl FnOnce(F, Interrupt) -> R,
) -> Result<Exit, Failure>
where
    F: DeserializeOwned,
    R: Future<Output = Result<(), Failure>>,
{
    let invalid = |error| Failure::new(Exit::Invalid, error);
    let file: F = config::read(&args.config).map_err(invalid)?;
    check(&file)
        .map_err(|error| invalid(config::FileError::Range { path: args.config.clone(), error }))?;
    if args.validate_config {
        output::line(&format!("{}: ok", args.config.display()));
        return Ok(Exit::Ok);
    }
    super::runtime()?.block_on(async {
        run(file, Interrupt::listen()?).await?;
        tracing::info!("drained");
        Ok(Exit::Ok)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example as it is, and with every commented setting switched on.
    fn both(text: &str) -> [String; 2] {
        let is_setting = |line: &str| {
            let rest = line.strip_prefix('#').unwrap_or_default();
            rest.starts_with(|first: char| first.is_ascii_lowercase() || first == '[')
        };
        let on = text.lines().map(|line| if is_setting(line) { &line[1..] } else { line });
        [text.to_owned(), on.collect::<Vec<_>>().join("\n")]
    }

    fn check<F: DeserializeOwned + PartialEq + std::fmt::Debug>(
        name: &str,
        checked: impl Fn(&F) -> Result<(), ConfigError>,
    ) {
        let path = format!("{}/examples/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).expect("the example");
        let [plain, full] = both(&text).map(|text| {
            let file: F = toml_text(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            checked(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
            file
        });
        let differs = format!("{plain:?}") != format!("{full:?}");
        assert_eq!(differs, name == "worker.toml", "{name}: comments show the defaults");
    }

    fn toml_text<F: DeserializeOwned>(text: &str) -> Result<F, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("node.toml");
        std::fs::write(&path, text).expect("written");
        config::read(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn examples_are_valid_and_their_comments_show_the_defaults() {
        check("gate.toml", |file: &GateFile| file.checked().map(drop));
        check("manager.toml", |file: &ManagerFile| file.checked().map(drop));
        check("worker.toml", |file: &WorkerFile| file.checked().map(drop));
    }
}
