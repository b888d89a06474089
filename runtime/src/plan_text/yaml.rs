//! The one file that names the YAML crate: its limits, its errors, its positions.

use std::fmt;
use std::ops::ControlFlow;

use hyperscale_core::plan::raw::RawPlan;
use hyperscale_core::plan::{PathPart, nearest};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{DuplicateKeyPolicy, Error, Location, MergeKeyPolicy, Options, Spanned};

use super::{Position, TextError};

/// The longest text that is read, in bytes: rows included, written as JSON.
pub const TEXT_BYTES_MAX: usize = 8 << 20;
/// The deepest nesting of maps and lists.
const DEPTH_MAX: usize = 32;
/// Values, keys and ends of a text; a row of a data source takes two and one per column.
const EVENTS_MAX: usize = 1_500_000;
/// Uses of an anchor in a text, and events that they may repeat.
const ALIASES_MAX: usize = 64;
const REPEATED_MAX: usize = 10_000;

pub(super) fn parse(text: &str, source: &str) -> Result<RawPlan, TextError> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("{} bytes, at most {TEXT_BYTES_MAX} are read", text.len());
        return Err(TextError::new(source, None, message));
    }
    read(text).map_err(|error| refused(&error, source))
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_saphyr::from_str_with_options(text, options())
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_reader_input_bytes: Some(TEXT_BYTES_MAX),
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_events: EVENTS_MAX,
            max_nodes: EVENTS_MAX,
            max_documents: 1,
            max_aliases: ALIASES_MAX,
            max_anchors: ALIASES_MAX,
            max_recorded_anchor_events: REPEATED_MAX,
            max_total_scalar_bytes: TEXT_BYTES_MAX,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: REPEATED_MAX,
            max_replay_stack_depth: 8,
            max_alias_expansions_per_anchor: ALIASES_MAX,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
    }
}

/// The crate's errors in our words, with the nearest name where one is wrong.
fn refused(error: &Error, source: &str) -> TextError {
    let mut error = error.without_snippet();
    let position = error.location().and_then(position);
    while let Error::AliasError { error: inner, .. } = error {
        error = inner;
    }
    let (message, hint) = match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            (format!("unknown field `{field}`"), nearest_hint(field, expected))
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            let all = || Some(format!("expected one of `{}`", expected.join("`, `")));
            (format!("unknown value `{variant}`"), nearest_hint(variant, expected).or_else(all))
        }
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            (format!("`{key}` is given twice"), None)
        }
        Error::SerdeInvalidType { unexpected, expected, .. } => {
            (format!("expected {expected}, found {unexpected}"), None)
        }
        Error::Unexpected { expected, .. } => (format!("expected {}", plain_kind(expected)), None),
        Error::InvalidScalar { ty, .. } => (format!("expected {}", plain_kind(ty)), None),
        Error::InvalidBooleanStrict { .. } => ("expected `true` or `false`".to_owned(), None),
        Error::NullIntoString { .. } => ("expected a value, found nothing".to_owned(), None),
        Error::MergeKeyNotAllowed { .. } => ("merge keys are not accepted".to_owned(), None),
        Error::Budget { breach, .. } => (breached(breach), None),
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => (TOO_MANY_ALIASES.to_owned(), None),
        other => (without_place(other), None),
    };
    TextError { hint, ..TextError::new(source, position, message) }
}

fn plain_kind(kind: &'static str) -> &'static str {
    match kind {
        "string scalar" => "a single value",
        "mapping start" => "a map",
        "sequence start" => "a list",
        kind if kind.starts_with('u') => "a whole number, not negative and not too large",
        kind => kind,
    }
}

fn breached(breach: &BudgetBreach) -> String {
    match breach {
        BudgetBreach::Depth { .. } => too_deep(),
        BudgetBreach::Documents { .. } => "a second document begins".to_owned(),
        BudgetBreach::Aliases { .. }
        | BudgetBreach::Anchors { .. }
        | BudgetBreach::RecordedAnchorEvents { .. }
        | BudgetBreach::AliasAnchorRatio { .. } => TOO_MANY_ALIASES.to_owned(),
        _ => "the text holds too much".to_owned(),
    }
}

fn too_deep() -> String {
    format!("nested deeper than {DEPTH_MAX} levels")
}

const TOO_MANY_ALIASES: &str = "anchors repeat too much";

/// The crate's own words on one line, without the place that we write before them.
fn without_place(error: &Error) -> String {
    let text = error.to_string().replace('\n', " ");
    let place =
        error.location().map(|at| format!(" at line {}, column {}", at.line(), at.column()));
    if text.starts_with("recursion limit exceeded") {
        return too_deep();
    }
    match place.and_then(|place| text.strip_suffix(&place).map(str::to_owned)) {
        Some(text) => text,
        None => text,
    }
}

fn nearest_hint(unknown: &str, expected: &[&str]) -> Option<String> {
    let name = nearest(unknown, expected.iter().copied())?;
    Some(format!("did you mean `{name}`?"))
}

fn position(location: Location) -> Option<Position> {
    (location.line() > 0).then(|| Position { line: location.line(), column: location.column() })
}

/// The position of the value at `path`, or of the key that holds it when it is a map or a list;
/// where the path leaves the text, that of its last part that is there.
pub(super) fn find(text: &str, path: &[PathPart]) -> Option<Position> {
    let root: Spanned<Node> = read(text).ok()?;
    let start = position(root.referenced)?;
    let walk =
        path.iter().try_fold((&root, start), |(at, shown), part| match at.value.child(part) {
            Some((key, child)) => {
                let own = position(child.referenced).unwrap_or(shown);
                let shown = match child.value {
                    Node::Leaf => own,
                    Node::List(_) | Node::Map(_) => key.unwrap_or(own),
                };
                ControlFlow::Continue((child, shown))
            }
            None => ControlFlow::Break(shown),
        });
    match walk {
        ControlFlow::Continue((_, shown)) | ControlFlow::Break(shown) => Some(shown),
    }
}

/// The shape of a text, for positions only.
enum Node {
    Leaf,
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl Node {
    fn child(&self, part: &PathPart) -> Option<(Option<Position>, &Spanned<Self>)> {
        match (self, part) {
            (Self::Map(entries), PathPart::Key(wanted)) => {
                let exact = entries.iter().find(|(key, _)| key.value == *wanted);
                let alias = || entries.iter().find(|(key, _)| plain(&key.value) == plain(wanted));
                exact.or_else(alias).map(|(key, child)| (position(key.referenced), child))
            }
            (Self::List(items), PathPart::Index(index)) => {
                items.get(*index).map(|child| (None, child))
            }
            _ => None,
        }
    }
}

/// A name without what tells k6's spelling from ours, and without spaces in a selector.
fn plain(name: &str) -> String {
    name.chars().filter(|c| *c != '_' && *c != ' ').map(|c| c.to_ascii_lowercase()).collect()
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyNode)
    }
}

struct AnyNode;

impl<'de> Visitor<'de> for AnyNode {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_str<E>(self, _: &str) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Node, D::Error> {
        Node::deserialize(inner)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut source: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = source.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut source: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = source.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}
