//! The plan as it is written, before anything is checked but its shape.
//!
//! Flat structs with optional fields, so that whoever deserialises knows the position of every
//! error: no flattening, no untagged or internally tagged enums. Serialising gives the same plan
//! back in snake_case. k6's camelCase names are accepted. Fields that are known by name but not
//! built are accepted here and refused by `check`, which can say so.

mod choice;
mod datacenters;
mod json;
mod map;
mod scalar;

use serde::{Deserialize, Serialize};

pub use choice::{
    RawExecutor, RawGateLoss, RawNames, RawOrder, RawPriority, RawThreshold, RawWhen,
    RawWorkerLoss, Unbuilt,
};
pub use datacenters::RawDatacenters;
pub use json::RawJson;
pub use map::RawMap;
pub use scalar::{RawDuration, RawRate, RawStatus, RawThink};

/// A whole plan.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the fields are the vocabulary of plan files; `Plan` defines them")]
pub struct RawPlan {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", alias = "baseUrl", alias = "baseURL")]
    pub base_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflows: Option<RawMap<RawWorkflow>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<RawMap<RawData>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<RawMap<Vec<RawThreshold>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datacenters: Option<RawDatacenters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<RawPlacement>,
    #[serde(skip_serializing_if = "Option::is_none", alias = "onWorkerLoss")]
    pub on_worker_loss: Option<RawWorkerLoss>,
    #[serde(skip_serializing_if = "Option::is_none", alias = "onGateLoss")]
    pub on_gate_loss: Option<RawGateLoss>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", alias = "indexHeader")]
    pub index_header: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<RawDuration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setup: Option<Unbuilt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teardown: Option<Unbuilt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<Unbuilt>,
}

/// Which datacenters the gate may choose, and which first.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawPlacement {
    /// Names, the best first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefer: Option<RawNames>,
    /// The longest round trip from the gate.
    #[serde(skip_serializing_if = "Option::is_none", alias = "maxRtt")]
    pub max_rtt: Option<RawDuration>,
}

/// A workflow: the options of every executor side by side, and the flow.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the fields are the vocabulary of plan files; `Workflow` has them")]
pub struct RawWorkflow {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<RawNames>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<RawWhen>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executor: Option<RawExecutor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vus: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<RawDuration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iterations: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", alias = "maxDuration")]
    pub max_duration: Option<RawDuration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<RawRate>,
    #[serde(skip_serializing_if = "Option::is_none", alias = "timeUnit")]
    pub time_unit: Option<RawDuration>,
    #[serde(skip_serializing_if = "Option::is_none", alias = "maxVUs")]
    pub max_vus: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", alias = "gracefulStop")]
    pub graceful_stop: Option<RawDuration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<RawPriority>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<Vec<RawStep>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stages: Option<Unbuilt>,
    #[serde(skip_serializing_if = "Option::is_none", alias = "startVUs")]
    pub start_vus: Option<Unbuilt>,
    #[serde(skip_serializing_if = "Option::is_none", alias = "startRate")]
    pub start_rate: Option<Unbuilt>,
    #[serde(skip_serializing_if = "Option::is_none", alias = "preAllocatedVUs")]
    pub pre_allocated_vus: Option<Unbuilt>,
    #[serde(skip_serializing_if = "Option::is_none", alias = "gracefulRampDown")]
    pub graceful_ramp_down: Option<Unbuilt>,
    #[serde(skip_serializing_if = "Option::is_none", alias = "startTime")]
    pub start_time: Option<Unbuilt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<Unbuilt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<Unbuilt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Unbuilt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<Unbuilt>,
}

/// A step of a flow: a request or a pause, never both.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the fields are the vocabulary of plan files; `Step` defines them")]
pub struct RawStep {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub get: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub put: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<RawMap<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<RawJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<RawMap<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<RawExpect>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture: Option<RawMap<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<RawDuration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub think: Option<RawThink>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "loop")]
    pub loop_: Option<Unbuilt>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "if")]
    pub if_: Option<Unbuilt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Unbuilt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<Unbuilt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<Unbuilt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub websocket: Option<Unbuilt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<Unbuilt>,
}

/// What counts as success.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawExpect {
    /// Which status codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<RawStatus>,
    /// What the body must contain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// Rows: from a CSV file beside the plan, or inline.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawData {
    /// The path of a CSV file with a header line. `check` refuses it: whoever can read files puts
    /// the rows inline first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csv: Option<String>,
    /// Names of the columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    /// One list of values per row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<Vec<Vec<String>>>,
    /// Which row an iteration gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<RawOrder>,
}
