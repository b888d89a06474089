//! Cancellation.

use super::Covered::By;
use super::Section;

pub(super) const SECTION: Section = Section {
    name: "cancellation",
    span: (150, 158),
    gaps: &[155, 156],
    is_directed: false,
    entries: &[
        (
            150,
            By(
                &[
                    "cancel-two-datacenters",
                    "a_cancel_goes_to_every_datacenter_until_each_has_ended_or_is_missing",
                ],
                "told to every part until each has ended",
            ),
        ),
        (
            151,
            By(
                &[
                    "cancel",
                    "cancelling_one_workflow_takes_its_dependents_and_leaves_the_others",
                    "a_cancelled_workflow_that_had_ended_changes_nothing_and_survives_a_restart",
                ],
                "committed by job or by workflow",
            ),
        ),
        (152, By(&["cancel-during-dispatch"], "a run that was not heard of never starts")),
        (
            153,
            By(
                &[
                    "cancel",
                    "a_cancel_that_overtakes_its_offer_leaves_a_tombstone",
                    "no-resurrection",
                ],
                "a cancel may be repeated, and nothing starts after it",
            ),
        ),
        (
            154,
            By(
                &[
                    "cancel-beats",
                    "a_completion_committed_before_the_cancel_stays_and_the_cancel_says_so",
                ],
                "the log decides",
            ),
        ),
        (157, By(&["cancel-workers-cut-off", "cancel-bounded"], "the load ends with its lease")),
        (
            158,
            By(
                &["control-never-shed", "overload"],
                "cancels are control: they wait behind nothing that may be shed",
            ),
        ),
    ],
};
