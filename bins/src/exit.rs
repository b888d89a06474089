//! Exit codes. They are part of the interface: scripts and CI read them.

use std::process::ExitCode;

use hyperscale_runtime::summary::Summary;

/// Why the program ended. When several apply to a finished job, the first of interrupted, degraded,
/// thresholds, other wins: what a degraded run says about thresholds rests on incomplete data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// What was asked is done; a job completed and every threshold held.
    Ok = 0,
    /// None of the others: a job failed or timed out, a file cannot be written, a request was
    /// refused.
    Other = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A node found one of its own invariants broken, or lost its disk, and stopped.
    Internal = 70,
    /// A threshold failed.
    Thresholds = 99,
    /// The plan or the configuration is invalid, or cannot be used here: a port in use, a damaged
    /// journal.
    Invalid = 104,
    /// Interrupted by a signal, or the job was cancelled.
    Interrupted = 105,
    /// Load is missing from the result, or was not issued because nodes failed.
    Degraded = 111,
    /// No gate answered, or none could do it, within the time allowed.
    Unavailable = 112,
}

/// Every code with what it means, as `--help` shows it.
pub(crate) const HELP: &str = "Exit codes:
    0  done; the job completed and every threshold held
    1  other: the job failed or timed out, or the request was refused
    2  wrong command line
   70  internal: a node stopped because of a broken invariant or a failed disk
   99  a threshold failed
  104  invalid plan or configuration
  105  interrupted or cancelled
  111  degraded: load is missing from the result or was not issued
  112  no gate available
When several apply: 105, then 111, then 99, then 1.";

impl Exit {
    /// Of a job that has ended; `interrupted` if this program cancelled it on a signal.
    pub(crate) fn of(summary: &Summary, interrupted: bool) -> Self {
        match summary.status.as_str() {
            _ if interrupted => Self::Interrupted,
            _ if summary.degraded => Self::Degraded,
            "partial" => Self::Degraded,
            _ if summary.results.thresholds.iter().any(|threshold| !threshold.ok) => {
                Self::Thresholds
            }
            "cancelled" => Self::Interrupted,
            "completed" => Self::Ok,
            _ => Self::Other,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use hyperscale_core::ids::JobId;
    use hyperscale_core::report::{JobResult, JobStatus, PartResult, ThresholdOutcome};

    use super::*;

    const ALL: [Exit; 9] = [
        Exit::Ok,
        Exit::Other,
        Exit::Usage,
        Exit::Internal,
        Exit::Thresholds,
        Exit::Invalid,
        Exit::Interrupted,
        Exit::Degraded,
        Exit::Unavailable,
    ];

    fn summary(status: JobStatus, lost: u32, held: bool) -> Summary {
        let threshold = ThresholdOutcome {
            metric: "http_reqs".to_owned(),
            text: "count>1".to_owned(),
            ok: held,
            observed_micro: Some(0),
        };
        let result = JobResult {
            job: JobId::new(1),
            name: String::new(),
            status,
            reason: String::new(),
            ran: Default::default(),
            result: PartResult {
                cancelled: false,
                workers_lost: lost,
                workers: 1,
                workflows: Default::default(),
            },
            parts: Default::default(),
            names: Default::default(),
            thresholds: vec![threshold].try_into().expect("one"),
        };
        Summary::of(&result, std::time::SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn codes_are_the_documented_ones() {
        let codes = ALL.map(|exit| exit as u8);
        assert_eq!(codes, [0, 1, 2, 70, 99, 104, 105, 111, 112]);
        let listed = HELP.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok());
        assert_eq!(listed.collect::<Vec<u8>>(), codes);
        let readme = include_str!("../../README.md");
        for code in codes {
            assert!(readme.contains(&format!("| {code} |")), "README does not list {code}");
        }
    }

    #[test]
    fn a_finished_job_maps_to_the_first_that_applies() {
        let of = |status, lost, held| Exit::of(&summary(status, lost, held), false);
        assert_eq!(of(JobStatus::Completed, 0, true), Exit::Ok);
        assert_eq!(of(JobStatus::Completed, 0, false), Exit::Thresholds);
        assert_eq!(of(JobStatus::Completed, 1, true), Exit::Degraded);
        assert_eq!(of(JobStatus::Completed, 1, false), Exit::Degraded);
        assert_eq!(of(JobStatus::Partial, 0, true), Exit::Degraded);
        assert_eq!(of(JobStatus::Failed, 0, true), Exit::Other);
        assert_eq!(of(JobStatus::Failed, 0, false), Exit::Thresholds);
        assert_eq!(of(JobStatus::TimedOut, 0, true), Exit::Other);
        assert_eq!(of(JobStatus::Cancelled, 0, true), Exit::Interrupted);
        assert_eq!(Exit::of(&summary(JobStatus::Cancelled, 1, false), true), Exit::Interrupted);
    }

    #[test]
    fn readme_names_every_metric() {
        let readme = include_str!("../../README.md");
        for metric in hyperscale_core::plan::Metric::ALL {
            let name = metric.name();
            let short = name.strip_prefix("http_req").unwrap_or(name);
            let named = [name, short].map(|name| readme.contains(&format!("`{name}`")));
            assert!(named.contains(&true), "README does not name {name}");
        }
    }
}
