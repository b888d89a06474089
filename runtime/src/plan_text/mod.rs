//! From the text of a plan to a checked plan.
//!
//! YAML 1.2, of which JSON is a part. Strict: an unknown field, a wrong type, a key given twice, a
//! merge key and anything that exceeds the limits of `yaml` is an error with its line and column.
//! Errors of the core's check get their position from a second reading of the text, so a good plan
//! is read once. Files are read only by [`open`] and [`load`]: a gate, which takes plans from the
//! network, calls [`parse_and_check`] and opens nothing.

mod error;
mod rows;
mod yaml;

pub use error::{Position, TextError};
pub use yaml::TEXT_BYTES_MAX;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use hyperscale_core::plan::raw::RawPlan;
use hyperscale_core::plan::{Plan, PlanError, check};

/// A plan from a file, in both forms.
#[derive(Clone, Debug)]
pub struct Opened {
    /// As written, with the rows of every CSV file inline: [`to_json`] of it can be submitted.
    pub raw: RawPlan,
    /// As checked.
    pub plan: Plan,
}

/// Reads the text of a plan; `source` names it in errors.
///
/// # Errors
/// The first thing that is wrong with the text's shape.
pub fn parse(text: &str, source: &str) -> Result<RawPlan, TextError> {
    yaml::parse(text, source)
}

/// Reads and checks the text of a plan without opening any file; `source` names it in errors.
///
/// # Errors
/// The first thing that is wrong with the text or the plan, a `csv` among it.
pub fn parse_and_check(text: &str, source: &str) -> Result<Plan, TextError> {
    let raw = parse(text, source)?;
    check(&raw).map_err(|error| located(error, text, source))
}

/// Reads and checks a plan file and the CSV files that it names, relative to its folder. A plan
/// without a name gets the file's.
///
/// # Errors
/// The first file that cannot be read, or the first thing that is wrong with the plan.
pub fn open(path: &Path) -> Result<Opened, TextError> {
    let source = path.display().to_string();
    let text = read(path)
        .map_err(|error| TextError::new(&source, None, format!("cannot be read: {error}")))?;
    let mut raw = parse(&text, &source)?;
    if raw.name.is_none() {
        raw.name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    rows::inline(&mut raw, folder).map_err(|error| located(error, &text, &source))?;
    let plan = check(&raw).map_err(|error| located(error, &text, &source))?;
    Ok(Opened { raw, plan })
}

/// The checked plan of [`open`].
///
/// # Errors
/// As [`open`].
pub fn load(path: &Path) -> Result<Plan, TextError> {
    open(path).map(|opened| opened.plan)
}

/// A plan as JSON that [`parse`] reads back to the same plan.
///
/// # Errors
/// None for a plan that [`parse`] gave.
pub fn to_json(raw: &RawPlan) -> Result<String, serde_json::Error> {
    serde_json::to_string(raw)
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    // One byte more than is parsed, so that a longer file is refused for its length.
    File::open(path)?.take(TEXT_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

fn located(error: PlanError, text: &str, source: &str) -> TextError {
    let position = yaml::find(text, &error.path);
    TextError { hint: error.hint, ..TextError::new(source, position, error.message) }
}

#[cfg(test)]
mod tests;
