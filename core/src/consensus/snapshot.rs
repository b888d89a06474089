//! A ledger for a member that lags: an image cut into pieces at the leader, an assembly at the
//! member.
//!
//! The leader asks its role for the ledger once, keeps the image while a member needs it, and has
//! two pieces on their way to each. The member journals every piece, tells which it needs next, and
//! installs the snapshot with the last: log, ledger and members are replaced. Pieces of another
//! snapshot, or a gap, begin the assembly again. A member whose log already holds the snapshot's
//! last entry needs no snapshot; nothing that it acknowledged is ever dropped, because an entry it
//! holds above a committed one it lacks is not committed.

use serde::{Deserialize, Serialize};

use super::Event;
use super::command::Command;
use super::election::Stance;
use super::group::Group;
use super::replication::{Mode, Sending};
use super::{Body, Head, Member, Position};
use crate::bounded::BoundedVec;
use crate::ids::{LogIndex, Lsn};
use crate::journal::{LedgerSnapshot, Record, RecoverError, Snapshot};
use crate::limits::{CHUNK_BYTES_MAX, SNAPSHOT_MAX};
use crate::machine::Cx;
use crate::stat::Stat;
use crate::wire::codec;

/// A piece of a snapshot.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Chunk {
    /// The last entry in the snapshot.
    pub at: Position,
    /// Bytes of the whole.
    pub total: u64,
    /// Where the piece begins.
    pub offset: u64,
    /// The piece.
    pub bytes: BoundedVec<u8, CHUNK_BYTES_MAX>,
}

/// An encoded snapshot at the leader.
#[derive(Clone, Debug)]
pub(super) struct Image {
    at: Position,
    bytes: Vec<u8>,
}

/// The pieces of a snapshot at a member.
#[derive(Clone, Debug)]
pub(super) struct Assembly {
    at: Position,
    total: u64,
    bytes: Vec<u8>,
}

impl Image {
    fn total(&self) -> u64 {
        length(&self.bytes)
    }

    fn chunk(&self, offset: u64, bytes: usize) -> Option<Chunk> {
        let from = usize::try_from(offset).ok()?;
        let to = from.saturating_add(bytes).min(self.bytes.len());
        let piece = self.bytes.get(from..to).filter(|piece| !piece.is_empty())?;
        let bytes = BoundedVec::try_from(piece.to_vec()).ok()?;
        Some(Chunk { at: self.at, total: self.total(), offset, bytes })
    }
}

impl Assembly {
    /// The offset of the piece that is needed next for the snapshot that `chunk` belongs to.
    fn wanted(assembly: Option<&Self>, chunk: &Chunk) -> u64 {
        let current = assembly.filter(|held| held.at == chunk.at && held.total == chunk.total);
        current.map_or(0, |held| length(&held.bytes))
    }

