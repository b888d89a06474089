//! What goes to standard output and to files. Results go to standard output, everything else to
//! standard error.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use hyperscale_runtime::summary::Summary;
use serde::Serialize;

use crate::failure::Failure;

/// Whether outcomes may be colored.
pub(crate) fn color(no_color: bool) -> bool {
    let asked_not = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !no_color && !asked_not && io::stdout().is_terminal()
}

/// One line of the result; flushed, so that a pipe sees it at once. A closed pipe is not an error.
pub(crate) fn line(line: &str) {
    text(&format!("{line}\n"));
}

/// Text of the result.
pub(crate) fn text(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// One line beside the result.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// JSON on standard output.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    line(&serde_json::to_string_pretty(value).map_err(Failure::other)?);
    Ok(())
}

/// The summary as a file.
pub(crate) fn export(path: &Path, summary: &Summary) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(summary).map_err(Failure::other)?;
    std::fs::write(path, text + "\n")
        .map_err(|error| Failure::other(format!("{}: {error}", path.display())))
}
