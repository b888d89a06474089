//! Workers that fail, and the life of workflows.

use super::Covered::By;
use super::Section;

pub(super) const SECTION: Section = Section {
    name: "worker failure and workflow lifecycle",
    span: (130, 143),
    gaps: &[132, 137, 141],
    is_directed: false,
    entries: &[
        (
            130,
            By(
                &[
                    "worker-killed",
                    "a_lost_worker_is_replaced_after_its_last_confirmation_expired",
                    "load-resumes",
                ],
                "replaced when its confirmation is over for certain",
            ),
        ),
        (
            131,
            By(
                &["a_run_that_is_not_ready_in_time_goes_to_another_worker"],
                "then it fails upwards",
            ),
        ),
        (133, By(&["policies_shrink_and_abort"], "a core is a run: each is lost by itself")),
        (134, By(&["lifecycle-legal"], "one transition table")),
        (135, By(&["cores-conserved", "run_refused"], "simulated targets that cannot be prepared")),
        (
            136,
            By(
                &[
                    "leader-killed",
                    "manager-wiped",
                    "a_worker_that_dies_with_the_leader_is_replaced_above_its_reservation",
                ],
                "runs go on without a leader while their confirmations last",
            ),
        ),
        (138, By(&["bounded", "clean-slate"], "caps hold and nothing is left")),
        (
            139,
            By(
                &[
                    "a_worker_that_fails_many_shards_at_once_costs_one_retry",
                    "nothing_moves_when_most_workers_seem_stuck",
                    "retry-budget",
                ],
                "one incident is one retry, and most workers at once are not to blame",
            ),
        ),
        (
            140,
            By(
                &["worker-paused", "strangers_and_forgeries_change_nothing", "fence_refused"],
                "who goes on late is fenced, and gossip of an earlier life is beaten",
            ),
        ),
        (142, By(&["worker-restarted"], "another boot holds nothing of the one before")),
        (
            143,
            By(
                &["first-confirm-alone", "the_oldest_make_room_by_number_and_by_size"],
                "a run ends by acknowledgement or expiry only",
            ),
        ),
    ],
};
