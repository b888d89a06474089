//! Checked configuration of each role. `check` runs where configuration enters (runtime,
//! simulator).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::consensus::ConsensusConfig;
use crate::health::HealthConfig;
use crate::ids::NodeId;
use crate::membership::MemberRole;

/// How the clocks of the cluster are trusted, and how long a confirmation lasts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LeaseConfig {
    /// How long a confirmation lasts on the holder's clock.
    pub ttl: Duration,
    /// How far a clock's rate may be from true time, parts per million.
    pub drift_ppm: u32,
}

impl Default for LeaseConfig {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(3), drift_ppm: 10_000 }
    }
}

/// Why a configuration is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{field}: {value} is out of range, must be {range}")]
pub struct ConfigError {
    /// The field.
    pub field: &'static str,
    /// What it was.
    pub value: String,
    /// What it may be.
    pub range: &'static str,
}

impl LeaseConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// The first field out of range.
    pub fn check(self) -> Result<Self, ConfigError> {
        if self.ttl < Duration::from_millis(100) || self.ttl > Duration::from_secs(300) {
            return Err(ConfigError {
                field: "lease.ttl",
                value: format!("{:?}", self.ttl),
                range: "100ms..=300s",
            });
        }
        if self.drift_ppm > 200_000 {
            return Err(ConfigError {
                field: "lease.drift_ppm",
                value: self.drift_ppm.to_string(),
                range: "0..=200000",
            });
        }
        Ok(self)
    }

    /// How often a worker sends a heartbeat when nothing changes.
    pub fn heartbeat_interval(self) -> Duration {
        self.ttl / 6
    }
}

/// How members probe each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MembershipConfig {
    /// One member is probed every so often, and has so long to answer.
    pub period: Duration,
    /// Proxies are asked when a member has not answered for so long.
    pub probe_timeout: Duration,
    /// A ping without an answer is sent again after so long.
    pub resend_after: Duration,
    /// Proxies that are asked.
    pub proxies: u8,
    /// A suspicion that enough members confirmed lasts so long
    pub suspicion_min: Duration,
    /// and one that nobody confirmed so long.
    pub suspicion_max: Duration,
    /// Confirmations that are enough.
    pub confirmations: u8,
    /// A dead member is remembered for so long.
    pub dead_kept: Duration,
}

impl Default for MembershipConfig {
    fn default() -> Self {
        Self {
            period: Duration::from_secs(1),
            probe_timeout: Duration::from_millis(500),
            resend_after: Duration::from_millis(125),
            proxies: 3,
            suspicion_min: Duration::from_millis(750),
            suspicion_max: Duration::from_secs(6),
            confirmations: 3,
            dead_kept: Duration::from_secs(120),
        }
    }
}

impl MembershipConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// The first field out of range.
    pub fn check(self) -> Result<Self, ConfigError> {
        let ms = Duration::from_millis;
        let refuse = |field, value: Duration, range| {
            Err(ConfigError { field, value: format!("{value:?}"), range })
        };
        if self.period < ms(100) || self.period > ms(60_000) {
            return refuse("membership.period_ms", self.period, "100..=60000");
        }
        if self.probe_timeout < self.resend_after || self.probe_timeout > self.period {
            let range = "resend_after_ms..=period_ms";
            return refuse("membership.probe_timeout_ms", self.probe_timeout, range);
        }
        if self.resend_after < ms(10) {
            return refuse("membership.resend_after_ms", self.resend_after, "10..");
        }
        if self.suspicion_min < ms(100) || self.suspicion_max < self.suspicion_min {
            let range = "100..=suspicion_max_ms";
            return refuse("membership.suspicion_min_ms", self.suspicion_min, range);
        }
        Ok(self)
    }

    /// How long a member that was never reached is asked for before it is forgotten.
    pub fn patience(self, role: MemberRole) -> Duration {
        match role {
            MemberRole::Gate => Duration::from_secs(120),
            MemberRole::Manager => Duration::from_secs(90),
            MemberRole::Worker => Duration::from_secs(180),
        }
    }
}

/// A gate.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GateConfig {
    /// This node.
    pub node: NodeId,
    /// Datacenters with their managers, in order of preference.
    pub datacenters: Vec<DatacenterConfig>,
    /// The first resend of a message that must be answered; doubles up to 16 times this.
    pub resend_after: Duration,
    /// An offer that nobody answered by then goes to another datacenter, or fails its job.
    pub accept_within: Duration,
    /// The parts of a job in several datacenters start so long after they were begun.
    pub start_in: Duration,
    /// How long after a part's planned end its result is waited for.
    pub result_grace: Duration,
    /// Entries between snapshots.
    pub checkpoint_entries: u64,
    /// The gates' group.
    pub consensus: ConsensusConfig,
    /// How long a gate's session lasts on its own clock.
    pub session_ttl: Duration,
    /// The gates as members.
    pub membership: MembershipConfig,
    /// How patiently datacenters are judged.
    pub health: HealthConfig,
    /// What it takes from clients.
    pub admission: AdmissionConfig,
}

