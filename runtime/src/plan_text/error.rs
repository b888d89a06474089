//! Why the text of a plan was refused.

use std::fmt;

/// A place in a text; both count from 1, columns in characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The column.
    pub column: u64,
}

/// Why the text of a plan was refused. Displayed on one line: `plan.yaml:12:7: message, hint`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TextError {
    /// The name of the text, usually a file's.
    pub source: String,
    /// Where, unless the text as a whole is wrong.
    pub position: Option<Position>,
    /// What is wrong.
    pub message: String,
    /// What would help.
    pub hint: Option<String>,
}

impl TextError {
    pub(super) fn new(source: &str, position: Option<Position>, message: String) -> Self {
        Self { source: source.to_owned(), position, message, hint: None }
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.source)?;
        if let Some(Position { line, column }) = self.position {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}", self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, ", {hint}"))
    }
}

impl std::error::Error for TextError {}
