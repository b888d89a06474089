//! For every number of the reference catalogue in scope, what covers it.

/// What covers a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Covered {
    /// Something else than a directed scenario: a test, an oracle, a fault class, a counter.
    By(&'static str),
    /// Does not concern this system, and why.
    NotApplicable(&'static str),
    /// Of a later capability.
    Later(&'static str),
}

/// Numbers that no directed scenario covers.
pub const CATALOGUE: &[(u16, Covered)] = &[];
