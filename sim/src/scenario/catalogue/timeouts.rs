//! Timeouts and extensions.

use super::Covered::By;
use super::Section;

pub(super) const SECTION: Section = Section {
    name: "timeouts and extensions",
    span: (80, 88),
    gaps: &[82, 85],
    is_directed: true,
    entries: &[
        (
            80,
            By(
                &[
                    "a_workflow_of_which_nothing_gets_on_fails_as_stuck",
                    "a_datacenter_that_falls_silent_is_missing_and_the_rest_is_told",
                    "when_all_are_silent_the_job_timed_out",
                ],
                "the datacenter judges progress, the gate judges silence",
            ),
        ),
        (
            81,
            By(
                &[
                    "a_job_is_ended_at_its_timeout_and_keeps_what_it_did",
                    "a_cancel_goes_to_every_datacenter_until_each_has_ended_or_is_missing",
                    "timeout-honest",
                ],
                "a timeout is a cancel with another cause",
            ),
        ),
        (
            83,
            By(
                &[
                    "a_timeout_under_an_earlier_fence_changes_nothing",
                    "another_life_counts_on_from_what_was_committed",
                ],
                "the ledger knows the owner's fence and how long the job ran",
            ),
        ),
        (
            84,
            By(
                &[
                    "a_datacenter_decides_a_timeout_only_while_every_gate_is_silent",
                    "a_part_that_says_so_stops_once_every_gate_is_silent",
                    "datacenter-cut-off",
                ],
                "after `gate_silence`; the part's end is delivered after the heal",
            ),
        ),
        (
            86,
            By(
                &[
                    "a_completion_and_a_timeout_at_one_instant_have_one_outcome_by_the_log",
                    "equal_deadlines_fire_in_key_order_and_a_late_wake_fires_all",
                    "a_message_in_the_instant_of_expiry_finds_the_run_parked",
                ],
                "the log decides, and what is due at one instant has an order",
            ),
        ),
        (
            87,
            By(
                &[
                    "extensions_halve_need_progress_and_end",
                    "a_run_that_is_stuck_while_others_get_on_is_given_away",
                    "a_job_is_ended_at_its_timeout_and_keeps_what_it_did",
                ],
                "more time to get on is given by what is issued; a stated timeout never moves, so \
                 there is nothing for an overloaded gate to deny",
            ),
        ),
        (
            88,
            By(
                &[
                    "timeouts_retries_and_priorities_are_read_and_refused_with_a_position",
                    "timers_of_a_group_are_checked_together",
                    "waits_double_up_to_the_most_and_half_of_each_is_drawn",
                    "few_samples_count_by_the_longest_and_many_by_the_usual",
                ],
                "ranges are checked, waits are drawn, distances are measured",
            ),
        ),
    ],
};
