//! The journal's thread: writes and syncs whatever has gathered, and says how far it is durable
//! (group commit).

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc as std_mpsc;
use std::thread::JoinHandle;

use hyperscale_core::ids::Lsn;
use hyperscale_core::journal::segment::{self, Header};
use hyperscale_core::journal::{Record, Snapshot, snapshot};
use hyperscale_core::limits;
use hyperscale_core::wire::codec;
use tokio::sync::mpsc;

use super::StoreError;
use super::disk::{sync_dir, write_whole};

/// A segment that has grown beyond this is followed by a new one, bytes.
const SEGMENT_BYTES: u64 = 16 << 20;
/// Snapshots kept: one more than needed, should the newest be damaged.
const SNAPSHOTS_KEPT: usize = 2;

enum Order {
    Append(Lsn, Vec<u8>),
    Checkpoint(Lsn, Vec<u8>),
}

/// The end of a node's journal. Dropping it writes and syncs what was appended.
#[derive(Debug)]
pub struct Journal {
    orders: Option<std_mpsc::Sender<Order>>,
    durable: mpsc::UnboundedReceiver<Result<Lsn, StoreError>>,
    thread: Option<JoinHandle<()>>,
    _silence: Option<mpsc::UnboundedSender<Result<Lsn, StoreError>>>,
}

impl Journal {
    /// The journal of a node that writes none (a worker): an append is an error.
    pub fn none() -> Self {
        let (silence, durable) = mpsc::unbounded_channel();
        Self { orders: None, durable, thread: None, _silence: Some(silence) }
    }

