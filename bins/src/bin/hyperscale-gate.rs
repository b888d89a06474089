//! A gate: takes jobs over HTTP and places them in datacenters.

use std::process::ExitCode;

fn main() -> ExitCode {
    hyperscale::daemon::gate()
}
