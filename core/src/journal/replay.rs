//! Folds stored records into a state.

use serde::de::DeserializeOwned;

use super::error::{Fault, JournalError};
use super::scan::StoredRecord;
use super::snapshot::{HEADER_LEN, Snapshot};
use crate::wire::codec::decode;

/// Applies every record in its order to `state`, with its lsn.
///
/// # Errors
/// The first record that does not decode, with lsn, file and offset; the state is dropped.
pub fn fold<S, R: DeserializeOwned>(
    mut state: S,
    records: &[StoredRecord<'_>],
    mut apply: impl FnMut(&mut S, u64, &R),
) -> Result<S, JournalError> {
    for stored in records {
        let decoded = decode::<R>(stored.payload).map_err(|error| JournalError {
            file: stored.file.to_owned(),
            offset: stored.offset,
            fault: Fault::Decode { lsn: stored.lsn, error },
        });
        apply(&mut state, stored.lsn, &decoded?);
    }
    Ok(state)
}

/// The state in `snapshot`.
///
/// # Errors
/// That it does not decode, with file and offset.
pub fn state<S: DeserializeOwned>(snapshot: &Snapshot<'_>) -> Result<S, JournalError> {
    decode(snapshot.payload)
        .map_err(|error| Fault::Decode { lsn: snapshot.upto, error }.at(snapshot.file, HEADER_LEN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::{CodecError, encode};

    fn stored(lsn: u64, payload: &[u8]) -> StoredRecord<'_> {
        StoredRecord { lsn, file: "f", offset: lsn * 100, payload }
    }

    #[test]
    fn records_are_applied_in_order_with_their_lsns() {
        let payloads = [encode(&5_u32, 9).unwrap(), encode(&6_u32, 9).unwrap()];
        let records = [stored(3, &payloads[0]), stored(4, &payloads[1])];
        let seen = fold(vec![], &records, |seen, lsn, value: &u32| seen.push((lsn, *value)));
        assert_eq!(seen, Ok(vec![(3, 5), (4, 6)]));
    }

    #[test]
    fn a_record_that_does_not_decode_is_told_with_its_place() {
        let records = [stored(3, &[1]), stored(4, &[1, 1])];
        let mut applied = 0;
        let refused = fold((), &records, |(), _, _: &u8| applied += 1).unwrap_err();
        let fault = Fault::Decode { lsn: 4, error: CodecError::Trailing { left: 1 } };
        assert_eq!(refused, JournalError { file: "f".into(), offset: 400, fault });
        assert_eq!(applied, 1);
        assert_eq!(
            refused.to_string(),
            "f, byte 400: lsn 4 does not decode: 1 bytes follow the value"
        );
    }

    #[test]
    fn a_snapshot_gives_its_state_or_its_place() {
        let snapshot = Snapshot { upto: 8, file: "s", payload: &[7] };
        assert_eq!(state::<u8>(&snapshot), Ok(7));
        let refused = state::<(u8, u8)>(&snapshot).unwrap_err();
        assert_eq!((refused.file.as_str(), refused.offset), ("s", 56));
    }
}
