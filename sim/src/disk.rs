//! A node's disk: real journal bytes, buffered until an fsync ends, and what a crash leaves of
//! them.
//!
//! The driver contract of `journal` is kept: a segment's header is durable before its first record;
//! a snapshot becomes durable after the records it covers, and only then do segments it covers go;
//! a torn tail is cut off before anything is written; each boot opens a new segment. Reading back
//! goes through the core's own recovery.

use hyperscale_core::ids::Lsn;
use hyperscale_core::journal::segment::{self, File, Header, Identity};
use hyperscale_core::journal::{Record, Recovered, Snapshot, recover, snapshot};
use hyperscale_core::limits;
use hyperscale_core::wire::codec;

/// What happens to bytes that were written and not synced when the process dies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// The operating system writes them all the same.
    Kept,
    /// They are gone.
    Lost,
    /// So many of them remain, and the byte at the second place (if it remains) is damaged.
    Torn {
        /// How many remain, counted in drawn bits.
        keep: u64,
        /// Which of them is damaged, counted in drawn bits.
        damage: Option<u64>,
    },
}

#[derive(Clone, Debug)]
struct Segment {
    name: String,
    header: Header,
    bytes: Vec<u8>,
    synced: usize,
    last_lsn: u64,
}

#[derive(Clone, Debug)]
struct Syncing {
    lsn: u64,
    bytes: usize,
    snapshot: Option<(u64, Vec<u8>)>,
}

/// One disk.
#[derive(Clone, Debug)]
pub struct Disk {
    /// Whose it is.
    pub identity: Identity,
    segments: Vec<Segment>,
    snapshots: Vec<(String, Vec<u8>)>,
    appended: u64,
    durable: u64,
    waiting: Option<(u64, Vec<u8>)>,
    syncing: Option<Syncing>,
}

