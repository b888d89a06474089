//! What is measured, and how it merges exactly.

mod bucket;
mod histogram;
mod merge;
mod recorder;
mod saturation;
mod totals;

pub use histogram::{BadHistogram, Histogram};
pub use recorder::Recorder;
pub use saturation::Window;
pub use totals::{Errors, StepTotals, Totals};
