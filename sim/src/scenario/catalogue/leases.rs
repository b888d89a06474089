//! Leadership, leases, transfer.

use super::Covered::By;
use super::Section;

pub(super) const SECTION: Section = Section {
    name: "leadership, leases, transfer",
    span: (90, 100),
    gaps: &[96, 99],
    is_directed: false,
    entries: &[
        (
            90,
            By(
                &["whoever_does_not_lead_says_who_does", "owner-single", "leader-per-term"],
                "announced, and told to whoever asks wrongly",
            ),
        ),
        (
            91,
            By(
                &["owner-killed", "a_watcher_is_sent_to_the_owner_and_told_when_that_changes"],
                "one heir; clients and managers are told",
            ),
        ),
        (
            92,
            By(&["leader-killed", "a_leader_dies_and_load_does_not_pause"], "load does not pause"),
        ),
        (
            93,
            By(
                &[
                    "owner-killed",
                    "a_session_ends_a_grantors_wait_after_the_last_answer_or_after_being_led",
                ],
                "a session that lasts keeps its jobs, one that ended gives them to an heir",
            ),
        ),
        (94, By(&["lease-exclusive", "fence-monotonic"], "in true time")),
        (
            95,
            By(
                &["a_job_is_given_to_current_sessions_only", "leader-per-term", "owner-single"],
                "the log decides",
            ),
        ),
        (
            97,
            By(
                &["leader-paused", "a_leader_that_is_cut_off_falls_silent_and_lets_go"],
                "what a deposed leader says is older than what is known",
            ),
        ),
        (
            98,
            By(
                &["a_restarted_manager_says_nothing_before_its_term_is_committed", "ledger-linear"],
                "nothing is answered before an entry of the own term",
            ),
        ),
        (
            100,
            By(
                &[
                    "worker-paused",
                    "parks_exactly_at_until",
                    "leases_with_both_clocks_drawn",
                    "run-exclusive",
                ],
                "a confirmation ends at the worker before it ends at the manager",
            ),
        ),
    ],
};