impl Disk {
    /// An empty disk.
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            segments: Vec::new(),
            snapshots: Vec::new(),
            appended: 0,
            durable: 0,
            waiting: None,
            syncing: None,
        }
    }

    /// Writes the first record of an empty disk, as an operator does before the first start.
    ///
    /// # Errors
    /// In words; the disk is of no use then.
    pub fn format(&mut self, record: &Record) -> Result<(), String> {
        let last = self.open()?.last;
        self.append(last.next(), record)?;
        self.begin_sync();
        self.end_sync();
        self.crash(Fate::Kept);
        Ok(())
    }

    /// Reads what is durable, changes nothing.
    ///
    /// # Errors
    /// What makes the disk unusable, in words.
    pub fn read(&self) -> Result<Recovered, String> {
        self.recover().map(|(recovered, _, _)| recovered)
    }

    /// Starts a life: reads, cuts a torn tail off, and opens a new segment.
    ///
    /// # Errors
    /// What makes the disk unusable, in words; nothing was changed.
    pub fn open(&mut self) -> Result<Recovered, String> {
        let (recovered, torn, sequence) = self.recover()?;
        if let Some((name, length)) = torn {
            self.segments.retain(|s| s.name != name || length > 0);
            for segment in self.segments.iter_mut().filter(|s| s.name == name) {
                segment.bytes.truncate(length);
            }
        }
        let last = recovered.last.get();
        if let Some(segment) = self.segments.last_mut() {
            segment.last_lsn = last;
            segment.synced = segment.bytes.len();
        }
        (self.appended, self.durable) = (last, last);
        self.begin_segment(sequence, last + 1);
        Ok(recovered)
    }

    /// Writes a record; it is durable once a sync that began later has ended.
    ///
    /// # Errors
    /// When it is too large for the journal.
    pub fn append(&mut self, lsn: Lsn, record: &Record) -> Result<(), String> {
        let payload = codec::encode(record, limits::RECORD_MAX).map_err(|e| e.to_string())?;
        let durable = self.durable;
        let segment = self.segments.last_mut().ok_or("the disk is not open")?;
        segment::write_record(&segment.header, lsn.get(), durable, &payload, &mut segment.bytes)
            .map_err(|e| e.to_string())?;
        segment.last_lsn = lsn.get();
        self.appended = lsn.get();
        Ok(())
    }

    /// Writes a snapshot with the next sync.
    ///
    /// # Errors
    /// When it is too large.
    pub fn checkpoint(&mut self, upto: Lsn, state: &Snapshot) -> Result<(), String> {
        let payload = codec::encode(state, limits::SNAPSHOT_MAX).map_err(|e| e.to_string())?;
        let mut bytes = Vec::new();
        snapshot::write_snapshot(&self.identity, upto.get(), &payload, &mut bytes);
        self.waiting = Some((upto.get(), bytes));
        Ok(())
    }

    /// Begins a sync of everything written; false when there is nothing to do or one is under way.
    pub fn begin_sync(&mut self) -> bool {
        if self.syncing.is_some() || (self.appended == self.durable && self.waiting.is_none()) {
            return false;
        }
        let bytes = self.segments.last().map_or(0, |s| s.bytes.len());
        self.syncing = Some(Syncing { lsn: self.appended, bytes, snapshot: self.waiting.take() });
        true
    }

    /// Ends the sync under way and gives the newest durable record.
    pub fn end_sync(&mut self) -> Lsn {
        if let Some(done) = self.syncing.take() {
            if let Some(segment) = self.segments.last_mut() {
                segment.synced = segment.synced.max(done.bytes);
            }
            self.durable = done.lsn;
            if let Some((upto, bytes)) = done.snapshot {
                self.snapshots.push((snapshot::file_name(upto), bytes));
                self.forget_covered(upto);
            }
        }
        Lsn::new(self.durable)
    }

    /// The process dies.
    pub fn crash(&mut self, fate: Fate) {
        (self.syncing, self.waiting) = (None, None);
        let Some(segment) = self.segments.last_mut() else { return };
        let loose = (segment.bytes.len() - segment.synced) as u64;
        match fate {
            Fate::Kept => {}
            Fate::Lost => segment.bytes.truncate(segment.synced),
            Fate::Torn { keep, damage } => {
                let keep = keep % (loose + 1);
                segment.bytes.truncate(segment.synced + keep as usize);
                if let Some(at) = damage.filter(|_| keep > 0) {
                    segment.bytes[segment.synced + (at % keep) as usize] ^= 0x55;
                }
            }
        }
        segment.synced = segment.bytes.len();
    }

    /// The newest durable record.
    pub fn durable(&self) -> Lsn {
        Lsn::new(self.durable)
    }

    /// Whether something was written and is not durable.
    pub fn is_dirty(&self) -> bool {
        self.appended != self.durable
    }

    /// Bytes in all.
    pub fn size(&self) -> usize {
        self.segments.iter().map(|s| s.bytes.len()).sum()
    }

    fn begin_segment(&mut self, sequence: u64, first_lsn: u64) {
        let header = Header { identity: self.identity, sequence, first_lsn };
        let mut bytes = Vec::new();
        segment::write_header(&header, &mut bytes);
        let (synced, name) = (bytes.len(), segment::file_name(sequence));
        self.segments.push(Segment { name, header, bytes, synced, last_lsn: first_lsn - 1 });
    }

    /// After a checkpoint: a new segment if the current one is clean, then covered ones go, all but
    /// the last.
    fn forget_covered(&mut self, upto: u64) {
        if self.appended == self.durable
            && let Some(last) = self.segments.last().filter(|s| s.last_lsn >= s.header.first_lsn)
        {
            self.begin_segment(last.header.sequence + 1, self.appended + 1);
        }
        let count = self.segments.len();
        let mut place = 0;
        self.segments.retain(|s| {
            place += 1;
            place == count || s.last_lsn > upto
        });
        let spare = self.snapshots.len().saturating_sub(2);
        self.snapshots.drain(..spare);
    }

    #[allow(clippy::type_complexity, reason = "private, read in two places")]
    fn recover(&self) -> Result<(Recovered, Option<(String, usize)>, u64), String> {
        let snapshots: Vec<File<'_>> =
            self.snapshots.iter().map(|(name, bytes)| File { name, bytes }).collect();
        let segments: Vec<File<'_>> = self
            .segments
            .iter()
            .map(|s| File { name: &s.name, bytes: &s.bytes[..s.synced] })
            .collect();
        let found = recover::recover(&self.identity, &snapshots, &segments)
            .map_err(|error| error.to_string())?;
        let snapshot = match found.snapshot {
            Some(s) => Some((
                Lsn::new(s.upto),
                codec::decode::<Snapshot>(s.payload).map_err(|e| e.to_string())?,
            )),
            None => None,
        };
        let mut records = Vec::with_capacity(found.records.len());
        for stored in &found.records {
            let record = codec::decode::<Record>(stored.payload).map_err(|e| e.to_string())?;
            records.push((Lsn::new(stored.lsn), record));
        }
        let last = Lsn::new(found.next_lsn - 1);
        let torn = found.torn_at.map(|torn| (torn.file.to_owned(), torn.offset as usize));
        Ok((Recovered { snapshot, records, last }, torn, found.next_sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyperscale_core::ids::Term;

    fn open() -> Disk {
        let mut disk = Disk::new(Identity { cluster: 1, node: 2, disk: 3 });
        assert_eq!(disk.open(), Ok(Recovered::default()));
        disk
    }

    fn append(disk: &mut Disk, lsn: u64) {
        disk.append(Lsn::new(lsn), &Record::Ballot { term: Term::new(lsn), vote: None }).unwrap();
    }

    #[test]
    fn only_what_was_synced_survives_a_loss() {
        let mut disk = open();
        append(&mut disk, 1);
        append(&mut disk, 2);
        assert!(disk.begin_sync() && !disk.begin_sync());
        append(&mut disk, 3);
        assert_eq!(disk.end_sync(), Lsn::new(2));
        assert!(disk.is_dirty());
        disk.crash(Fate::Lost);
        assert_eq!(disk.open().unwrap().last, Lsn::new(2));
        append(&mut disk, 3);
        disk.begin_sync();
        disk.end_sync();
        disk.crash(Fate::Lost);
        assert_eq!(disk.open().unwrap().records.len(), 3);
    }

    #[test]
    fn a_torn_tail_is_cut_off_wherever_it_tears() {
        for keep in 0..200 {
            for damage in [None, Some(keep / 2), Some(0)] {
                let mut disk = open();
                append(&mut disk, 1);
                disk.begin_sync();
                disk.end_sync();
                for lsn in 2..6 {
                    append(&mut disk, lsn);
                }
                disk.crash(Fate::Torn { keep, damage });
                let recovered = disk.open().unwrap();
                assert!((1..=5).contains(&recovered.last.get()), "{keep}");
                append(&mut disk, recovered.last.get() + 1);
                assert!(disk.read().is_ok());
            }
        }
    }

    #[test]
    fn a_checkpoint_lets_segments_go_and_recovers() {
        let mut disk = open();
        for lsn in 1..=4 {
            append(&mut disk, lsn);
        }
        let ledger = hyperscale_core::journal::LedgerSnapshot::Manager(Box::default());
        let state = Snapshot { head: hyperscale_core::consensus::Head::default(), ledger };
        disk.checkpoint(Lsn::new(4), &state).unwrap();
        disk.begin_sync();
        let before = disk.size();
        disk.end_sync();
        assert!(disk.size() < before);
        append(&mut disk, 5);
        disk.begin_sync();
        disk.end_sync();
        disk.crash(Fate::Lost);
        let recovered = disk.open().unwrap();
        assert_eq!(recovered.snapshot, Some((Lsn::new(4), state)));
        assert_eq!(recovered.records.len(), 1);
    }
}
