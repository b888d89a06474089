//! What happened to a node, so that its life can be replayed. One JSON array a line: a life begins
//! with `[format, {node, ..}]`, everything else is `[nanoseconds, input]`. A node that starts again
//! goes on in the same file, so that what led to a crash is kept.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use hyperscale_core::input::Input;
use hyperscale_core::time::Instant;
use serde::Serialize;

/// The format's version.
pub const FORMAT: u32 = 1;
/// What is written reaches the system at least so often while inputs come.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// Writes the inputs of one node.
#[derive(Debug)]
pub struct Recorder {
    out: BufWriter<File>,
    flushed: Instant,
    failed: bool,
}

impl Recorder {
    /// Opens or creates the file and writes the life's first line: format, role, configuration and
    /// boot.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(path: &Path, head: &impl Serialize) -> io::Result<Self> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let mut out = BufWriter::new(OpenOptions::new().create(true).append(true).open(path)?);
        serde_json::to_writer(&mut out, &(FORMAT, head))?;
        out.write_all(b"\n")?;
        out.flush()?;
        Ok(Self { out, flushed: Instant::ZERO, failed: false })
    }

    /// Writes one input. A recording that cannot be written ends with a warning; the node goes on.
    pub fn record(&mut self, now: Instant, input: &Input) {
        if self.failed {
            return;
        }
        let line = serde_json::to_writer(&mut self.out, &(now.as_nanos(), input))
            .map_err(io::Error::from)
            .and_then(|()| self.out.write_all(b"\n"))
            .and_then(|()| self.flush(now));
        if let Err(error) = line {
            self.failed = true;
            tracing::warn!(%error, "the recording ends here");
        }
    }

    fn flush(&mut self, now: Instant) -> io::Result<()> {
        if now.since(self.flushed) < FLUSH_EVERY {
            return Ok(());
        }
        self.flushed = now;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_life_is_added_to_the_first() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("deep/node.jsonl");
        for node in [1, 2] {
            let mut recorder = Recorder::create(&path, &node).expect("created");
            recorder.record(Instant::from_nanos(7), &Input::Wake);
        }
        let text = fs::read_to_string(&path).expect("read");
        assert_eq!(text, "[1,1]\n[7,\"Wake\"]\n[1,2]\n[7,\"Wake\"]\n");
    }
}
