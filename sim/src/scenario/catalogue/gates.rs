//! Gates, quorum, membership.

use super::Covered::By;
use super::Section;

const NEXT_LIFE: &str =
    "a_member_that_falls_silent_is_suspected_and_dies_and_its_next_life_beats_the_old";

pub(super) const SECTION: Section = Section {
    name: "gate cluster, quorum, membership",
    span: (1, 26),
    gaps: &[13],
    is_directed: false,
    entries: &[
        (
            1,
            By(
                &[
                    "the_dead_are_forgotten_each_in_its_time_and_one_that_returns_is_kept",
                    "the_dead_make_room_first_and_the_living_never",
                    "swim_removed",
                ],
                "120 s after its death; groups are configured and forget nobody by themselves",
            ),
        ),
        (
            2,
            By(
                &[
                    "the_dead_are_forgotten_each_in_its_time_and_one_that_returns_is_kept",
                    NEXT_LIFE,
                ],
                "another life, or a higher incarnation of the same one",
            ),
        ),
        (
            3,
            By(
                &[
                    "the_dead_are_forgotten_each_in_its_time_and_one_that_returns_is_kept",
                    "nobody_is_doubted_while_most_look_dead",
                ],
                "each by itself, and most at once change no choice",
            ),
        ),
        (
            4,
            By(
                &[
                    "a_minority_commits_nothing_and_its_leader_stands_down",
                    "minority-refuses",
                    "gone",
                ],
                "check-quorum stands the leader down",
            ),
        ),
        (5, By(&["flap", "partition", "leader-per-term"], "cuts shorter than the check")),
        (6, By(&["partition", "leader-per-term"], "only a leader stands down")),
        (
            7,
            By(
                &["two_of_five_are_no_majority", "ring", "bridge", "quorum-configured"],
                "rings and bridges leave no side a majority",
            ),
        ),
        (
            8,
            By(
                &[
                    "the_dead_are_forgotten_each_in_its_time_and_one_that_returns_is_kept",
                    "votes_and_acknowledgements_of_another_disk_count_for_nothing",
                    "boot_stale",
                ],
                "who was forgotten is new; a start is a new boot, another disk another voter",
            ),
        ),
        (9, By(&["forward-once"], "submissions are sent again, in order, to whoever leads")),
        (
            10,
            By(
                &[
                    "owner-killed",
                    "a_dead_owner_is_followed_by_one_with_a_higher_fence_that_goes_on",
                ],
                "sessions end by the log, and every job of one gets another owner",
            ),
        ),
        (
            11,
            By(
                &["undisturbed", "a_group_of_one_forms_itself_and_leads_once_its_entry_is_durable"],
                "one gate is a group of one",
            ),
        ),
        (12, By(&["quorum-configured"], "of two voters both make a quorum")),
        (
            14,
            By(
                &["it_opens_half_opens_and_closes", "route-sane", "circuit_opened"],
                "circuits are of managers; a quorum answers or refuses within its time",
            ),
        ),
        (
            15,
            By(
                &["minority-refuses", "a_minority_refuses_reads_and_writes_in_time"],
                "the minority says so in time, the majority serves",
            ),
        ),
        (
            16,
            By(
                &["what_a_deposed_owner_decided_changes_nothing", "leader-deaf", "leader-mute"],
                "what was decided under a lower fence changes nothing",
            ),
        ),
        (
            17,
            By(
                &["a_seed_that_never_answers_is_asked_for_and_never_suspected", "peer-confirmed"],
                "nobody is suspected before it was reached",
            ),
        ),
        (
            18,
            By(
                &["a_life_never_reached_stays_unconfirmed_whatever_is_said", "terminal-eventually"],
                "in every case all processes start at once, in drawn order",
            ),
        ),
        (
            19,
            By(
                &["a_seed_that_never_answers_is_asked_for_and_never_suspected", "peer-confirmed"],
                "removed, never taken for dead",
            ),
        ),
        (
            20,
            By(
                &["a_life_never_reached_stays_unconfirmed_whatever_is_said", "peer-confirmed"],
                "gossip confirms nobody",
            ),
        ),
        (21, By(&["a_member_that_hears_nothing_disturbs_nobody", "leader-per-term"], "pre-vote")),
        (
            22,
            By(
                &["two_of_five_are_no_majority", "quorum-configured"],
                "quorum is of the configured voters, whoever is known",
            ),
        ),
        (
            23,
            By(
                &["a_minority_commits_nothing_and_its_leader_stands_down", "minority-refuses"],
                "no majority, no leader",
            ),
        ),
        (
            24,
            By(
                &["live_jobs_are_bounded_counting_those_in_flight", "same-key-everywhere"],
                "beyond the cap a submission is refused; the hammer kills leaders meanwhile",
            ),
        ),
        (
            25,
            By(
                &["a_gate_that_was_away_for_long_catches_up_and_serves", "ledger-equal", "change"],
                "learners and install-snapshot",
            ),
        ),
        (26, By(&["log-matching"], "what arrives is judged by term and index")),
    ],
};
