//! The event log: what a node did, one JSON object a line, in a file of its own.
//!
//! In: events of the driver. They go through a bounded queue to a thread that writes; a full queue
//! drops events and counts them, and the next line that is written says how many. The file is
//! rotated at `FILE_BYTES_MAX`; rotated files go after `KEPT`, the oldest first when there are more
//! than `FILES_MAX`. Nothing waits for it, and an error of the disk costs lines and nothing else.
//!
//! Does not do: decide anything, or keep a promise. The journal does that.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyperscale_core::ids::NodeId;
use serde::Serialize;

/// Events that wait for the thread.
const WAITING_MAX: usize = 4096;
/// A file is rotated when it is this long.
const FILE_BYTES_MAX: u64 = 50 << 20;
/// A rotated file is kept so long.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// Rotated files beside the open one.
const FILES_MAX: usize = 20;
/// How often old files are looked for when nothing happens.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Something that happened to a node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The node runs.
    Started {
        /// Its build.
        build: &'static str,
    },
    /// A run is being prepared.
    RunStarted {
        /// The run.
        run: String,
    },
    /// A run is ready for its first permit.
    RunPrepared {
        /// The run.
        run: String,
    },
    /// A run could not be prepared.
    RunFailed {
        /// The run.
        run: String,
        /// Why.
        reason: String,
    },
    /// A run was told to end.
    RunStopped {
        /// The run.
        run: String,
    },
    /// A run has ended.
    RunEnded {
        /// The run.
        run: String,
        /// Whether it did all its plan asked.
        completed: bool,
        /// Iterations.
        iterations: u64,
        /// Arrivals dropped.
        dropped: u64,
        /// Plan seconds in which the load generator was at its limit.
        saturated: u64,
    },
    /// Counters that grew since the last such line, by how much.
    Counted {
        /// By the names operators see.
        counters: BTreeMap<&'static str, u64>,
    },
    /// The node was asked to leave.
    Draining,
    /// The node stopped itself.
    Halted {
        /// What it found broken.
        violation: String,
    },
    /// The node has ended.
    Ended,
}

#[derive(Serialize)]
struct Line<'a> {
    /// Milliseconds since 1970.
    at_ms: u64,
    node: NodeId,
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped_before: Option<u64>,
    #[serde(flatten)]
    event: &'a Event,
}

/// Where a node's events go. Clones share the file; the last one to go waits until all is written.
#[derive(Clone, Debug)]
pub struct EventLog {
    node: NodeId,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Option<SyncSender<(u64, NodeId, Event)>>,
    dropped: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

/// Sizes, so that tests need not write 50 MB.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    bytes: u64,
    files: usize,
    kept: Duration,
}

impl EventLog {
    /// Appends to the file at `path`, for `node`.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path, node: NodeId) -> io::Result<Self> {
        let bounds = Bounds { bytes: FILE_BYTES_MAX, files: FILES_MAX, kept: KEPT };
        Self::with(path, node, bounds)
    }

    fn with(path: &Path, node: NodeId, bounds: Bounds) -> io::Result<Self> {
        let writer = Writer::open(path, bounds)?;
        let (queue, events) = sync_channel(WAITING_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&dropped);
        let thread = std::thread::Builder::new()
            .name("event-log".to_owned())
            .spawn(move || write_all(writer, &events, &counter))?;
        let shared = Shared { queue: Some(queue), dropped, thread: Some(thread) };
        Ok(Self { node, shared: Arc::new(shared) })
    }

    /// The same file for another node of this process.
    #[must_use]
    pub fn of(&self, node: NodeId) -> Self {
        Self { node, shared: Arc::clone(&self.shared) }
    }

    /// Writes an event down, some time soon, or drops it.
    pub fn add(&self, event: Event) {
        let Some(queue) = &self.shared.queue else { return };
        if queue.try_send((now_ms(), self.node, event)).is_err() {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // A panic there costs lines and nothing else.
            drop(thread.join());
        }
    }
}