    /// Takes a piece if it is the next of the same snapshot, or the first of any. Gives the whole
    /// when it is complete.
    fn take(assembly: &mut Option<Self>, chunk: &Chunk) -> Option<Vec<u8>> {
        if chunk.offset != Self::wanted(assembly.as_ref(), chunk) {
            return None;
        }
        if chunk.offset == 0 {
            *assembly = Some(Self { at: chunk.at, total: chunk.total, bytes: Vec::new() });
        }
        let held = assembly.as_mut()?;
        held.bytes.extend_from_slice(&chunk.bytes);
        if length(&held.bytes) < held.total {
            return None;
        }
        assembly.take().map(|held| held.bytes)
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

impl<C: Command> Group<C> {
    /// The role gives its ledger as of the last committed entry.
    pub(super) fn on_ledger(&mut self, cx: &mut Cx<'_>, ledger: LedgerSnapshot) {
        let head = self.present_head();
        let at = Position { term: head.index_term, index: head.index };
        let Some(leading) = self.leading_mut() else { return };
        if !leading.is_ledger_wanted {
            return;
        }
        match codec::encode(&Snapshot { head, ledger }, SNAPSHOT_MAX) {
            Ok(bytes) => {
                cx.count(Stat::SnapshotSent);
                leading.image = Some(Image { at, bytes });
                leading.is_ledger_wanted = false;
            }
            // Still wanted, hence not asked for again in this term: the member stays behind.
            Err(_) => cx.count(Stat::CapRefused),
        }
    }

    /// Sends pieces to the members that need them, as far as they may be on their way.
    pub(super) fn feed_snapshots(&mut self, cx: &mut Cx<'_>) {
        let (post, now) = (self.post(), cx.now());
        let Self { stance: Stance::Leader(leading), log, config, .. } = self else { return };
        let lags = |mode: &Mode| matches!(mode, Mode::Snapshot(_));
        if !leading.others.values().any(|progress| lags(&progress.mode)) {
            leading.image = None;
            return;
        }
        let usable = leading.image.as_ref().filter(|image| image.at.index >= log.base().index);
        let Some(image) = usable else {
            leading.image = None;
            if !std::mem::replace(&mut leading.is_ledger_wanted, true) {
                self.news.push(Event::LedgerWanted);
            }
            return;
        };
        let round = leading.rounds.last();
        let window = length_of(config.chunk_bytes).saturating_mul(2);
        for progress in leading.others.values_mut() {
            let Mode::Snapshot(sending) = &mut progress.mode else { continue };
            if sending.index != image.at.index {
                *sending = Sending { index: image.at.index, acked: 0, sent: 0, moved: now };
            }
            if now.since(sending.moved) >= config.silence {
                cx.count(Stat::Resent);
                (sending.sent, sending.moved) = (sending.acked, now);
            }
            while sending.sent < sending.acked.saturating_add(window) {
                let Some(chunk) = image.chunk(sending.sent, config.chunk_bytes) else { break };
                sending.sent = sending.sent.saturating_add(length(&chunk.bytes));
                sending.moved = now;
                post.send(cx, progress.member, Body::<C>::Chunk { round, chunk });
            }
        }
    }

    /// A member tells which piece it needs.
    pub(super) fn on_chunked(
        &mut self,
        cx: &mut Cx<'_>,
        from: Member,
        index: LogIndex,
        wanted: u64,
    ) {
        let now = cx.now();
        let Some(leading) = self.leading_mut() else { return };
        let Some(progress) = leading.others.get_mut(&from.disk) else { return };
        let Mode::Snapshot(sending) = &mut progress.mode else { return };
        if sending.index != index || sending.acked == wanted {
            return;
        }
        // Below what it had: the member began again.
        sending.sent = if wanted < sending.acked { wanted } else { sending.sent.max(wanted) };
        (sending.acked, sending.moved) = (wanted, now);
    }

    /// A piece reaches a member.
    pub(super) fn on_chunk(&mut self, cx: &mut Cx<'_>, round: u64, chunk: Chunk) {
        let Some(leader) = self.leader else { return };
        let at = chunk.at;
        let is_held = self.log.term_at(at.index) == Some(at.term);
        if at.index <= self.head.index || is_held {
            self.commit_to(cx, at.index);
            let body = Body::<C>::Appended { round, matched: at.index };
            return self.post().send_after(cx, self.log.lsn_at(at.index), leader, body);
        }
        let is_sane = !chunk.bytes.is_empty()
            && chunk.total <= length_of(SNAPSHOT_MAX)
            && chunk.offset.saturating_add(length(&chunk.bytes)) <= chunk.total;
        if !is_sane {
            return cx.count(Stat::MessageForeign);
        }
        let mut assembly = self.assembly.take();
        let wanted = Assembly::wanted(assembly.as_ref(), &chunk);
        if chunk.offset != wanted {
            self.assembly = assembly;
            let body = Body::<C>::Chunked { round, index: at.index, wanted };
            return self.post().send(cx, leader, body);
        }
        let whole = Assembly::take(&mut assembly, &chunk);
        let wanted = chunk.offset.saturating_add(length(&chunk.bytes));
        let snapshot = match whole.map(|bytes| codec::decode::<Snapshot>(&bytes)) {
            None => None,
            Some(Ok(snapshot)) if is_about(&snapshot, at) => Some(snapshot),
            // The assembly is gone: the leader begins again.
            Some(_) => return cx.count(Stat::MessageForeign),
        };
        self.assembly = assembly;
        let lsn = cx.out.append(Record::Chunk(chunk));
        let body = match snapshot {
            None => Body::<C>::Chunked { round, index: at.index, wanted },
            Some(snapshot) => {
                cx.count(Stat::SnapshotInstalled);
                let ledger = self.install(lsn, snapshot);
                self.news.push(Event::Installed { index: at.index, ledger });
                self.settle_submissions();
                Body::Appended { round, matched: at.index }
            }
        };
        // Claims the piece, or all of it: rests on its record.
        self.post().send_after(cx, lsn, leader, body);
    }

    /// Folds a piece.
    pub(super) fn replay_chunk(
        &mut self,
        lsn: Lsn,
        chunk: &Chunk,
    ) -> Result<Option<Box<LedgerSnapshot>>, RecoverError> {
        let Some(bytes) = Assembly::take(&mut self.assembly, chunk) else { return Ok(None) };
        match codec::decode::<Snapshot>(&bytes) {
            Ok(snapshot) => Ok(Some(self.install(lsn, snapshot))),
            Err(error) => Err(RecoverError::Chunk { lsn, error }),
        }
    }

    fn install(&mut self, lsn: Lsn, snapshot: Snapshot) -> Box<LedgerSnapshot> {
        let Snapshot { head, ledger } = snapshot;
        let (group, boots, booted) = (self.head.group, self.head.boots, self.head.booted);
        let joining = self.head.joining;
        let base = Position { term: head.index_term, index: head.index };
        self.log.reset(base, head.chain, lsn, head.membership.clone());
        self.head = Head { group, boots, booted, joining, ..head };
        self.committed_lsn = lsn;
        Box::new(ledger)
    }
}

fn is_about(snapshot: &Snapshot, at: Position) -> bool {
    (snapshot.head.index, snapshot.head.index_term) == (at.index, at.term)
}

fn length_of(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
