//! Progress, results, completion of jobs.

use super::Covered::By;
use super::Section;

pub(super) const SECTION: Section = Section {
    name: "job progress, results, completion",
    span: (60, 76),
    gaps: &[72],
    is_directed: false,
    entries: &[
        (
            60,
            By(
                &["undisturbed", "two-datacenters", "results_are_added_up_to_the_request"],
                "totals of all parts are added up",
            ),
        ),
        (
            61,
            By(
                &["dup", "spike", "stale_and_doubled_heartbeats_reports_and_finals_change_nothing"],
                "reports carry run and sequence",
            ),
        ),
        (62, By(&["leader-killed", "worker-killed"], "what was told is kept")),
        (
            63,
            By(
                &[
                    "a_window_waits_for_every_source",
                    "what_comes_for_a_closed_second_goes_to_the_next",
                    "reordered_and_doubled_views_and_ones_of_unknown_jobs_change_no_window",
                    "windows-sum",
                ],
                "windows are cut at whole plan seconds",
            ),
        ),
        (
            64,
            By(
                &[
                    "totals_add_up_in_any_order_and_grouping",
                    "windows_of_datacenters_are_aligned_on_plan_time",
                    "totals-exact",
                ],
                "the highest sequence of a run wins, sums are exact",
            ),
        ),
        (
            65,
            By(
                &[
                    "datacenter-killed",
                    "a_silent_datacenter_is_missing_after_the_plan_and_its_grace",
                ],
                "what is missing after its grace is named",
            ),
        ),
        (66, By(&["dup", "counted-once", "report_stale"], "a run counts once")),
        (
            67,
            By(
                &["a_report_to_another_gate_is_sent_on", "report_redirected", "owner-single"],
                "a gate that does not own the job sends it to the one that does",
            ),
        ),
        (
            68,
            By(
                &[
                    "results_decide_the_status",
                    "a_workflow_that_failed_in_one_datacenter_fails_the_job_and_names_both",
                ],
                "decided once, when the last part has ended",
            ),
        ),
        (69, By(&["clean-slate"], "after the end nothing of a job is left")),
        (
            70,
            By(
                &[
                    "a_watcher_that_lags_is_refilled_from_what_is_kept",
                    "a_watcher_resumes_where_it_stopped",
                    "the_document_is_golden_and_reads_back_to_the_same_text",
                ],
                "nothing is pushed to other systems: clients fetch and watch at their own pace",
            ),
        ),
        (71, By(&["bounded"], "what ends together waits within the caps")),
        (
            73,
            By(
                &[
                    "a_watcher_resumes_where_it_stopped",
                    "an_update_that_comes_again_is_shown_once",
                    "reordered_and_doubled_views_and_ones_of_unknown_jobs_change_no_window",
                ],
                "updates carry rising numbers",
            ),
        ),
        (
            74,
            By(
                &[
                    "datacenter-killed",
                    "datacenter-cut-off",
                    "a_datacenter_that_is_cut_off_makes_windows_incomplete_and_is_in_a_later_one",
                ],
                "the rest goes on; what comes later is in a later window",
            ),
        ),
        (
            75,
            By(&["spike", "no-resurrection", "part_result_late"], "late results are acknowledged"),
        ),
        (
            76,
            By(&["totals-exact", "skew"], "re-assigned shards add up, whichever minor wrote them"),
        ),
    ],
};