fn write_all(mut writer: Writer, events: &Receiver<(u64, NodeId, Event)>, dropped: &AtomicU64) {
    loop {
        let next = match events.try_recv() {
            Ok(next) => next,
            Err(_) => {
                writer.settle();
                match events.recv_timeout(LOOK_EVERY) {
                    Ok(next) => next,
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        let lost = dropped.swap(0, Ordering::Relaxed);
        let (at_ms, node, event) = &next;
        let dropped_before = (lost > 0).then_some(lost);
        writer.write(&Line { at_ms: *at_ms, node: *node, dropped_before, event });
    }
}

/// The open file and those before it.
#[derive(Debug)]
struct Writer {
    path: PathBuf,
    file: BufWriter<File>,
    len: u64,
    bounds: Bounds,
    told: bool,
}

impl Writer {
    fn open(path: &Path, bounds: Bounds) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let len = file.metadata()?.len();
        let file = BufWriter::new(file);
        Ok(Self { path: path.to_owned(), file, len, bounds, told: false })
    }

    fn write(&mut self, line: &Line<'_>) {
        let Ok(mut text) = serde_json::to_vec(line) else { return };
        text.push(b'\n');
        if self.len + text.len() as u64 > self.bounds.bytes && self.len > 0 {
            let rotated = self.rotate();
            self.tell(rotated);
        }
        let written = self.file.write_all(&text);
        self.len += text.len() as u64;
        self.tell(written);
    }

    /// Nothing waits: what was written reaches the file, and old files go.
    fn settle(&mut self) {
        let flushed = self.file.flush();
        self.tell(flushed);
        self.expire();
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file.flush()?;
        let mut at = now_ms();
        while self.rotated(at).exists() {
            at += 1;
        }
        std::fs::rename(&self.path, self.rotated(at))?;
        let Self { path, bounds, told, .. } = self;
        *self = Self { told: *told, ..Self::open(path, *bounds)? };
        self.expire();
        Ok(())
    }

    fn rotated(&self, at_ms: u64) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{at_ms}"));
        name.into()
    }

    fn expire(&self) {
        let Some(name) = self.path.file_name().and_then(|name| name.to_str()) else { return };
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let Ok(entries) = std::fs::read_dir(dir.unwrap_or(Path::new("."))) else { return };
        let mut old: Vec<(u64, PathBuf)> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let own = path.file_name()?.to_str()?.strip_prefix(name)?.strip_prefix('.')?;
                Some((own.parse().ok()?, path))
            })
            .collect();
        old.sort();
        let limit = now_ms().saturating_sub(self.bounds.kept.as_millis() as u64);
        let surplus = old.len().saturating_sub(self.bounds.files);
        for (place, (at, path)) in old.iter().enumerate() {
            if place < surplus || *at < limit {
                // Another try comes soon.
                drop(std::fs::remove_file(path));
            }
        }
    }

    /// The first error is told, the rest would only repeat it.
    fn tell(&mut self, result: io::Result<()>) {
        if let Err(error) = result
            && !std::mem::replace(&mut self.told, true)
        {
            tracing::warn!(%error, path = %self.path.display(), "the event log loses lines");
        }
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId::new(7);

    fn lines(path: &Path) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(path).expect("the log");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn files(dir: &Path) -> usize {
        std::fs::read_dir(dir).expect("a folder").count()
    }

    #[test]
    fn lines_are_json_and_all_are_there_when_the_last_handle_goes() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("events.jsonl");
        let log = EventLog::open(&path, NODE).expect("opens");
        let other = log.of(NodeId::new(8));
        log.add(Event::RunStarted { run: "j1".to_owned() });
        other.add(Event::Draining);
        drop(log);
        drop(other);
        let again = EventLog::open(&path, NODE).expect("opens again");
        again.add(Event::Ended);
        drop(again);
        let lines = lines(&path);
        let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
        assert_eq!(events, ["run_started", "draining", "ended"]);
        assert_eq!((&lines[0]["run"], lines[0]["node"].as_u64()), (&"j1".into(), Some(7)));
        assert_eq!(lines[1]["node"].as_u64(), Some(8));
        assert!(lines[0]["at_ms"].as_u64() > Some(0) && lines[0].get("dropped_before").is_none());
    }

    #[test]
    fn a_full_queue_drops_and_says_how_many() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("events.jsonl");
        let bounds = Bounds { bytes: 1 << 30, files: 1, kept: KEPT };
        let writer = Writer::open(&path, bounds).expect("opens");
        let (queue, events) = sync_channel(2);
        let dropped = Arc::new(AtomicU64::new(0));
        let shared = Shared { queue: Some(queue), dropped: Arc::clone(&dropped), thread: None };
        let log = EventLog { node: NODE, shared: Arc::new(shared) };
        for _ in 0..5 {
            log.add(Event::Draining);
        }
        drop(log);
        write_all(writer, &events, &dropped);
        let lines = lines(&path);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["dropped_before"].as_u64(), Some(3));
    }

    #[test]
    fn files_rotate_and_old_ones_go() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("events.jsonl");
        std::fs::write(dir.path().join("events.jsonl.1000"), "old").expect("written");
        std::fs::write(dir.path().join("events.jsonl.notes"), "not ours").expect("written");
        let bounds = Bounds { bytes: 400, files: 2, kept: KEPT };
        let log = EventLog::with(&path, NODE, bounds).expect("opens");
        for n in 0..40 {
            log.add(Event::RunStarted { run: format!("run {n}") });
        }
        drop(log);
        assert!(!dir.path().join("events.jsonl.1000").exists(), "beyond 24 h");
        assert!(dir.path().join("events.jsonl.notes").exists());
        assert_eq!(files(dir.path()), 1 + 1 + 2, "the open one, two before it, and the notes");
        assert!(path.metadata().expect("the log").len() <= 400);
        assert_eq!(lines(&path).last().expect("a line")["run"], "run 39");
    }
}
