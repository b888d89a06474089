//! Sessions of gates: who lives, and who owns which job because of that.
//!
//! A gate beats to the leader every sixth of the time to live; the leader answers each beat of a
//! current session. The holder counts from the send of the beat (`Tenure`), the leader
//! `grantor_wait` from its answer (`Grants`), so that a session has ended at its holder before the
//! leader commits `Expire`. Renewal writes nothing: a new leader takes every session of the ledger
//! for just renewed when it is led.
//! An answer echoes boot and number of the beat, and only a leader with an unexpired leader lease
//! gives it.

mod grants;
mod tenure;

pub(super) use grants::{Grants, Judged};
pub(super) use tenure::Tenure;
