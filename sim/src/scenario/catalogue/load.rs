//! Load, long runs, shutdown, chaos.

use super::Covered::By;
use super::Section;

pub(super) const SECTION: Section = Section {
    name: "load, soak, shutdown, chaos",
    span: (210, 220),
    gaps: &[],
    is_directed: true,
    entries: &[
        (
            210,
            By(
                &[
                    "fifty_thousand_vus_make_each_of_their_rounds_once",
                    "sixty_thousand_arrivals_over_seven_shards_are_all_issued",
                    "an_open_loop_starts_every_arrival",
                    "a_graph_starts_what_its_dependencies_allow",
                ],
                "rates and loops are steady; a ramp or a spike is a chain of workflows",
            ),
        ),
        (
            211,
            By(
                &[
                    "form_and_text_bodies",
                    "a_captured_token_opens_the_checkout",
                    "every_framing",
                    "a_closed_loop_reports_what_nginx_served",
                ],
                "HTTP, with GraphQL as a request with a body; no browser is driven",
            ),
        ),
        (
            212,
            By(
                &[
                    "a_week_of_windows_takes_fixed_memory_and_loses_nothing",
                    "history_drops_the_oldest_end_and_keeps_its_key",
                    "keys_of_ended_jobs_are_forgotten_after_a_day_and_live_ones_never",
                    "a_checkpoint_replaces_what_it_covers",
                    "bounded",
                    "clean-slate",
                ],
                "whatever grows with time has a cap and an end",
            ),
        ),
        (
            213,
            By(
                &[
                    "rolling-restart",
                    "promises_hold_in_any_history",
                    "whatever_happens_jobs_are_made_once_and_end_once",
                    "a_worker_keeps_its_promises",
                    "crash-gate",
                    "crash-manager",
                    "crash-worker",
                    "loss",
                    "spike",
                ],
                "drawn restarts of every role under load, with loss and delay",
            ),
        ),
        (
            214,
            By(
                &[
                    "drain-each-role",
                    "draining_moves_jobs_and_leadership",
                    "a_leader_that_drains_hands_over_and_goes_on_voting",
                    "a_shutdown_goes_stage_by_stage_and_the_event_log_is_the_last_to_close",
                ],
                "handed over first, closed last",
            ),
        ),
        (
            215,
            By(
                &[
                    "leader-killed",
                    "worker-killed",
                    "gate-restarted",
                    "owner-killed",
                    "datacenter-cut-off",
                    "load-resumes",
                ],
                "each role under load, and a datacenter whose reports were held up",
            ),
        ),
        (
            216,
            By(
                &[
                    "a_bucket_spans_at_most_a_thousandth_of_its_value",
                    "quantiles_are_the_ranked_sample_to_the_bucket",
                    "values_are_hdr_s",
                    "nothing_recorded_has_no_values",
                ],
                "from the shortest to the longest duration, to the bucket",
            ),
        ),
        (
            217,
            By(
                &[
                    "any_cutting_gives_the_same_frames",
                    "a_flipped_bit_ends_the_stream_before_the_frame_it_is_in",
                    "a_gigabyte_length_prefix_closes_the_connection",
                    "every_message_has_its_golden_bytes_and_survives_a_round_trip",
                    "damage",
                ],
                "checked before anything is allocated",
            ),
        ),
        (
            218,
            By(
                &[
                    "a_full_queue_drops_and_says_how_many",
                    "files_rotate_and_old_ones_go",
                    "a_watcher_that_lags_is_refilled_from_what_is_kept",
                ],
                "whoever logs never waits",
            ),
        ),
        (
            219,
            By(
                &[
                    "stale_and_doubled_heartbeats_reports_and_finals_change_nothing",
                    "reports_count_once_in_order_and_from_whom_they_should",
                    "whatever_comes_in_any_order_windows_and_rest_are_the_totals",
                    "a_late_grant_changes_nothing",
                    "joining_is_idempotent_ordered_and_never_lowers_a_value",
                    "an_owner_that_comes_after_the_end_gets_the_result",
                ],
                "late, doubled and reordered: by sequence, by fence, or by a join",
            ),
        ),
        (
            220,
            By(
                &[
                    "an_answer_is_kept_for_its_time_to_live",
                    "stale_addresses_go_on_when_no_server_answers",
                    "rotated_addresses_are_forgotten_and_twins_are_one",
                    "peers_behind_one_name_are_found_by_their_numbers_wherever_they_move",
                    "a_node_with_peers_begins_no_group_by_itself",
                    "whole-cluster-restarted",
                    "blackout",
                ],
                "names are asked anew, groups are founded by hand and recovered from their disks",
            ),
        ),
    ],
};