/// What a gate takes from clients. The same for every gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AdmissionConfig {
    /// Jobs that run at a time; further ones wait for their turn.
    pub jobs_running_max: u32,
    /// Submissions of one client in ten seconds; 0: as many as it likes.
    pub submissions: u32,
    /// Questions of one client about jobs in ten seconds.
    pub questions: u32,
    /// Lists of one client in ten seconds.
    pub lists: u32,
    /// A job that waits is overtaken for so long by jobs that fit elsewhere.
    pub queue_patience: Duration,
}

impl Default for AdmissionConfig {
    fn default() -> Self {
        Self {
            jobs_running_max: 64,
            submissions: 50,
            questions: 500,
            lists: 100,
            queue_patience: Duration::from_secs(30),
        }
    }
}

/// A datacenter as a gate knows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DatacenterConfig {
    /// Its name.
    pub name: String,
    /// Its managers.
    pub managers: Vec<NodeId>,
}

/// A manager.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ManagerConfig {
    /// This node.
    pub node: NodeId,
    /// Its datacenter's name.
    pub datacenter: String,
    /// Confirmations.
    pub lease: LeaseConfig,
    /// Load starts so long after every run of a workflow is ready.
    pub start_delay: Duration,
    /// A run that is not ready by then is given to another worker.
    pub prepare_timeout: Duration,
    /// A lost shard waits so long for a spare core, then the load shrinks.
    pub replace_wait: Duration,
    /// A workflow waits so long for its first free core, then fails.
    pub cores_wait: Duration,
    /// A run that issues next to nothing of what is due for so long is given to another worker.
    pub stuck_after: Duration,
    /// After every gate was silent for so long, the datacenter decides timeouts by itself.
    pub gate_silence: Duration,
    /// A part that was accepted and is not begun by then is given up.
    pub begin_within: Duration,
    /// The first resend of a message that must be answered; doubles up to 16 times this.
    pub resend_after: Duration,
    /// Assignments of one shard, first and repeated, before its workflow fails.
    pub assigns_max: u32,
    /// An arrival that cannot start within this is dropped.
    pub late_max: Duration,
    /// Reports of runs that this node takes; above, workers are asked for fewer.
    pub reports_per_second: u32,
    /// Entries between snapshots.
    pub checkpoint_entries: u64,
    /// The datacenter's group.
    pub consensus: ConsensusConfig,
    /// The managers and workers of the datacenter as members.
    pub membership: MembershipConfig,
}

/// A worker.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WorkerConfig {
    /// This node.
    pub node: NodeId,
    /// Runs it executes at the same time; one core each.
    pub cores: u16,
    /// Every manager of its datacenter.
    pub managers: Vec<NodeId>,
    /// Confirmations.
    pub lease: LeaseConfig,
    /// The managers and workers of its datacenter as members.
    pub membership: MembershipConfig,
}

impl GateConfig {
    /// Defaults for a gate of these datacenters.
    pub fn new(node: NodeId, datacenters: Vec<DatacenterConfig>) -> Self {
        Self {
            node,
            datacenters,
            resend_after: Duration::from_millis(500),
            accept_within: Duration::from_secs(30),
            start_in: Duration::from_secs(2),
            result_grace: Duration::from_secs(60),
            checkpoint_entries: 10_000,
            consensus: ConsensusConfig::default(),
            session_ttl: Duration::from_secs(2),
            membership: MembershipConfig::default(),
            health: HealthConfig::default(),
            admission: AdmissionConfig::default(),
        }
    }
}

impl ManagerConfig {
    /// Defaults for a manager of this datacenter.
    pub fn new(node: NodeId, datacenter: impl Into<String>) -> Self {
        Self {
            node,
            datacenter: datacenter.into(),
            lease: LeaseConfig::default(),
            start_delay: Duration::from_millis(100),
            prepare_timeout: Duration::from_secs(10),
            replace_wait: Duration::from_secs(10),
            cores_wait: Duration::from_secs(60),
            stuck_after: Duration::from_secs(120),
            gate_silence: Duration::from_secs(300),
            begin_within: Duration::from_secs(120),
            resend_after: Duration::from_millis(500),
            assigns_max: 16,
            late_max: Duration::from_millis(100),
            reports_per_second: 5_000,
            checkpoint_entries: 10_000,
            consensus: ConsensusConfig::default(),
            membership: MembershipConfig::default(),
        }
    }
}

impl WorkerConfig {
    /// Defaults for a worker with so many cores.
    pub fn new(node: NodeId, cores: u16, managers: Vec<NodeId>) -> Self {
        let (lease, membership) = (LeaseConfig::default(), MembershipConfig::default());
        Self { node, cores, managers, lease, membership }
    }
}
