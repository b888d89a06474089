//! `--record FILE`: what happened to a node, so that its life can be replayed. One JSON object a
//! line: the first names the recording's format and the node, every other is `[nanoseconds,
//! input]`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use hyperscale_core::input::Input;
use hyperscale_core::time::Instant;
use serde::Serialize;

/// The format's version.
pub const FORMAT: u32 = 1;

/// Writes the inputs of one node.
#[derive(Debug)]
pub struct Recorder {
    out: BufWriter<File>,
    failed: bool,
}

impl Recorder {
    /// Creates the file and writes the first line: format, role, configuration and boot.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(path: &Path, head: &impl Serialize) -> io::Result<Self> {
        let mut out = BufWriter::new(File::create(path)?);
        serde_json::to_writer(&mut out, &(FORMAT, head))?;
        out.write_all(b"\n")?;
        Ok(Self { out, failed: false })
    }

    /// Writes one input. A recording that cannot be written ends with a warning; the node goes on.
    pub fn record(&mut self, now: Instant, input: &Input) {
        if self.failed {
            return;
        }
        let line = serde_json::to_writer(&mut self.out, &(now.as_nanos(), input))
            .map_err(io::Error::from)
            .and_then(|()| self.out.write_all(b"\n"));
        if let Err(error) = line {
            self.failed = true;
            tracing::warn!(%error, "the recording ends here");
        }
    }
}
