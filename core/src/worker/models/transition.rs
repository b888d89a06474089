//! The states of a run on its worker, and the only moves between them.
//!
//! | | Ready | Broken | Confirm | Expire | Stop | End |
//! |---|---|---|---|---|---|---|
//! | Preparing | Prepared | Refused | - | - | Stopping | Ended |
//! | Prepared | - | Refused | Running | - | Stopping | Ended |
//! | Running | - | - | Running | Parked | Stopping | Ended |
//! | Parked | - | - | Running | - | Stopping | Ended |
//! | Stopping | - | Ended | - | - | - | Ended |
//! | Ended | - | - | - | - | - | - |
//! | Refused | - | - | - | - | Ended | - |

use crate::wire::RunState;

/// What can move a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::worker) enum Move {
    /// The engine is ready for the first permit.
    Ready,
    /// The engine could not prepare.
    Broken,
    /// A confirmation that has not expired arrived.
    Confirm,
    /// The last confirmation expired.
    Expire,
    /// It was told to stop.
    Stop,
    /// The engine issues nothing more.
    End,
}

/// Where a move leads; `None` if there is no such move.
pub(in crate::worker) const fn next(from: RunState, by: Move) -> Option<RunState> {
    use RunState::{Ended, Parked, Prepared, Preparing, Refused, Running, Stopping};
    match (from, by) {
        (Preparing, Move::Ready) => Some(Prepared),
        (Preparing | Prepared, Move::Broken) => Some(Refused),
        (Prepared | Running | Parked, Move::Confirm) => Some(Running),
        (Running, Move::Expire) => Some(Parked),
        (Preparing | Prepared | Running | Parked, Move::Stop) => Some(Stopping),
        (Stopping, Move::Broken)
        | (Refused, Move::Stop)
        | (Preparing | Prepared | Running | Parked | Stopping, Move::End) => Some(Ended),
        (Preparing, Move::Confirm | Move::Expire)
        | (Prepared, Move::Ready | Move::Expire)
        | (Running, Move::Ready | Move::Broken)
        | (Parked, Move::Ready | Move::Broken | Move::Expire)
        | (Stopping, Move::Ready | Move::Confirm | Move::Expire | Move::Stop)
        | (Ended, _)
        | (Refused, Move::Ready | Move::Broken | Move::Confirm | Move::Expire | Move::End) => None,
    }
}

/// Whether some move leads from one state to another.
#[must_use]
pub fn may_go(from: RunState, to: RunState) -> bool {
    let moves = [Move::Ready, Move::Broken, Move::Confirm, Move::Expire, Move::Stop, Move::End];
    moves.into_iter().any(|by| next(from, by) == Some(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_one_in_the_prose() {
        use RunState::{Ended, Parked, Prepared, Preparing, Refused, Running, Stopping};
        let states = [Preparing, Prepared, Running, Parked, Stopping, Ended, Refused];
        let moves = [Move::Ready, Move::Broken, Move::Confirm, Move::Expire, Move::Stop, Move::End];
        let prose = include_str!("transition.rs");
        let rows: Vec<Vec<&str>> = prose
            .lines()
            .filter_map(|line| line.strip_prefix("//! | "))
            .map(|line| line.trim_end_matches('|').split('|').map(str::trim).collect())
            .collect();
        for state in states {
            let name = format!("{state:?}");
            let row = rows.iter().find(|row| row[0] == name).expect("a row per state");
            for (column, by) in moves.into_iter().enumerate() {
                let told = next(state, by).map_or("-".to_owned(), |to| format!("{to:?}"));
                assert_eq!(row[column + 1], told, "{state:?} by {by:?}");
            }
        }
    }

    #[test]
    fn an_end_is_an_end() {
        for by in [Move::Ready, Move::Broken, Move::Confirm, Move::Expire, Move::Stop, Move::End] {
            assert_eq!(next(RunState::Ended, by), None);
        }
    }
}
