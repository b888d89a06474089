//! Back-pressure, overload, shedding, limits.

use super::Covered::By;
use super::Section;

pub(super) const SECTION: Section = Section {
    name: "backpressure, overload, shedding, limits",
    span: (160, 170),
    gaps: &[],
    is_directed: true,
    entries: &[
        (
            160,
            By(
                &[
                    "levels_follow_the_fill_up_and_fall_one_by_one_when_the_load_fits",
                    "a_level_that_the_load_needs_stays",
                    "the_worst_word_holds_until_it_is_forgotten",
                    "pressure_raised",
                ],
                "a manager's level is its datacenter's: the leader takes the reports",
            ),
        ),
        (
            161,
            By(
                &[
                    "each_signal_alone_raises_the_level_at_once",
                    "the_level_falls_after_two_lower_samples_to_the_higher_of_them",
                ],
                "up at once, down step by step",
            ),
        ),
        (
            162,
            By(
                &[
                    "the_order_of_shedding_spares_control",
                    "the_least_important_make_room_and_never_for_less_important_ones",
                    "an_overloaded_gate_sheds_all_but_control_and_recovers",
                    "control-never-shed",
                ],
                "one order of classes for calls and for queues",
            ),
        ),
        (
            163,
            By(
                &[
                    "overload",
                    "a_window_of_calls_passes_at_once_and_then_evenly",
                    "the_table_is_bounded_strangers_share_and_idle_clients_are_forgotten",
                    "waits_grow_to_the_cap_and_honour_what_the_server_asks",
                    "retry-after",
                ],
                "a limit for each client, and a client that waits as it was told",
            ),
        ),
        (
            164,
            By(
                &[
                    "the_worst_word_holds_until_it_is_forgotten",
                    "levels_follow_the_fill_up_and_fall_one_by_one_when_the_load_fits",
                    "report_skipped",
                ],
                "every second, every few or every tenth plan second; totals are cumulative, so \
                 nothing that is left out is lost",
            ),
        ),
        (
            165,
            By(
                &[
                    "a_full_class_leaves_the_others_their_room",
                    "a_peer_that_does_not_keep_up_costs_no_other_a_frame",
                    "the_oldest_make_room_by_number_and_by_size",
                ],
                "credits by class, a queue for each peer",
            ),
        ),
        (
            166,
            By(
                &[
                    "overload",
                    "a_client_beyond_its_rate_waits_and_another_does_not",
                    "an_overloaded_gate_sheds_all_but_control_and_recovers",
                    "every_refusal_has_its_status_and_says_when_to_retry",
                ],
                "each refusal says when to come back",
            ),
        ),
        (
            167,
            By(
                &[
                    "the_worst_totals_fit_into_a_frame_and_keep_every_count",
                    "open_seconds_are_bounded",
                    "a_week_of_windows_takes_fixed_memory_and_loses_nothing",
                ],
                "samples are added up where they arise, and what is told has a fixed size",
            ),
        ),
        (
            168,
            By(
                &["overload", "more_clients_at_once_than_are_read_are_all_answered"],
                "submissions that are read at a time are bounded; control is answered meanwhile",
            ),
        ),
        (
            169,
            By(
                &[
                    "the_level_falls_after_two_lower_samples_to_the_higher_of_them",
                    "levels_rise_with_grace_and_fall_with_slack",
                    "levels_follow_the_fill_up_and_fall_one_by_one_when_the_load_fits",
                    "overload_changed",
                ],
                "every level falls later than it rises",
            ),
        ),
        (
            170,
            By(
                &[
                    "overload",
                    "turns-survive",
                    "no_quorum_is_waited_out_at_another_gate_with_the_same_key",
                    "retry-after",
                ],
                "who was refused comes back when it was told to; who waits is not in a backlog of \
                 retries but in the ledger",
            ),
        ),
    ],
};
