//! The checked plan: what every role may rely on. Built only by `plan::check` from the raw plan,
//! and re-checked when it arrives from a peer. No floats: rates are counts per span, thresholds are
//! fixed-point.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::datacenters::Datacenters;
use super::placement::Placement;
use super::priority::Priority;
use crate::bounded::BoundedVec;
use crate::ids::WorkflowIx;
use crate::limits;

/// A load test: a DAG of workflows with the data they use and the thresholds they must meet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// What people call it.
    pub name: String,
    /// `http://host:port` with an optional path prefix, or `demo`.
    pub base_url: String,
    /// The workflows, in the order of the file.
    pub workflows: BoundedVec<Workflow, { limits::WORKFLOWS_MAX }>,
    /// Rows that requests may use.
    pub data: BoundedVec<DataSource, { limits::DATA_SOURCES_MAX }>,
    /// What must hold for the run to pass.
    pub thresholds: BoundedVec<Threshold, { limits::THRESHOLDS_MAX }>,
    /// Where the load comes from.
    pub datacenters: Datacenters,
    /// What is asked of them where the gate chooses.
    pub placement: Placement,
    /// What happens to the load of a lost worker.
    pub on_worker_loss: OnWorkerLoss,
    /// What a datacenter does when every gate is silent.
    pub on_gate_loss: OnGateLoss,
    /// Every random choice of the plan (data order, think times) derives from it.
    pub seed: u64,
    /// Send `X-Hyperscale-Index: <workflow>/<index>` with every request, so that a server can
    /// check index-once.
    pub index_header: bool,
    /// The job is ended when it has run for so long.
    pub timeout: Option<Duration>,
    /// How often the job may try again what failed, in each datacenter.
    pub retries: u8,
}

/// One workflow: an executor that decides when, and a flow that says what.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Workflow {
    /// Unique within the plan.
    pub name: String,
    /// The workflows that must have ended before.
    pub after: BoundedVec<WorkflowIx, { limits::WORKFLOWS_MAX }>,
    /// How those must have ended.
    pub when: When,
    /// When iterations start.
    pub executor: Executor,
    /// How long open iterations may go on after the last was started; what is open then is
    /// interrupted.
    pub graceful_stop: Duration,
    /// What one iteration does.
    pub flow: BoundedVec<Step, { limits::STEPS_MAX }>,
    /// How many values `capture` stores in one iteration.
    pub captures: u16,
    /// Which cores it gets, and when.
    pub priority: Priority,
    /// How often it may try again what failed, in each datacenter.
    pub retries: u8,
}

/// How the workflows named in `after` must have ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum When {
    /// All completed.
    #[default]
    Ok,
    /// All ended, however.
    Always,
    /// At least one failed.
    Failed,
}

/// When iterations start. Names and options are k6's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Executor {
    /// Every VU iterates for `duration`.
    ConstantVus {
        /// How many VUs; at least 1.
        vus: u32,
        /// For how long; above zero.
        duration: Duration,
    },
    /// Every VU does the same number of iterations.
    PerVuIterations {
        /// How many VUs; at least 1.
        vus: u32,
        /// Iterations of each VU; at least 1.
        iterations: u64,
        /// Nothing starts after this.
        max_duration: Duration,
    },
    /// The VUs share a number of iterations.
    SharedIterations {
        /// How many VUs; at least 1.
        vus: u32,
        /// Iterations of all VUs together; at least 1.
        iterations: u64,
        /// Nothing starts after this.
        max_duration: Duration,
    },
    /// Open loop: iterations start on a schedule, whatever the server does.
    ConstantArrivalRate {
        /// Arrivals per `unit`.
        rate: Rate,
        /// For how long; above zero.
        duration: Duration,
        /// At most so many iterations are open at once, over all shards; at least 1.
        max_vus: u32,
    },
}

/// `count` arrivals per `unit`; both above zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rate {
    /// Arrivals.
    pub count: u64,
    /// Per this span.
    pub unit: Duration,
}

/// One step of a flow.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Step {
    /// Send a request and read its response.
    Request(Box<RequestStep>),
    /// Wait for a span drawn evenly from the closed interval.
    Think {
        /// The shortest wait.
        min: Duration,
        /// The longest wait.
        max: Duration,
    },
}

/// A request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RequestStep {
    /// The name its metrics carry; unique within the workflow.
    pub name: String,
    /// Upper-case method.
    pub method: String,
    /// Path and query, appended to the base URL.
    pub target: Template,
    /// Extra headers, names as written.
    pub headers: BoundedVec<(String, Template), { limits::HEADERS_MAX }>,
    /// The body, if any.
    pub body: Option<Body>,
    /// Status codes that count as success, closed intervals; empty: 200..=399.
    pub expect_status: BoundedVec<(u16, u16), { limits::EXPECTS_MAX }>,
    /// The response body must contain this.
    pub expect_body: Option<String>,
    /// Values to keep for later steps of the same iteration.
    pub captures: BoundedVec<Capture, { limits::CAPTURES_MAX }>,
    /// From send to last byte.
    pub timeout: Duration,
}

