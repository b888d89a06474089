//! Between gates and managers: dispatch, routing, registration.

use super::Covered::By;
use super::Section;

pub(super) const SECTION: Section = Section {
    name: "dispatch, routing, registration",
    span: (30, 54),
    gaps: &[31, 34, 39, 45],
    is_directed: false,
    entries: &[
        (
            30,
            By(
                &[
                    "undisturbed",
                    "two-datacenters",
                    "no_part_begins_before_all_are_accepted_and_then_all_begin_in_one_entry",
                ],
                "a part for each datacenter, in the ledger",
            ),
        ),
        (
            32,
            By(
                &[
                    "a_refused_offer_goes_to_the_next_datacenter_and_then_the_job_fails",
                    "the_chain_is_followed_and_ends",
                    "route_failed",
                ],
                "then the client sees a failed job with the reason",
            ),
        ),
        (33, By(&["leader-killed"], "the next leader reports to the newest owner")),
        (
            35,
            By(
                &["turns", "a_datacenter_cools_down", "queue-fair", "workflow_queued"],
                "what finds no free core waits at the gates, and who refused is left alone a while",
            ),
        ),
        (36, By(&["forward-once"], "no ring: every gate forwards to the one leader")),
        (37, By(&["gate-killed-after-ack"], "one key, one job")),
        (
            38,
            By(
                &["same-key-everywhere", "one_key_at_three_gates_at_once_makes_one_job"],
                "the log orders what comes at the same time",
            ),
        ),
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
        (43, By(&["manager-away-briefly", "manager-away-long"], "a restart is a new term")),
        (
            44,
            By(
                &["compatible_only", "mismatches_name_both_values", "compatible-only"],
                "the greeting refuses another cluster, role or version",
            ),
        ),
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
        (
            47,
            By(
                &[
                    "few_samples_count_by_the_longest_and_many_by_the_usual",
                    "what_was_learned_blends_in_and_fades",
                ],
                "probes measure; what offers took blends in and fades with age",
            ),
        ),
        (
            48,
            By(
                &["mixed_scores_do_not_make_the_choice_oscillate", "route-steady", "route_kept"],
                "the last choice is kept until another is clearly better",
            ),
        ),
        (
            49,
            By(
                &[
                    "a_full_datacenter_is_left_if_that_helps",
                    "the_wait_follows_from_what_ends_and_who_is_ahead",
                    "route_spilled",
                ],
                "full, and the wait is longer than the way",
            ),
        ),
        (
            50,
            By(
                &["a_preference_is_honoured_inside_the_bucket_and_a_limit_excludes", "route-sane"],
                "the user's preference, after health",
            ),
        ),
        (
            51,
            By(
                &[
                    "health_goes_before_distance",
                    "recovery_is_stepwise_and_monotonic",
                    "route-sane",
                ],
                "no part goes past a better bucket",
            ),
        ),
        (
            52,
            By(
                &["it_opens_half_opens_and_closes", "circuit_opened", "circuit_closed"],
                "a circuit for each manager, fed by offers that nobody answered",
            ),
        ),
        (
            53,
            By(
                &["skew", "compatible-only", "another_major_is_refused_with_both_versions"],
                "processes run as the previous, this and the next minor, and come back as another",
            ),
        ),
        (54, By(&["rolling-restart", "skew"], "every node is drained and started under load")),
    ],
};
