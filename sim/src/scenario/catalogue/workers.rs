//! Workers: registration, allocation, dispatch.

use super::Covered::By;
use super::Section;

pub(super) const SECTION: Section = Section {
    name: "worker registration, allocation, dispatch",
    span: (110, 126),
    gaps: &[118],
    is_directed: true,
    entries: &[
        (
            110,
            By(
                &[
                    "worker-restarted",
                    "worker-killed",
                    "drain-each-role",
                    "a_worker_restart_before_the_start_moves_its_run_at_once",
                    "who_leaves_says_so_and_is_not_probed",
                ],
                "a worker is its boot: what another boot held is over",
            ),
        ),
        (
            111,
            By(
                &[
                    "lowest_free_first_and_all_come_back",
                    "refuses_without_a_core_until_told_to_forget",
                    "one_run_too_many_is_not_even_listed",
                    "two_ready_workflows_share_the_cores",
                    "cores-conserved",
                ],
                "the leader promises cores, the worker refuses what it does not have",
            ),
        ),
        (
            112,
            By(
                &[
                    "an_exclusive_workflow_waits_for_an_idle_worker_and_others_wait_behind_it",
                    "an_exclusive_workflow_that_finds_no_idle_worker_fails_and_frees_the_queue",
                    "priority-order",
                ],
                "who waits keeps its place and rises with time, and a wait ends",
            ),
        ),
        (
            113,
            By(
                &[
                    "a_worker_that_is_doubted_gets_nothing_new_while_another_has_a_core",
                    "a_run_that_is_stuck_while_others_get_on_is_given_away",
                    "prepares_once_and_issues_nothing",
                ],
                "of those that are well the one with most free cores; the answer is its heartbeat",
            ),
        ),
        (
            114,
            By(
                &[
                    "a_run_that_is_not_ready_in_time_goes_to_another_worker",
                    "refusals_end_the_workflow_after_so_many_assignments",
                    "the_retries_of_a_workflow_end_it_and_the_reason_says_so",
                ],
                "unreachable, refused or late: elsewhere, within the budget",
            ),
        ),
        (
            115,
            By(
                &[
                    "the_higher_goes_first_and_each_priority_has_its_share",
                    "an_exclusive_workflow_waits_for_an_idle_worker_and_others_wait_behind_it",
                    "shares_add_up_with_a_remainder",
                    "exclusive-alone",
                ],
                "shares of cores by priority, of VUs by shard",
            ),
        ),
        (
            116,
            By(
                &[
                    "cancel-during-dispatch",
                    "a_run_stopped_before_it_was_heard_of_never_starts",
                    "a_run_stopped_while_it_prepares_waits_for_the_engine",
                    "a_worker_restart_before_the_start_moves_its_run_at_once",
                    "a_higher_fence_ends_the_lower_run_of_its_shard",
                ],
                "fences order what crosses on the way",
            ),
        ),
        (
            117,
            By(
                &[
                    "offers_begins_and_cancels_are_answered_however_often_they_come",
                    "a_worker_that_fails_many_shards_at_once_costs_one_retry",
                    "an_incident_costs_one_retry_however_many_shards_it_hit",
                ],
                "a message is repeated as it was, another try goes to another worker",
            ),
        ),
        (
            119,
            By(
                &[
                    "what_holds_up_a_higher_one_goes_before_what_is_higher_than_itself",
                    "the_higher_goes_first_and_each_priority_has_its_share",
                    "without_a_spare_core_the_load_shrinks_and_says_so",
                    "shares_add_up_with_a_remainder",
                ],
                "ranks are inherited by what a higher one waits for",
            ),
        ),
        (
            120,
            By(
                &[
                    "waits_double_up_to_the_most_and_half_of_each_is_drawn",
                    "the_retries_of_a_workflow_end_it_and_the_reason_says_so",
                    "retries_are_counted_on_by_another_life",
                    "a_worker_that_is_doubted_gets_nothing_new_while_another_has_a_core",
                    "retry-budget",
                ],
                "drawn waits, counted tries; who is stale is passed over",
            ),
        ),
        (
            121,
            By(
                &[
                    "the_peer_starts_at_the_very_next_item_and_nothing_is_missing",
                    "a_run_that_is_stuck_while_others_get_on_is_given_away",
                    "nothing_moves_when_most_workers_seem_stuck",
                ],
                "runs stay where they are: only a drain or a stuck run moves one",
            ),
        ),
        (
            122,
            By(
                &["overload", "an_overloaded_gate_sheds_all_but_control_and_recovers"],
                "the level is sampled, and control is never shed",
            ),
        ),
        (
            123,
            By(
                &[
                    "overload",
                    "a_full_datacenter_is_waited_for_and_one_without_cores_is_not",
                    "waits_grow_to_the_cap_and_honour_what_the_server_asks",
                    "queue-fair",
                ],
                "a job that is overtaken too long keeps its datacenters free",
            ),
        ),
        (
            124,
            By(
                &[
                    "a_flood_of_registrations_loses_nobody_and_moves_no_run",
                    "whole-cluster-restarted",
                ],
                "a registration is a heartbeat and costs no more than one",
            ),
        ),
        (
            125,
            By(
                &[
                    "nothing_runs_before_every_run_is_ready",
                    "a_run_that_is_not_ready_in_time_goes_to_another_worker",
                    "a_rise_over_the_usual_delay_counts_after_the_warm_up_and_above_the_floor",
                ],
                "a workflow starts when all its runs are warm, and has so long for that",
            ),
        ),
        (
            126,
            By(
                &[
                    "turns",
                    "turns-survive",
                    "tenants_take_turns_and_the_oldest_of_each_goes_first",
                    "queue-fair",
                ],
                "tenants in turn, each tenant's oldest first",
            ),
        ),
    ],
};
