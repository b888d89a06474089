//! For every number of the reference catalogue's sections 6.1, 6.2, 6.3, 6.5, 6.7, 6.8 and 6.11
//! that no directed scenario covers: what does, or why nothing has to.
//!
//! The sections are gates and quorum; dispatch and routing; progress and results; leadership and
//! leases; worker failure and workflows; cancellation; state and durability.

/// What covers a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Covered {
    /// Oracles, fault classes, counters, tests or scenarios of these names, and how.
    By(&'static [&'static str], &'static str),
    /// There is no such thing here, and why.
    NotApplicable(&'static str),
    /// Belongs to a capability of the complete roles: membership, routing, health, shedding.
    Later(&'static str),
}

use Covered::{By, Later, NotApplicable};

const MEMBERSHIP: Covered = Later("membership by probes and gossip; groups are configured so far");
const ROUTING: Covered = Later("routing by health, latency and load");
const BREAKERS: Covered = Later("circuit breakers");

/// Numbers that no directed scenario covers.
pub const CATALOGUE: &[(u16, Covered)] = &[
    // Gate cluster, quorum, membership.
    (1, MEMBERSHIP),
    (2, MEMBERSHIP),
    (3, MEMBERSHIP),
    (4, By(&["partition", "gone", "minority-refuses"], "check-quorum stands the leader down")),
    (5, By(&["partition", "leader-per-term"], "cuts shorter than the check")),
    (6, By(&["partition", "leader-per-term"], "only a leader stands down")),
    (7, By(&["partition", "quorum-configured"], "rings and bridges leave no side a majority")),
    (8, By(&["crash-gate", "boot_stale"], "a start is a new boot")),
    (9, By(&["forward-once"], "submissions are sent again, in order, to whoever leads")),
    (12, By(&["quorum-configured"], "of two voters both make a quorum")),
    (14, BREAKERS),
    (17, MEMBERSHIP),
    (18, By(&["terminal-eventually"], "in every case all processes start at once, order drawn")),
    (19, MEMBERSHIP),
    (20, MEMBERSHIP),
    (21, By(&["partition", "leader-per-term"], "pre-vote")),
    (22, By(&["quorum-configured"], "quorum is of the configured voters")),
    (23, By(&["partition", "leader-per-term", "minority-refuses"], "no majority, no leader")),
    (
        24,
        By(
            &["live_jobs_are_bounded_counting_those_in_flight", "same-key-everywhere"],
            "beyond the cap a submission is refused; the hammer kills leaders meanwhile",
        ),
    ),
    (25, By(&["ledger-equal", "log-matching"], "learners and install-snapshot")),
    (26, By(&["log-matching"], "what arrives is judged by term and index")),
    // Dispatch, routing, registration.
    (
        32,
        By(
            &["a_refused_offer_goes_to_the_next_datacenter_and_then_the_job_fails"],
            "then the client sees a failed job with the reason",
        ),
    ),
    (
        35,
        By(
            &["turns", "queue-fair", "workflow_queued"],
            "what finds no free core waits at the gates, not at a manager",
        ),
    ),
    (36, By(&["forward-once"], "no ring: every gate forwards to the one leader")),
    (
        40,
        By(
            &["keys_of_ended_jobs_are_forgotten_after_a_day_and_live_ones_never"],
            "a forgotten key makes a new job",
        ),
    ),
    (41, By(&["one_key_makes_one_job_and_another_plan_is_refused"], "refused, naming the job")),
    (
        42,
        By(
            &[
                "submissions_in_flight_with_one_key_share_the_entry",
                "live_jobs_are_bounded_counting_those_in_flight",
            ],
            "keys are compared whole, nothing is hashed",
        ),
    ),
    (44, By(&["compatible-only"], "the greeting refuses another cluster, role or version")),
    (
        46,
        By(
            &[
                "reorder",
                "message_stale",
                "capacity_makes_a_datacenter_reachable_for_three_intervals",
            ],
            "heartbeats carry boot and sequence",
        ),
    ),
    (47, ROUTING),
    (48, ROUTING),
    (49, ROUTING),
    (50, ROUTING),
    (51, ROUTING),
    (52, BREAKERS),
    (
        53,
        By(
            &["skew", "compatible-only", "another_major_is_refused_with_both_versions"],
            "processes run as the previous, this and the next minor, and come back as another",
        ),
    ),
    // Job progress, results, completion.
    (
        61,
        By(
            &["dup", "spike", "stale_and_doubled_heartbeats_reports_and_finals_change_nothing"],
            "reports carry run and sequence",
        ),
    ),
    (63, By(&["totals-exact"], "totals are cumulative and cut at plan seconds")),
    (64, By(&["totals-exact", "counted-once"], "the highest sequence wins, sums are exact")),
    (66, By(&["dup", "counted-once", "report_stale"], "a run counts once")),
    (67, By(&["owner-single"], "a gate that does not own the job names the one that does")),
    (68, By(&["results_decide_the_status"], "decided once, when the last part has ended")),
    (69, By(&["clean-slate"], "after the end nothing of a job is left")),
    (70, Later("reporters")),
    (71, By(&["bounded"], "what ends together waits within the caps")),
    (73, By(&["a_watcher_resumes_where_it_stopped"], "updates carry rising numbers")),
    (75, By(&["spike", "no-resurrection", "part_result_late"], "late results are acknowledged")),
    (76, By(&["totals-exact"], "re-assigned shards add up")),
    // Leadership, leases, transfer.
    (90, By(&["owner-single", "leader-per-term"], "announced, and told to whoever asks wrongly")),
    (94, By(&["lease-exclusive", "fence-monotonic"], "in true time")),
    (95, By(&["leader-per-term", "owner-single"], "the log decides")),
    (98, By(&["ledger-linear"], "nothing is answered before an entry of the own term")),
    // Worker failure and workflow lifecycle.
    (131, By(&["a_run_that_is_not_ready_in_time_goes_to_another_worker"], "then it fails upwards")),
    (133, By(&["policies_shrink_and_abort"], "a core is a run: each is lost by itself")),
    (134, By(&["lifecycle-legal"], "one transition table")),
    (135, By(&["cores-conserved", "run_refused"], "simulated targets that cannot be prepared")),
    (138, By(&["bounded", "clean-slate"], "caps hold and nothing is left")),
    (
        139,
        By(
            &["refusals_end_the_workflow_after_so_many_assignments"],
            "assignments of a shard are counted; budgets over jobs come with the complete roles",
        ),
    ),
    (143, By(&["first-confirm-alone"], "a run ends by acknowledgement or expiry only")),
    // Cancellation.
    (
        154,
        By(
            &[
                "cancel-beats",
                "a_completion_committed_before_the_cancel_stays_and_the_cancel_says_so",
            ],
            "the log decides",
        ),
    ),
    (
        158,
        By(
            &["control-never-shed", "overload"],
            "cancels are control: they wait behind nothing that may be shed",
        ),
    ),
    // State, durability, context.
    (
        200,
        By(
            &["torn", "lost-writes", "slow-sync", "fail-sync", "journal-tail", "recover-equal"],
            "the real decoder on a faulty disk",
        ),
    ),
    (201, By(&["cancel-beats", "fence-monotonic", "ledger-equal"], "no hybrid clocks, no repair")),
    (202, NotApplicable("workflows share no context: what a flow captures stays in its iteration")),
    (
        204,
        By(
            &["files_rotate_and_old_ones_go", "a_full_queue_drops_and_says_how_many"],
            "of the event log; the journal is bounded by its snapshots",
        ),
    ),
    (205, NotApplicable("no locks: one task owns a node, machines do not wait for each other")),
    (206, Later("retry budgets")),
];

/// Every number of the sections in scope.
pub fn numbers() -> impl Iterator<Item = u16> {
    let gaps = [13, 31, 34, 39, 45, 72, 96, 99, 132, 137, 141, 155, 156, 203];
    let sections = [1..=26, 30..=54, 60..=76, 90..=98, 100..=100, 130..=143, 150..=158, 200..=207];
    sections.into_iter().flatten().filter(move |number| !gaps.contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Class;
    use crate::scenario::table::SCENARIOS;
    use hyperscale_core::invariant::Inv;
    use hyperscale_core::stat::Stat;

    #[test]
    fn every_number_is_covered_and_none_is_covered_twice() {
        let scenarios = SCENARIOS.iter().flat_map(|scenario| scenario.covers);
        let directed: Vec<u16> = scenarios.copied().collect();
        let listed: Vec<u16> = CATALOGUE.iter().map(|(number, _)| *number).collect();
        let missing: Vec<u16> =
            numbers().filter(|n| !directed.contains(n) && !listed.contains(n)).collect();
        assert!(missing.is_empty(), "not covered: {missing:?}");
        let twice: Vec<&u16> = listed.iter().filter(|n| directed.contains(n)).collect();
        assert!(twice.is_empty(), "directed scenarios cover {twice:?}");
        assert!(listed.is_sorted_by(|one, next| one < next), "out of order or twice");
        assert!(listed.iter().all(|n| numbers().any(|number| number == *n)));
        assert_eq!(numbers().count(), 96);
    }

    #[test]
    fn what_is_named_exists() {
        let is_known = |name: &str| {
            Inv::ALL.iter().any(|inv| inv.id() == name)
                || Class::named(name).is_some()
                || Stat::ALL.iter().any(|stat| stat.name() == name)
                || SCENARIOS.iter().any(|scenario| scenario.name == name)
                || TESTS.iter().any(|text| text.contains(&format!("fn {name}()")))
        };
        for (number, covered) in CATALOGUE {
            let By(names, _) = covered else { continue };
            assert!(!names.is_empty(), "S-{number:03} names nothing");
            let unknown: Vec<_> = names.iter().filter(|name| !is_known(name)).collect();
            assert!(unknown.is_empty(), "S-{number:03}: {unknown:?} do not exist");
        }
    }

    const TESTS: [&str; 10] = [
        include_str!("../../../core/tests/it/gate/calls.rs"),
        include_str!("../../../core/tests/it/gate/cancel.rs"),
        include_str!("../../../core/tests/it/gate/parts.rs"),
        include_str!("../../../core/tests/it/gate/restart.rs"),
        include_str!("../../../core/tests/it/gate/watch.rs"),
        include_str!("../../../core/tests/it/manager/directed.rs"),
        include_str!("../../../core/tests/it/worker.rs"),
        include_str!("../../../core/src/worker/tests.rs"),
        include_str!("../../../runtime/src/events.rs"),
        include_str!("../../../runtime/src/transport/tcp/tests.rs"),
    ];
}
