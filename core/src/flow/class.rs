//! What may be shed, and in which order. Derived from the message and command enums themselves, by
//! matches without a wildcard: a new message does not compile before somebody has said what it is.

use super::Level;
use crate::api::Command;
use crate::wire::{Message, PartPhase};

/// How much harm it does when something waits or is dropped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// Who leads, who lives, who may issue load, what is to end. Never shed, never held back.
    Control,
    /// New work, and how work ended.
    Dispatch,
    /// Questions and live views; asked or sent again soon.
    Data,
    /// What is nice to know; a newer one says more.
    Telemetry,
}

impl Class {
    /// All of them, the most important first.
    pub const ALL: [Class; 4] = [Class::Control, Class::Dispatch, Class::Data, Class::Telemetry];

    /// The name operators see.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Control => "control",
            Class::Dispatch => "dispatch",
            Class::Data => "data",
            Class::Telemetry => "telemetry",
        }
    }

    /// The class of a message between nodes.
    pub const fn of(msg: &Message) -> Self {
        match msg {
            Message::CancelPart(_)
            | Message::PartAck(_)
            | Message::Capacity(_)
            | Message::Confirm(_)
            | Message::Heartbeat(_)
            | Message::Probe(_)
            | Message::Gates(_)
            | Message::Managers(_)
            | Message::NotLeader(_)
            | Message::Claim(_)
            | Message::NotOwner(_)
            | Message::Pressure(_)
            | Message::Swim(_)
            | Message::SessionBeat(_)
            | Message::SessionAck(_) => Class::Control,
            Message::Offer(_) | Message::Begin(_) | Message::Prepare(_) | Message::Final(_) => {
                Class::Dispatch
            }
            Message::PartReport(report) => match report.phase {
                PartPhase::Refused { .. }
                | PartPhase::Accepted
                | PartPhase::Cancelling
                | PartPhase::Ended(_) => Class::Dispatch,
                PartPhase::Running => Class::Data,
            },
            Message::Report(_) => Class::Telemetry,
        }
    }

    /// The class of a client's command. What the cluster looks like is an operator's first
    /// question when it is overloaded.
    pub const fn of_command(command: &Command) -> Self {
        match command {
            Command::Cancel(_) | Command::CancelWorkflow { .. } | Command::Cluster => {
                Class::Control
            }
            Command::Submit { .. } => Class::Dispatch,
            Command::Status(_) | Command::Result(_) | Command::Watch { .. } => Class::Data,
            Command::List | Command::Stats { .. } | Command::Explain(_) => Class::Telemetry,
        }
    }

    /// Whether a node at this level of overload still takes it.
    pub const fn passes(self, level: Level) -> bool {
        match self {
            Class::Control => true,
            Class::Dispatch => !matches!(level, Level::Overloaded),
            Class::Data => matches!(level, Level::Healthy | Level::Busy),
            Class::Telemetry => matches!(level, Level::Healthy),
        }
    }

    /// Its place in a table of classes.
    pub const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_shedding_spares_control() {
        let shed = |level| Class::ALL.map(|class| !class.passes(level));
        assert_eq!(shed(Level::Healthy), [false, false, false, false]);
        assert_eq!(shed(Level::Busy), [false, false, false, true]);
        assert_eq!(shed(Level::Stressed), [false, false, true, true]);
        assert_eq!(shed(Level::Overloaded), [false, true, true, true]);
    }

    #[test]
    fn cancels_are_control_and_submissions_are_not() {
        use crate::ids::JobId;
        assert_eq!(Class::of_command(&Command::Cancel(JobId::new(1))), Class::Control);
        assert_eq!(Class::of_command(&Command::Cluster), Class::Control);
        assert_eq!(Class::of_command(&Command::List), Class::Telemetry);
        assert!(Class::Control < Class::Dispatch && Class::Data < Class::Telemetry);
    }
}
