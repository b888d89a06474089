//! A plan on disk.

use std::path::Path;
use std::time::Duration;

use hyperscale_core::plan::Plan;
use hyperscale_runtime::plan_text::{self, Opened};

use crate::exit::Exit;
use crate::failure::Failure;

/// A plan that was read and checked.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct PlanFile {
    /// As the roles use it.
    pub(crate) plan: Plan,
    /// As it is submitted: complete, without references to other files.
    pub(crate) text: String,
}

impl PlanFile {
    /// Reads and checks a plan.
    ///
    /// # Errors
    /// Exit 104 with the first thing that is wrong and where.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let Opened { raw, plan } =
            plan_text::open(path).map_err(|error| Failure::new(Exit::Invalid, error))?;
        let text = plan_text::to_json(&raw).map_err(|error| Failure::new(Exit::Invalid, error))?;
        Ok(Self { plan, text })
    }

    /// Planned durations in the order of the plan.
    pub(crate) fn durations(&self) -> Vec<Duration> {
        let workflows = self.plan.workflows.iter();
        workflows.map(|workflow| workflow.executor.planned_duration()).collect()
    }

    /// One line about it.
    pub(crate) fn describe(&self) -> String {
        let names: Vec<&str> =
            self.plan.workflows.iter().map(|workflow| workflow.name.as_str()).collect();
        format!("plan {}: {} against {}", self.plan.name, names.join(", "), self.plan.base_url)
    }
}
