//! What is measured, and how it merges exactly.

mod histogram;
mod totals;

pub use histogram::Histogram;
pub use totals::{Errors, StepTotals, Totals};
