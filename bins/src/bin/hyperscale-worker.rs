//! A worker: generates load.

use std::process::ExitCode;

fn main() -> ExitCode {
    hyperscale::daemon::worker()
}
