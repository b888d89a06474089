//! What is measured, and how it merges exactly.

mod bucket;
mod fit;
mod histogram;
mod merge;
mod recorder;
mod saturation;
mod since;
mod tier;
mod totals;
mod window;

pub use fit::fit;
pub use histogram::{BadHistogram, Histogram};
pub use recorder::Recorder;
pub use saturation::Busy;
pub use tier::{COLD_SECS, Series, WARM_SECS};
pub use totals::{Errors, StepTotals, Totals};
pub use window::{Cutter, Window};
