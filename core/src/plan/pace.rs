//! Pacing: decides for one run what may be issued now. The engine and the simulator's load model drive this one type
//! and nothing else decides issuance.

use super::time::PlanTime;

/// What the pacer decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// Start this item now. Every `Issue` must be followed by one `Pacer::on_ended` for its slot.
    Issue(Issue),
    /// Nothing before this plan time; a VU is free.
    WaitUntil(PlanTime),
    /// Every VU has an open iteration: ask again when one ended (or, if given, at this plan time, to count what is late).
    Busy(Option<PlanTime>),
    /// There is no unexpired permit; ask again when there is one.
    Parked,
    /// The ceiling is reached; ask again when it was raised (or, if given, at this plan time, to count what is late).
    Starved(Option<PlanTime>),
    /// Nothing will be issued any more; the run ends when its open iterations have.
    Done,
}

/// One item to start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Issue {
    /// The local VU that does it: `0..share.vus`.
    pub slot: u32,
    /// The global number of that VU.
    pub vu: u64,
    /// The local item (see `plan::share`).
    pub item: u64,
    /// The global index, unique over the workflow: the arrival, the iteration, or `round x VUs + vu`.
    pub index: u64,
    /// The planned instant; the current one for closed loops.
    pub due: PlanTime,
}
