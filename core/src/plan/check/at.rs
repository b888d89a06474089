//! Where a check is in the plan.

use std::fmt::Display;

use crate::bounded::BoundedVec;
use crate::plan::{PathPart, PlanError};

/// The path from the root to what is being checked. On the stack: it costs nothing until an error
/// needs it.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    parent: Option<&'a Self>,
    part: Part<'a>,
}

#[derive(Clone, Copy)]
enum Part<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl<'a> At<'a> {
    pub(super) const ROOT: Self = Self { parent: None, part: Part::Root };

    pub(super) const fn key(&'a self, key: &'a str) -> Self {
        Self { parent: Some(self), part: Part::Key(key) }
    }

    pub(super) const fn index(&'a self, index: usize) -> Self {
        Self { parent: Some(self), part: Part::Index(index) }
    }

    pub(super) fn error(&self, message: impl Display) -> PlanError {
        let mut path = Vec::new();
        let mut at = Some(self);
        while let Some(here) = at {
            match here.part {
                Part::Root => {}
                Part::Key(key) => path.push(PathPart::Key(key.to_owned())),
                Part::Index(index) => path.push(PathPart::Index(index)),
            }
            at = here.parent;
        }
        path.reverse();
        PlanError { path, message: message.to_string(), hint: None }
    }

    /// Nothing when `holds`, the error otherwise.
    pub(super) fn ensure(&self, holds: bool, message: impl Display) -> Result<(), PlanError> {
        if holds { Ok(()) } else { Err(self.error(message)) }
    }

    /// Nothing when `holds`, else that the value here must be above zero.
    pub(super) fn above_zero(&self, holds: bool) -> Result<(), PlanError> {
        match self.part {
            Part::Key(key) => self.ensure(holds, format_args!("`{key}` must be above zero")),
            Part::Root | Part::Index(_) => self.ensure(holds, "must be above zero"),
        }
    }

    /// `items` within their cap, or an error that names `what` they are.
    pub(super) fn bounded<T, const N: usize>(
        &self,
        items: Vec<T>,
        what: &str,
    ) -> Result<BoundedVec<T, N>, PlanError> {
        let found = items.len();
        BoundedVec::try_from(items)
            .map_err(|_| self.error(format_args!("{found} {what}, at most {N} are allowed")))
    }
}
