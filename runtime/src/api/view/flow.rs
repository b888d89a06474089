//! How a gate copes, as JSON.

use hyperscale_core::api;
use serde::{Deserialize, Serialize};

/// How a gate copes, and what it refused since it started.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Flow {
    /// `healthy`, `busy`, `stressed` or `overloaded`.
    pub level: String,
    /// Jobs that wait for their turn.
    pub waiting: u32,
    /// Jobs that have it.
    pub running: u32,
    /// Jobs that may have it at a time.
    pub running_max: u32,
    /// Inputs of the gate that waited when it was measured last.
    pub queued: u32,
    /// How long the newest had waited, milliseconds.
    pub delay_ms: u64,
    /// Its share of its cores, per mille.
    pub cpu_per_mille: u16,
    /// Its share of the memory it may use, per mille.
    pub memory_per_mille: u16,
    /// Calls refused because their client asked too often.
    pub limited: u64,
    /// Clients whose rate it keeps.
    pub clients: u32,
    /// The most important first.
    pub classes: Vec<FlowClass>,
}

/// What became of a class of calls and messages.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FlowClass {
    /// `control`, `dispatch`, `data` or `telemetry`.
    pub name: String,
    /// Calls that are not answered yet.
    pub open: u32,
    /// Calls refused because the gate was overloaded.
    pub shed: u64,
    /// Messages to peers dropped because they were slow or not connected.
    pub dropped: u64,
}

impl From<&api::FlowView> for Flow {
    fn from(view: &api::FlowView) -> Self {
        let classes = view.classes.iter().map(|class| FlowClass {
            name: class.name.clone(),
            open: class.open,
            shed: class.shed,
            dropped: class.dropped,
        });
        Self {
            level: view.level.clone(),
            waiting: view.waiting,
            running: view.running,
            running_max: view.running_max,
            queued: view.queued,
            delay_ms: u64::try_from(view.delay.as_millis()).unwrap_or(u64::MAX),
            cpu_per_mille: view.cpu,
            memory_per_mille: view.memory,
            limited: view.limited,
            clients: view.clients,
            classes: classes.collect(),
        }
    }
}
