//! Why a configuration file is refused, with the place.

use std::fmt;
use std::path::PathBuf;

use hyperscale_core::config::ConfigError;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Why a configuration file is refused; nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The text is not what is expected there.
    #[error("{path}: {error}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        error: Box<toml::de::Error>,
    },
    /// A value is out of range or missing.
    #[error("{path}: {place}{error}")]
    Range {
        /// The file.
        path: PathBuf,
        /// Where it stands.
        place: Place,
        /// Which, and what it may be.
        error: ConfigError,
    },
    /// The file is no gate's and no manager's.
    #[error(
        "{path}: this is not the file of a gate or a manager; only those keep a state directory"
    )]
    Stateless {
        /// The file.
        path: PathBuf,
    },
}

/// Where a setting stands; shows as nothing for one that is missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place(Option<(usize, usize)>);

impl Place {
    /// Where the setting that a check calls `field` stands in `text`: as far along its dotted path
    /// as there is something.
    pub(super) fn of(field: &str, text: &str) -> Self {
        let Ok(table) = DeTable::parse(text) else { return Self(None) };
        let mut table = table.get_ref();
        let mut found = None;
        for name in field.split('.') {
            let Some((key, value)) = entry(table, name) else { break };
            found = Some(key);
            let DeValue::Table(inner) = value else { break };
            table = inner;
        }
        Self(found.map(|at| position(text, at)))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((line, column)) = self.0 else { return Ok(()) };
        write!(f, "line {line}, column {column}: ")
    }
}

/// A setting by the name a check gives it; times have their unit in the file only.
fn entry<'t, 'i>(table: &'t DeTable<'i>, name: &str) -> Option<(usize, &'t DeValue<'i>)> {
    let is_meant = |key: &Spanned<_>| {
        let key: &str = AsRef::<str>::as_ref(Spanned::<toml::de::DeString<'_>>::get_ref(key));
        key == name || key.strip_suffix("_ms") == Some(name)
    };
    let (key, value) = table.iter().find(|(key, _)| is_meant(key))?;
    Some((key.span().start, value.get_ref()))
}

/// Line and column from 1.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}
