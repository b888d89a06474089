//! The command line's arguments.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use hyperscale_core::ids::DiskId;

use crate::exit;
use crate::log::Format;

/// A distributed load tester.
#[derive(Parser, Debug)]
#[command(name = "hyperscale", version, about, after_help = exit::HELP)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Never color the output; NO_COLOR does the same
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// Shape of log lines on standard error; RUST_LOG chooses them (default: warn)
    #[arg(long, global = true, value_enum, default_value_t)]
    pub(crate) log_format: Format,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run a plan in this process: gate, manager and worker in one
    Run(Run),
    /// Check a plan and say where it is wrong
    Validate {
        /// The plan, YAML or JSON
        plan: PathBuf,
    },
    /// Give a plan to a cluster
    Submit(Submit),
    /// Show one job, or all
    Status {
        /// The job, j17 or 17; all if left out
        job: Option<String>,
        /// Print the API's JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Follow a job to its end, then print its summary
    Watch {
        /// The job, j17 or 17
        job: String,
        /// No progress, only the summary
        #[arg(short, long)]
        quiet: bool,
        /// Print every update as a line of JSON with its number, and no summary
        #[arg(long, conflicts_with = "quiet")]
        json: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// End a job
    Cancel {
        /// The job, j17 or 17
        job: String,
        /// Only this workflow and all that depend on it
        #[arg(long, value_name = "NAME")]
        workflow: Option<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Print the summary of a job that has ended
    Result {
        /// The job, j17 or 17
        job: String,
        /// Print the JSON document
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Say why a job's parts run where they do
    Explain(Explain),
    /// Show rate, errors and percentiles of a job over plan time
    Stats(Stats),
    /// Ask about one job
    Job {
        #[command(subcommand)]
        about: About,
    },
    /// Show the cluster as a gate sees it; or found, join and inspect a node's state
    #[command(args_conflicts_with_subcommands = true)]
    Cluster {
        #[command(subcommand)]
        action: Option<Formation>,
        /// Print the API's JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        remote: Remote,
    },
}

/// What is asked about one job.
#[derive(Subcommand, Debug)]
pub(crate) enum About {
    /// Say why its parts run where they do
    Explain(Explain),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Explain {
    /// The job, j17 or 17
    pub(crate) job: String,
    /// Print the API's JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Stats {
    /// The job, j17 or 17
    pub(crate) job: String,
    /// How wide a row is at least
    #[arg(long, value_name = "SPAN", default_value = "1s")]
    pub(crate) window: String,
    /// Print the API's JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// What is done to the state of a gate or manager that does not run.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Formation {
    /// Found a group: once, on its first gate or manager
    Init {
        /// The node's TOML file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Let a further gate or manager join the group of its peers
    Join {
        /// The node's TOML file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Let a gate or manager that lost its disk join in the place of that disk
    Replace {
        /// The node's TOML file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The lost disk, d17 or 17, as `cluster` shows it
        #[arg(long, value_name = "OLD", value_parser = disk)]
        disk: DiskId,
    },
    /// Print who a node is and where its journal stands; it may run
    Show {
        /// The node's TOML file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

fn disk(text: &str) -> Result<DiskId, String> {
    let number = text.strip_prefix('d').unwrap_or(text).parse();
    number.map(DiskId::new).map_err(|_| "not a disk like d17".to_owned())
}

#[derive(Args, Debug)]
pub(crate) struct Run {
    /// The plan, YAML or JSON
    pub(crate) plan: PathBuf,
    /// No progress, only the summary
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Write the summary as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) summary_export: Option<PathBuf>,
    /// Keep the nodes' state here; a temporary folder that is removed otherwise
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Cores that generate load; all by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub(crate) cores: Option<u16>,
    /// Record every node's inputs here, so that its life can be replayed
    #[arg(long, value_name = "DIR")]
    pub(crate) record: Option<PathBuf>,
    /// Append what happens to every node to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(crate) event_log: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Submit {
    /// The plan, YAML or JSON
    pub(crate) plan: PathBuf,
    /// Names this submission: the same key never makes a second job; random by default
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Follow the job to its end, then print its summary
    #[arg(long)]
    pub(crate) watch: bool,
    /// With --watch: no progress, only the summary
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Print one JSON object: job, key, existing
    #[arg(long, conflicts_with = "watch")]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Remote {
    /// A gate's address; repeat it for more
    #[arg(
        long,
        env = "HYPERSCALE_GATES",
        value_name = "URL",
        value_delimiter = ',',
        default_values_t = default_gates()
    )]
    pub(crate) gate: Vec<String>,
    /// How long to try while no gate can answer, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) timeout: u64,
}

/// The older name of the variable, else a gate on this machine.
fn default_gates() -> Vec<String> {
    let known = std::env::var("HYPERSCALE_GATE");
    let known = known.unwrap_or_else(|_| "http://127.0.0.1:7400".to_owned());
    known.split(',').map(str::to_owned).collect()
}

impl Remote {
    pub(crate) const fn patience(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn gates_may_be_repeated_or_separated() {
        let cli = Cli::parse_from(["hyperscale", "cluster", "--gate", "a,b", "--gate", "c"]);
        let Command::Cluster { remote, .. } = cli.command else { panic!("cluster") };
        assert_eq!(remote.gate, ["a", "b", "c"]);
    }

    #[test]
    fn cluster_shows_unless_it_is_told_what_to_do() {
        let parse = |args: &[&str]| match Cli::try_parse_from(args).expect("valid").command {
            Command::Cluster { action, .. } => action,
            other => panic!("{other:?}"),
        };
        assert!(parse(&["hyperscale", "cluster", "--json"]).is_none());
        let args = ["hyperscale", "cluster", "replace", "--config", "f", "--disk", "d17"];
        let Some(Formation::Replace { disk, .. }) = parse(&args) else { panic!("replace") };
        assert_eq!(disk, DiskId::new(17));
        assert!(Cli::try_parse_from(["hyperscale", "cluster", "init"]).is_err());
        let args = ["hyperscale", "cluster", "replace", "--config", "f", "--disk", "x"];
        assert!(Cli::try_parse_from(args).is_err());
    }

    #[test]
    fn a_wrong_command_line_is_code_2_and_help_is_0() {
        let code = |args: &[&str]| Cli::try_parse_from(args).unwrap_err().exit_code();
        assert_eq!(code(&["hyperscale", "run"]), 2);
        assert_eq!(code(&["hyperscale", "run", "p", "--cores", "0"]), 2);
        assert_eq!(code(&["hyperscale", "--help"]), 0);
    }
}
