//! A gate whose answers a test chooses.

use hyperscale_core::api::{Command, JobView, Reply, Update};
use hyperscale_core::ids::JobId;
use hyperscale_core::input::Input;
use hyperscale_core::report::{JobResult, JobStatus, PartResult};
use hyperscale_runtime::calls::Gate;
use hyperscale_runtime::plan_text;
use tokio::sync::mpsc;

use crate::plan_file::PlanFile;

pub(crate) const JOB: JobId = JobId::new(17);

/// A gate that answers every command with `answer`; no reply if that gives none.
pub(crate) fn gate(
    mut answer: impl FnMut(&Gate, Command) -> Option<Reply> + Send + 'static,
) -> Gate {
    let (inbox, mut inputs) = mpsc::channel(16);
    let gate = Gate::new(inbox);
    let answering = gate.clone();
    tokio::spawn(async move {
        while let Some(input) = inputs.recv().await {
            if let Input::Called { call, command, .. } = input
                && let Some(reply) = answer(&answering, *command)
            {
                answering.reply(call, reply);
            }
        }
    });
    gate
}

pub(crate) fn update(seq: u64, status: JobStatus) -> Update {
    Update { seq, view: Box::new(view(status)), moved: false }
}

pub(crate) fn view(status: JobStatus) -> JobView {
    JobView {
        job: JOB,
        name: "checkout".to_owned(),
        status,
        reason: String::new(),
        workflow_names: Vec::new(),
        workflows: Vec::new(),
        position: None,
        windows: Vec::new(),
    }
}

pub(crate) fn result(status: JobStatus) -> JobResult {
    JobResult {
        job: JOB,
        name: "checkout".to_owned(),
        status,
        reason: String::new(),
        ran: Default::default(),
        result: PartResult {
            cancelled: status == JobStatus::Cancelled,
            workers_lost: 0,
            workers: 1,
            workflows: Default::default(),
        },
        parts: Default::default(),
        names: Default::default(),
        thresholds: Default::default(),
    }
}

pub(crate) fn plan_file() -> PlanFile {
    let text = r#"{"name": "checkout", "base_url": "demo", "workflows": {"a": {
        "executor": "per-vu-iterations", "vus": 1, "flow": [{"name": "a", "get": "/"}]}}}"#;
    let plan = plan_text::parse_and_check(text, "plan").expect("a good plan");
    PlanFile { plan, text: text.to_owned() }
}