/// A request body.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Body {
    /// How holes are escaped, and the content type unless a header gives one.
    pub kind: BodyKind,
    /// The text.
    pub text: Template,
}

/// How a body is encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum BodyKind {
    /// `application/json`; holes are escaped as JSON string content.
    Json,
    /// `application/x-www-form-urlencoded`; holes are percent-encoded.
    Form,
    /// Sent as written.
    Text,
}

/// Text with holes.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Template(pub BoundedVec<Piece, { limits::PIECES_MAX }>);

/// A piece of a template.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Piece {
    /// As written.
    Text(String),
    /// `${source.column}`: a field of this iteration's row.
    Row {
        /// Which data source.
        source: u16,
        /// Which of its columns.
        column: u16,
    },
    /// `${name}`: a value captured earlier in the iteration.
    Captured(u16),
    /// `${iteration}`: the global item index.
    Index,
    /// `${vu}`: the global number of the VU.
    Vu,
}

/// Where a captured value comes from and where it goes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Capture {
    /// The slot it is stored in; below `Workflow::captures`.
    pub slot: u16,
    /// Where it is found.
    pub from: CaptureFrom,
}

/// Where a captured value is found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CaptureFrom {
    /// `$.a.b[0]`: keys and indexes into the JSON body.
    Json(BoundedVec<JsonKey, { limits::JSON_PATH_MAX }>),
    /// A response header, lower-case.
    Header(String),
}

/// A step into a JSON value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum JsonKey {
    /// A member of an object.
    Key(String),
    /// An element of an array.
    Index(u32),
}

/// Rows for requests.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DataSource {
    /// How templates name it.
    pub name: String,
    /// Column names.
    pub columns: BoundedVec<String, { limits::COLUMNS_MAX }>,
    /// Every row has one value per column; at least one row.
    pub rows: BoundedVec<BoundedVec<String, { limits::COLUMNS_MAX }>, { limits::ROWS_MAX }>,
    /// Which row an iteration gets.
    pub order: RowOrder,
}

/// Which row an iteration gets; a function of the plan, its seed and the global item index only.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum RowOrder {
    /// Item index modulo the number of rows.
    #[default]
    Sequential,
    /// Drawn evenly by seed and item index.
    Random,
}

/// What happens to the load of a lost worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum OnWorkerLoss {
    /// Spare cores take over at the current plan time.
    #[default]
    Replace,
    /// The load shrinks.
    Shrink,
    /// The job fails.
    Abort,
}

/// What a datacenter does when every gate is silent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum OnGateLoss {
    /// Finish the part and deliver later.
    #[default]
    Finish,
    /// Cancel the part after so long a silence.
    StopAfter(Duration),
}

/// A condition on a metric's merged value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Threshold {
    /// The metric.
    pub metric: Metric,
    /// Only this workflow's samples, if given.
    pub workflow: Option<WorkflowIx>,
    /// Only this step's samples, if given.
    pub step: Option<String>,
    /// Which value of the metric.
    pub stat: ThresholdStat,
    /// How it is compared.
    pub op: Comparison,
    /// The bound in millionths of the metric's unit (ms for times, 1 for rates and counts).
    pub bound_micro: u64,
    /// End the job as soon as it fails.
    pub abort_on_fail: bool,
    /// The expression as the user wrote it.
    pub text: String,
}

/// Metrics, with k6's names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are k6's; `Metric::name` and README define them")]
pub enum Metric {
    HttpReqs,
    HttpReqFailed,
    HttpReqDuration,
    HttpReqLatency,
    HttpReqBlocked,
    HttpReqConnecting,
    HttpReqSending,
    HttpReqWaiting,
    HttpReqReceiving,
    Iterations,
    IterationDuration,
    IterationStartLag,
    DroppedIterations,
    DataSent,
    DataReceived,
    Checks,
    Coverage,
}

/// Which value of a metric a threshold looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ThresholdStat {
    /// Arithmetic mean.
    Avg,
    /// Smallest.
    Min,
    /// Median.
    Med,
    /// Largest.
    Max,
    /// Percentile in thousandths of a percent: `p(99.9)` is 99_900.
    Percentile(u32),
    /// Number of samples, or sum for counters.
    Count,
    /// Share of non-zero samples for rates; per second for counters.
    Rate,
}

/// How a threshold compares.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they say what they are")]
pub enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}
