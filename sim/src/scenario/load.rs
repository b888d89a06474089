//! The load of a scenario: one open-loop workflow, because its promises are the strictest.

use std::time::Duration;

use hyperscale_core::bounded::BoundedVec;
use hyperscale_core::plan::{Datacenters, OnGateLoss, Plan, Site};

use crate::layout::Layout;
use crate::plans;

/// So many requests per second for so long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Load {
    /// Arrivals per second.
    pub rate: u32,
    /// Seconds.
    pub seconds: u32,
    /// Datacenters that share it equally, from the first on; 0: whichever takes it.
    pub datacenters: u16,
}

impl Load {
    /// Arrivals planned.
    pub fn planned(&self) -> u64 {
        u64::from(self.rate) * u64::from(self.seconds)
    }

    /// How long it lasts.
    pub fn span(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds))
    }

    /// Whether an index is in a datacenter's part of an equal split.
    pub fn is_of(&self, dc: u16, index: u64) -> bool {
        index % u64::from(self.datacenters.max(1)) == u64::from(dc)
    }

    /// As a plan; the workflow is named by the key.
    pub fn plan(&self, key: &str) -> Plan {
        let mut plan = plans::steady(u64::from(self.rate), u64::from(self.seconds));
        plan.name = named(key);
        plan.on_gate_loss = OnGateLoss::Finish;
        let mut workflows: Vec<_> = plan.workflows.iter().cloned().collect();
        for workflow in &mut workflows {
            workflow.name = named(key);
        }
        plan.workflows = BoundedVec::try_from(workflows).unwrap_or_default();
        if self.datacenters > 0 {
            let site = |dc| Site { name: datacenter(dc), weight: 1 };
            let sites: Vec<_> = (0..self.datacenters).map(site).collect();
            plan.datacenters = Datacenters::Named(BoundedVec::try_from(sites).unwrap_or_default());
        }
        plan
    }
}

/// The workflow of a load with this key; what is before a `/` is the tenant.
pub fn named(key: &str) -> String {
    key.replace('/', "-")
}

/// The name of a datacenter.
pub fn datacenter(dc: u16) -> String {
    Layout::name(dc)
}
