//! Why a plan was refused, and where.

use std::fmt;

/// A step from the plan's root towards the offending value, in the words of the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PathPart {
    /// A member of a map.
    Key(String),
    /// An element of a list.
    Index(usize),
}

/// Why a plan was refused. Nothing of the plan is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlanError {
    /// The offending value, e.g. `workflows.login.rate`; the file may lack its last parts.
    pub path: Vec<PathPart>,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What would help, as a clause that follows the message and a comma.
    pub hint: Option<String>,
}

impl PlanError {
    /// The same error with a hint.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same error, with the nearest of `names` to `unknown` as its hint when one is near.
    #[must_use]
    pub fn with_nearest<'a>(self, unknown: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        match super::nearest(unknown, names) {
            Some(name) => self.with_hint(format!("did you mean `{name}`?")),
            None => self,
        }
    }
}

impl fmt::Display for PathPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => f.write_str(key),
            Self::Index(index) => write!(f, "{index}"),
        }
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, part) in self.path.iter().enumerate() {
            let lead = if place == 0 { "" } else { "." };
            write!(f, "{lead}{part}")?;
        }
        let lead = if self.path.is_empty() { "" } else { ": " };
        write!(f, "{lead}{}", self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, ", {hint}"))
    }
}

impl std::error::Error for PlanError {}