    /// Opens a new segment; `lock` is held as long as the journal lives.
    pub(super) fn open(dir: &Path, header: Header, lock: File) -> Result<Self, StoreError> {
        let (orders, queue) = std_mpsc::channel();
        let (told, durable) = mpsc::unbounded_channel();
        let mut writer = Writer {
            dir: dir.to_owned(),
            file: create(dir, &header)?,
            header,
            written: 0,
            durable: Lsn::new(header.first_lsn.saturating_sub(1)),
        };
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                writer.run(&queue, &told);
                drop(lock);
            })
            .map_err(StoreError::io(dir))?;
        Ok(Self { orders: Some(orders), durable, thread: Some(thread), _silence: None })
    }

    /// Queues a record.
    ///
    /// # Errors
    /// When it is too large, or the journal has failed; nothing was queued.
    pub fn append(&mut self, lsn: Lsn, record: &Record) -> Result<(), StoreError> {
        let bytes = codec::encode(record, limits::RECORD_MAX)?;
        self.order(Order::Append(lsn, bytes))
    }

    /// Queues a snapshot of everything up to and including `upto`.
    ///
    /// # Errors
    /// As for [`Journal::append`].
    pub fn checkpoint(&mut self, upto: Lsn, snapshot: &Snapshot) -> Result<(), StoreError> {
        let bytes = codec::encode(snapshot, limits::SNAPSHOT_MAX)?;
        self.order(Order::Checkpoint(upto, bytes))
    }

    /// Waits until more is durable; gives the newest durable record.
    ///
    /// # Errors
    /// What ended the journal.
    pub async fn durable(&mut self) -> Result<Lsn, StoreError> {
        self.durable.recv().await.unwrap_or(Err(StoreError::Stopped))
    }

    /// As [`Journal::durable`], without waiting.
    ///
    /// # Errors
    /// What ended the journal.
    pub fn try_durable(&mut self) -> Result<Option<Lsn>, StoreError> {
        match self.durable.try_recv() {
            Ok(durable) => durable.map(Some),
            Err(mpsc::error::TryRecvError::Empty) => Ok(None),
            Err(mpsc::error::TryRecvError::Disconnected) => Err(StoreError::Stopped),
        }
    }

    /// Waits until everything appended is on disk.
    ///
    /// # Errors
    /// What ended the journal: some of it may not be.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.orders = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            return Err(StoreError::Stopped);
        }
        while let Ok(told) = self.durable.try_recv() {
            told?;
        }
        Ok(())
    }

    fn order(&self, order: Order) -> Result<(), StoreError> {
        self.orders.as_ref().and_then(|orders| orders.send(order).ok()).ok_or(StoreError::Stopped)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Writer {
    dir: PathBuf,
    file: File,
    header: Header,
    written: u64,
    durable: Lsn,
}

impl Writer {
    fn run(
        &mut self,
        queue: &std_mpsc::Receiver<Order>,
        told: &mpsc::UnboundedSender<Result<Lsn, StoreError>>,
    ) {
        while let Ok(first) = queue.recv() {
            let batch: Vec<Order> = std::iter::once(first).chain(queue.try_iter()).collect();
            let before = self.durable;
            let done = self.commit(batch);
            let failed = done.is_err();
            match done {
                Ok(()) if self.durable == before => {}
                Ok(()) => drop(told.send(Ok(self.durable))),
                Err(error) => drop(told.send(Err(error))),
            }
            if failed {
                return;
            }
        }
    }

    fn commit(&mut self, batch: Vec<Order>) -> Result<(), StoreError> {
        let mut bytes = Vec::new();
        let mut last = None;
        let mut snapshots = Vec::new();
        for order in batch {
            match order {
                Order::Append(lsn, payload) => {
                    let durable = self.durable.get();
                    segment::write_record(&self.header, lsn.get(), durable, &payload, &mut bytes)
                        .map_err(|_| {
                        StoreError::TooLarge(codec::CodecError::TooLarge {
                            max: segment::RECORD_MAX,
                        })
                    })?;
                    last = Some(lsn);
                }
                Order::Checkpoint(upto, payload) => snapshots.push((upto, payload)),
            }
        }
        if let Some(last) = last {
            let path = self.dir.join(segment::file_name(self.header.sequence));
            self.file
                .write_all(&bytes)
                .and_then(|()| self.file.sync_data())
                .map_err(StoreError::io(path))?;
            self.written += bytes.len() as u64;
            self.durable = last;
        }
        for (upto, payload) in snapshots {
            self.snapshot(upto, &payload)?;
        }
        if self.written > SEGMENT_BYTES { self.roll() } else { Ok(()) }
    }

    fn snapshot(&mut self, upto: Lsn, payload: &[u8]) -> Result<(), StoreError> {
        let mut bytes = Vec::new();
        snapshot::write_snapshot(&self.header.identity, upto.get(), payload, &mut bytes);
        write_whole(&self.dir, &snapshot::file_name(upto.get()), &bytes)?;
        self.roll()?;
        self.prune()
    }

    fn roll(&mut self) -> Result<(), StoreError> {
        if self.header.first_lsn == self.durable.next().get() {
            return Ok(());
        }
        self.header.sequence += 1;
        self.header.first_lsn = self.durable.next().get();
        self.file = create(&self.dir, &self.header)?;
        self.written = 0;
        Ok(())
    }

    /// Removes snapshots beyond the kept ones, and segments that the oldest kept one covers whole.
    fn prune(&self) -> Result<(), StoreError> {
        let snapshots = self.names("snapshot")?;
        let keep = snapshots.len().saturating_sub(SNAPSHOTS_KEPT);
        let Some((oldest, _)) = snapshots.get(keep) else { return Ok(()) };
        let segments = self.names("journal")?;
        let mut gone: Vec<PathBuf> =
            snapshots.iter().take(keep).map(|(_, path)| path.clone()).collect();
        for pair in segments.windows(2) {
            let [(_, path), (_, next)] = pair else { continue };
            let mut header = [0; segment::HEADER_LEN];
            File::open(next)
                .and_then(|mut file| file.read_exact(&mut header))
                .map_err(StoreError::io(next))?;
            if segment::first_lsn(&header).is_some_and(|lsn| lsn <= oldest.saturating_add(1)) {
                gone.push(path.clone());
            }
        }
        for path in &gone {
            fs::remove_file(path).map_err(StoreError::io(path))?;
        }
        if gone.is_empty() { Ok(()) } else { sync_dir(&self.dir) }
    }

    fn names(&self, extension: &str) -> Result<Vec<(u64, PathBuf)>, StoreError> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(StoreError::io(&self.dir))? {
            let path = entry.map_err(StoreError::io(&self.dir))?.path();
            let matches = path.extension().is_some_and(|found| found == extension);
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            if let (true, Some(number)) = (matches, number) {
                names.push((number, path));
            }
        }
        names.sort();
        Ok(names)
    }
}

fn create(dir: &Path, header: &Header) -> Result<File, StoreError> {
    let path = dir.join(segment::file_name(header.sequence));
    let mut bytes = Vec::new();
    segment::write_header(header, &mut bytes);
    let mut file = OpenOptions::new()
        .create_new(true)
        .append(true)
        .open(&path)
        .map_err(StoreError::io(&path))?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(StoreError::io(&path))?;
    sync_dir(dir)?;
    Ok(file)
}
