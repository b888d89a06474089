//! `stats`: what a job measured over plan time, as a table for every workflow.

use hyperscale_runtime::api::stats::{JobStats, Window, WorkflowStats};

use crate::args::Stats;
use crate::client::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;

/// Prints the windows of a job.
///
/// # Errors
/// As every request.
pub(crate) async fn stats(args: &Stats) -> Result<Exit, Failure> {
    let mut client = Client::new(&args.remote.gate, args.remote.patience())?;
    let told = client.stats(&args.job, &args.window).await?;
    if args.json {
        output::json(&told)?;
    } else {
        lines(&told).iter().for_each(|line| output::line(line));
    }
    Ok(Exit::Ok)
}

fn lines(told: &JobStats) -> Vec<String> {
    let mut lines = vec![format!("{}  {}  {}", told.id, told.status, told.name)];
    for WorkflowStats { name, before, windows, open, written_off } in &told.workflows {
        lines.push(String::new());
        lines.push(format!("workflow {name}"));
        lines.push(row(["PLAN", "RATE", "FAILED", "DROPPED", "P50", "P95", "P99", "MAX", ""]));
        lines.extend(windows.iter().map(window));
        let rest = [(before, "before"), (open, "in no window yet"), (written_off, "written off")];
        let rest = rest.into_iter().filter(|(count, _)| **count > 0);
        lines.extend(rest.map(|(count, what)| format!("  {count} requests {what}")));
    }
    lines
}

fn window(one: &Window) -> String {
    let ms = |value: Option<f64>| value.map_or("-".to_owned(), |ms| format!("{ms:.2} ms"));
    let missing = match (one.complete, one.shards < one.of) {
        (true, _) => String::new(),
        (false, true) => format!("{} of {} shards", one.shards, one.of),
        (false, false) => "with some of before".to_owned(),
    };
    row([
        &format!("{}..{} s", one.from, one.until),
        &format!("{:.1}/s", one.rate),
        &one.failed.to_string(),
        &one.dropped.to_string(),
        &ms(one.p50),
        &ms(one.p95),
        &ms(one.p99),
        &ms(one.max),
        &missing,
    ])
}

fn row(cells: [&str; 9]) -> String {
    let [plan, rate, failed, dropped, p50, p95, p99, max, missing] = cells;
    let counts = format!("  {plan:>14} {rate:>11} {failed:>8} {dropped:>8}");
    let line = format!("{counts} {p50:>11} {p95:>11} {p99:>11} {max:>11}  {missing}");
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_window_is_a_row_and_says_what_it_lacks() {
        let whole = Window {
            from: 0,
            until: 5,
            complete: true,
            shards: 3,
            of: 3,
            requests: 1_000,
            rate: 200.0,
            failed: 1,
            iterations: 1_000,
            dropped: 0,
            p50: Some(0.182),
            p95: Some(1.3),
            p99: Some(8.45),
            max: None,
        };
        let torn = Window { from: 5, until: 6, complete: false, shards: 2, ..whole.clone() };
        let workflow = WorkflowStats {
            name: "browse".to_owned(),
            before: 0,
            windows: vec![whole, torn],
            open: 7,
            written_off: 0,
        };
        let told = JobStats {
            id: "j4".to_owned(),
            name: "checkout".to_owned(),
            status: "running".to_owned(),
            workflows: vec![workflow],
        };
        let lines = lines(&told);
        assert_eq!(lines[..3], ["j4  running  checkout", "", "workflow browse"]);
        let cells = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(cells(&lines[3]), "PLAN RATE FAILED DROPPED P50 P95 P99 MAX");
        assert_eq!(cells(&lines[4]), "0..5 s 200.0/s 1 0 0.18 ms 1.30 ms 8.45 ms -");
        assert!(lines[5].ends_with("-  2 of 3 shards"), "{}", lines[5]);
        assert_eq!(lines[6], "  7 requests in no window yet");
    }
}
