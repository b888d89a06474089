//! Names, and the characters that may go into a request.

use std::collections::BTreeMap;

use crate::limits;
use crate::plan::{Piece, PlanError, Template};

use super::at::At;

/// Names of workflows, data sources and columns: they stand in templates, selectors and headers.
pub(super) fn name(name: &str, at: &At<'_>) -> Result<(), PlanError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let holds = !name.is_empty() && name.len() <= limits::NAME_BYTES_MAX && name.chars().all(plain);
    at.ensure(
        holds,
        format_args!("a name has 1 to {} letters, digits, `_`, `-` or `.`", limits::NAME_BYTES_MAX),
    )
}

/// Names for people only.
pub(super) fn label(label: &str, at: &At<'_>) -> Result<(), PlanError> {
    let max = limits::LABEL_BYTES_MAX;
    let holds = !label.is_empty() && label.len() <= max && !label.chars().any(char::is_control);
    at.ensure(holds, format_args!("a name has 1 to {max} bytes and no control characters"))
}

/// Notes `name`, or refuses it when it was noted before.
pub(super) fn unique<'a>(
    seen: &mut BTreeMap<&'a str, ()>,
    name: &'a str,
    at: &At<'_>,
) -> Result<(), PlanError> {
    at.ensure(seen.insert(name, ()).is_none(), format_args!("`{name}` is given twice"))
}

/// `ABC`: the characters of a method or a header name.
pub(super) fn is_token(text: &str) -> bool {
    let special = |c: char| "!#$%&'*+-.^_`|~".contains(c);
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || special(c))
}

/// Whether every written part of `template` has only characters that `allowed` allows.
pub(super) fn all_written(template: &Template, allowed: impl Fn(char) -> bool) -> bool {
    template.0.iter().all(|piece| match piece {
        Piece::Text(text) => text.chars().all(&allowed),
        Piece::Row { .. } | Piece::Captured(_) | Piece::Index | Piece::Vu => true,
    })
}
