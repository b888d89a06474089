//! How patiently nodes judge each other, in a file. Every span is in milliseconds; what is left out
//! has its default.

use std::time::Duration;

use hyperscale_core::config::{ConfigError, MembershipConfig};
use hyperscale_core::health::HealthConfig;
use serde::Deserialize;

/// Probes and suspicions among members; the same for all of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MembershipFile {
    /// One member is probed every so often.
    pub period_ms: u64,
    /// Proxies are asked when it has not answered for so long.
    pub probe_timeout_ms: u64,
    /// A ping without an answer is sent again after so long.
    pub resend_after_ms: u64,
    /// Proxies that are asked.
    pub proxies: u8,
    /// A suspicion that enough members confirmed lasts so long
    pub suspicion_min_ms: u64,
    /// and one that nobody confirmed so long.
    pub suspicion_max_ms: u64,
    /// Confirmations that are enough.
    pub confirmations: u8,
    /// A dead member is remembered for so long.
    pub dead_kept_ms: u64,
}

/// How a gate judges datacenters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthFile {
    /// Every manager is probed so often.
    pub probe_every_ms: u64,
    /// A datacenter that answered no probe for so long is suspected,
    pub suspect_after_ms: u64,
    /// and after so long it is unreachable.
    pub unreachable_after_ms: u64,
    /// A reported failure must last so long before it counts.
    pub failure_lasts_ms: u64,
    /// A recovering datacenter stays so long on every step.
    pub recovery_step_ms: u64,
    /// So many failures within `flap_window_ms` are flapping.
    pub flaps: u32,
    /// See `flaps`.
    pub flap_window_ms: u64,
    /// A flapping datacenter stays degraded until it was well for so long.
    pub flap_hold_ms: u64,
    /// Silences that began within this of each other are one event of the network,
    pub correlated_within_ms: u64,
    /// for so long.
    pub correlated_hold_ms: u64,
    /// So many unanswered offers in a row open a manager's circuit
    pub circuit_failures: u32,
    /// for so long; twice as long after each failed trial.
    pub circuit_open_ms: u64,
    /// The datacenter that was chosen last is kept at least so long.
    pub route_hold_ms: u64,
    /// A full datacenter is left for another full one only if its wait is longer than this.
    pub spill_wait_ms: u64,
}

impl Default for MembershipFile {
    fn default() -> Self {
        let of = MembershipConfig::default();
        Self {
            period_ms: ms(of.period),
            probe_timeout_ms: ms(of.probe_timeout),
            resend_after_ms: ms(of.resend_after),
            proxies: of.proxies,
            suspicion_min_ms: ms(of.suspicion_min),
            suspicion_max_ms: ms(of.suspicion_max),
            confirmations: of.confirmations,
            dead_kept_ms: ms(of.dead_kept),
        }
    }
}

impl Default for HealthFile {
    fn default() -> Self {
        let of = HealthConfig::default();
        Self {
            probe_every_ms: ms(of.probe_every),
            suspect_after_ms: ms(of.suspect_after),
            unreachable_after_ms: ms(of.unreachable_after),
            failure_lasts_ms: ms(of.failure_lasts),
            recovery_step_ms: ms(of.recovery_step),
            flaps: of.flaps,
            flap_window_ms: ms(of.flap_window),
            flap_hold_ms: ms(of.flap_hold),
            correlated_within_ms: ms(of.correlated_within),
            correlated_hold_ms: ms(of.correlated_hold),
            circuit_failures: of.circuit_failures,
            circuit_open_ms: ms(of.circuit_open),
            route_hold_ms: ms(of.route_hold),
            spill_wait_ms: ms(of.spill_wait),
        }
    }
}

impl MembershipFile {
    pub(super) fn checked(self) -> Result<MembershipConfig, ConfigError> {
        let span = Duration::from_millis;
        MembershipConfig {
            period: span(self.period_ms),
            probe_timeout: span(self.probe_timeout_ms),
            resend_after: span(self.resend_after_ms),
            proxies: self.proxies,
            suspicion_min: span(self.suspicion_min_ms),
            suspicion_max: span(self.suspicion_max_ms),
            confirmations: self.confirmations,
            dead_kept: span(self.dead_kept_ms),
        }
        .check()
    }
}

impl HealthFile {
    pub(super) fn checked(self) -> Result<HealthConfig, ConfigError> {
        let span = Duration::from_millis;
        HealthConfig {
            probe_every: span(self.probe_every_ms),
            suspect_after: span(self.suspect_after_ms),
            unreachable_after: span(self.unreachable_after_ms),
            failure_lasts: span(self.failure_lasts_ms),
            recovery_step: span(self.recovery_step_ms),
            flaps: self.flaps,
            flap_window: span(self.flap_window_ms),
            flap_hold: span(self.flap_hold_ms),
            correlated_within: span(self.correlated_within_ms),
            correlated_hold: span(self.correlated_hold_ms),
            circuit_failures: self.circuit_failures,
            circuit_open: span(self.circuit_open_ms),
            route_hold: span(self.route_hold_ms),
            spill_wait: span(self.spill_wait_ms),
            ..HealthConfig::default()
        }
        .check()
    }
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
