//! Open calls by class, each class within its cap so that none takes another's place. Control has
//! no cap here: the process in front of a gate bounds how many calls can be open at all.

use super::Class;
use crate::invariant::{Inv, Violation};
use crate::limits;

/// Open calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Credits {
    open: [u32; 4],
}

impl Credits {
    /// Whether one more of a class may be open.
    pub fn has_room(&self, class: Class) -> bool {
        cap(class).is_none_or(|cap| self.open(class) < cap)
    }

    /// One more is open.
    pub fn take(&mut self, class: Class) {
        if let Some(open) = self.open.get_mut(class.index()) {
            *open = open.saturating_add(1);
        }
    }

    /// One is answered.
    pub fn give_back(&mut self, class: Class) {
        if let Some(open) = self.open.get_mut(class.index()) {
            *open = open.saturating_sub(1);
        }
    }

    /// How many are open.
    pub fn open(&self, class: Class) -> u32 {
        self.open.get(class.index()).copied().unwrap_or(0)
    }

    /// Checks the caps.
    ///
    /// # Errors
    /// The class that has too many.
    pub fn check(&self) -> Result<(), Violation> {
        let over = |class: &Class| cap(*class).is_some_and(|cap| self.open(*class) > cap);
        match Class::ALL.iter().find(|class| over(class)) {
            None => Ok(()),
            Some(class) => {
                let detail = format!("{} {} calls are open", self.open(*class), class.name());
                Err(Violation::new(Inv::Bounded, detail))
            }
        }
    }
}

const fn cap(class: Class) -> Option<u32> {
    match class {
        Class::Control => None,
        Class::Dispatch => Some(limits::CALLS_DISPATCH_MAX),
        Class::Data => Some(limits::CALLS_DATA_MAX),
        Class::Telemetry => Some(limits::CALLS_TELEMETRY_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_class_leaves_the_others_their_room() {
        let mut credits = Credits::default();
        for _ in 0..limits::CALLS_TELEMETRY_MAX {
            assert!(credits.has_room(Class::Telemetry));
            credits.take(Class::Telemetry);
        }
        assert!(!credits.has_room(Class::Telemetry));
        assert!(credits.has_room(Class::Dispatch) && credits.has_room(Class::Control));
        credits.check().unwrap();
        credits.take(Class::Telemetry);
        credits.check().unwrap_err();
        credits.give_back(Class::Telemetry);
        credits.give_back(Class::Telemetry);
        assert!(credits.has_room(Class::Telemetry));
    }
}
