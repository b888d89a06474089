//! What was refused, by class: for operators, and to check that control never is.

use super::Class;
use crate::invariant::{Inv, Violation};

/// Calls refused since the boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Shed {
    refused: [u64; 4],
}

impl Shed {
    pub(super) fn on_refused(&mut self, class: Class) {
        if let Some(refused) = self.refused.get_mut(class.index()) {
            *refused = refused.saturating_add(1);
        }
    }

    pub(super) fn refused(&self, class: Class) -> u64 {
        self.refused.get(class.index()).copied().unwrap_or(0)
    }

    pub(super) fn check(&self) -> Result<(), Violation> {
        match self.refused(Class::Control) {
            0 => Ok(()),
            n => Err(Violation::new(Inv::ControlNeverShed, format!("{n} control calls refused"))),
        }
    }
}
