//! From the text of a plan to a checked plan.
//!
//! YAML 1.2, of which JSON is a part. Strict: an unknown field, a wrong type, a key given twice, a
//! merge key and anything that exceeds the limits of `yaml` is an error with its line and column.
//! Errors of the core's check get their position from a second reading of the text, so a good plan
//! is read once.

mod error;
mod yaml;

pub use error::{Position, TextError};
pub use yaml::TEXT_BYTES_MAX;

use hyperscale_core::plan::raw::RawPlan;

/// Reads the text of a plan; `source` names it in errors.
///
/// # Errors
/// The first thing that is wrong with the text's shape.
pub fn parse(text: &str, source: &str) -> Result<RawPlan, TextError> {
    yaml::parse(text, source)
}

#[cfg(test)]
mod tests;
