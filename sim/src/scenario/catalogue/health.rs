//! Health of nodes and datacenters, and how far apart they are.

use super::Covered::By;
use super::Section;

const NEXT_LIFE: &str =
    "a_member_that_falls_silent_is_suspected_and_dies_and_its_next_life_beats_the_old";

pub(super) const SECTION: Section = Section {
    name: "health detection, datacenters, geography",
    span: (180, 195),
    gaps: &[187, 190],
    is_directed: true,
    entries: &[
        (
            180,
            By(
                &[
                    "the_three_signals_are_judged_in_order",
                    "pace_is_what_was_issued_against_the_plan",
                    "health_follows_readiness",
                    "a_quorum_of_the_configured_managers_makes_it_ready",
                    "a_gate_that_knows_no_datacenter_refuses_for_the_moment",
                ],
                "workers by liveness, readiness and pace; gates and managers by readiness; a start \
                 has its own time",
            ),
        ),
        (
            181,
            By(
                &[
                    "confirmations_shorten_a_suspicion_to_its_least",
                    "a_confirmation_pulls_a_deadline_and_never_pushes_it",
                    "a_worker_that_is_heard_is_not_lost_though_it_is_not_confirmed",
                    "suspicion-expires",
                ],
                "a death is of a node; of a job only its runs' leases speak",
            ),
        ),
        (
            182,
            By(
                &[
                    "what_is_said_of_this_node_is_refuted_by_a_higher_incarnation",
                    "of_two_claims_exactly_one_holds_and_the_higher_incarnation_always",
                    NEXT_LIFE,
                    "converge",
                ],
                "an order of claims, and no layer of jobs below it",
            ),
        ),
        (
            183,
            By(
                &[
                    "slow_answers_of_which_some_are_lost_are_no_failure",
                    "a_leader_that_changes_between_probe_and_answer_is_followed",
                    "a_probe_goes_through_proxies_and_their_nacks_confirm_the_suspicion",
                    "of_two_claims_exactly_one_holds_and_the_higher_incarnation_always",
                ],
                "gates probe managers by number; an answer to no recent probe changes nothing",
            ),
        ),
        (
            184,
            By(
                &[
                    "correlated_silences_are_held_and_independent_ones_are_not",
                    "the_network_is_blamed_for_a_while_only",
                    "network-held",
                ],
                "silences that begin together are the network's",
            ),
        ),
        (
            185,
            By(
                &[
                    "slow_answers_of_which_some_are_lost_are_no_failure",
                    "answers_that_take_up_to_half_a_second_raise_no_suspicion",
                ],
                "between gates and datacenters, and between members",
            ),
        ),
        (
            186,
            By(
                &[
                    "leases_with_both_clocks_drawn",
                    "opposite_extremes_with_no_delay_do_not_overlap",
                    "hole_6_the_lease_ends_before_the_promises_do_with_clocks_at_opposite_extremes",
                    "steps_forward_when_more_than_a_second_behind",
                    "offset",
                    "drift",
                ],
                "nothing compares clocks of two nodes: offsets do not matter, rates are bounded",
            ),
        ),
        (188, By(&["a_cascade_of_regions_and_its_recovery"], "one after the other, step by step")),
        (
            189,
            By(
                &[
                    "a_datacenter_that_flaps_is_held_back",
                    "what_fails_often_is_held_at_degraded_until_it_was_well_for_long",
                    "of_two_claims_exactly_one_holds_and_the_higher_incarnation_always",
                ],
                "gates judge for themselves, and the decision of one is committed",
            ),
        ),
        (
            191,
            By(
                &[
                    "a_burst_of_losses_evicts_nobody",
                    "nobody_is_evicted_when_most_would_be",
                    "nobody_is_doubted_while_most_look_dead",
                ],
                "of datacenters, of runs, of members",
            ),
        ),
        (
            192,
            By(
                &[
                    "a_limit_moves_the_part_and_ignores_what_is_stale_or_sparse",
                    "few_samples_count_by_the_longest_and_many_by_the_usual",
                ],
                "a plan's limit on the way to its datacenter",
            ),
        ),
        (
            193,
            By(
                &[
                    "a_spike_moves_nothing_and_a_busy_processor_ends_no_run",
                    "levels_rise_with_grace_and_fall_with_slack",
                    "the_newest_run_ends_again_and_again_while_memory_is_full",
                    "a_machine_without_memory_takes_no_run_and_gives_up_the_newest",
                    "strain",
                ],
                "warned, throttled, and at last the newest run ends",
            ),
        ),
        (194, By(&["alerts_are_told_once_for_each_transition"], "a counter and a trace each")),
        (
            195,
            By(
                &[
                    "a_breaker_that_oscillates_opens_for_longer_each_time",
                    "a_failure_must_last_and_full_is_busy",
                    "recovery_is_stepwise_and_monotonic",
                ],
                "a failure must last before it counts",
            ),
        ),
    ],
};
