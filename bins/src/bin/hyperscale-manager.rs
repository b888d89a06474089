//! A manager: schedules the jobs of one datacenter on its workers.

use std::process::ExitCode;

fn main() -> ExitCode {
    hyperscale::daemon::manager()
}
