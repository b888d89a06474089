//! State, durability, context.

use super::Covered::{By, NotApplicable};
use super::Section;

pub(super) const SECTION: Section = Section {
    name: "state, durability, context",
    span: (200, 207),
    gaps: &[203],
    is_directed: false,
    entries: &[
        (
            200,
            By(
                &["torn", "lost-writes", "slow-sync", "fail-sync", "journal-tail", "recover-equal"],
                "the real decoder on a faulty disk",
            ),
        ),
        (
            201,
            By(&["cancel-beats", "fence-monotonic", "ledger-equal"], "no hybrid clocks, no repair"),
        ),
        (
            202,
            NotApplicable(
                "workflows share no context: what a flow captures stays in its iteration",
            ),
        ),
        (
            204,
            By(
                &["files_rotate_and_old_ones_go", "a_full_queue_drops_and_says_how_many"],
                "of the event log; the journal is bounded by its snapshots",
            ),
        ),
        (205, NotApplicable("no locks: one task owns a node, machines do not wait for each other")),
        (
            206,
            By(
                &[
                    "the_retries_of_a_workflow_end_it_and_the_reason_says_so",
                    "retries_are_counted_on_by_another_life",
                    "retry-budget",
                    "a_datacenter_that_falls_silent_is_missing_and_the_rest_is_told",
                ],
                "counted in the ledger, by job and by workflow; failover resets nothing",
            ),
        ),
        (
            207,
            By(
                &["manager-away-long", "a_restart_in_mid_run_confirms_again_at_once"],
                "reservations are in the ledger, totals at the worker",
            ),
        ),
    ],
};
