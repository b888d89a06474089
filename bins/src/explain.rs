//! `explain`: why a job's parts run where they do, as a table.

use hyperscale_runtime::api::view;

use crate::args::Remote;
use crate::client::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;

/// Prints every placing of a job that is kept.
///
/// # Errors
/// As every request.
pub(crate) async fn explain(remote: &Remote, job: &str, json: bool) -> Result<Exit, Failure> {
    let mut client = Client::new(&remote.gate, remote.patience())?;
    let told = client.explain(job).await?;
    if json {
        output::json(&told)?;
        return Ok(Exit::Ok);
    }
    for line in lines(&told) {
        output::line(&line);
    }
    Ok(Exit::Ok)
}

fn lines(told: &view::Explanation) -> Vec<String> {
    let view::Explanation { id, status, name, reason, .. } = told;
    let mut lines = vec![format!("{id}  {status}  {name}  {reason}").trim_end().to_owned()];
    if told.placings.is_empty() && reason.is_empty() {
        lines.push("no datacenter was found yet; `hyperscale cluster` shows how they are".into());
    }
    for placing in &told.placings {
        let view::Placing { part, entry, gate, why, candidates, left_out } = placing;
        lines.push(String::new());
        let Some(chosen) = candidates.first() else {
            lines.push(format!("part {part}: {why} (gate n{gate}, entry {entry})"));
            continue;
        };
        let to = &chosen.datacenter;
        lines.push(format!("part {part} to {to}: {why} (gate n{gate}, entry {entry})"));
        lines.push(row(["DATACENTER", "CLASS", "ANSWER", "LOAD", "PREFER", "WAIT", "SCORE", ""]));
        lines.extend(candidates.iter().map(candidate));
        if *left_out > 0 {
            lines.push(format!("  and {left_out} more"));
        }
    }
    lines
}

fn candidate(one: &view::Candidate) -> String {
    let dash = || "-".to_owned();
    let answer = one.expected_us.map_or_else(dash, |us| format!("{:.1} ms", us as f64 / 1_000.0));
    let load = format!("{:.2}", one.load_milli as f64 / 1_000.0);
    let prefer = one.preference.map_or_else(dash, |place| (place + 1).to_string());
    let wait = one.wait_ms.map_or_else(dash, |ms| format!("{} s", ms.div_ceil(1_000)));
    let cooling = if one.cooling { ", cooling down" } else { "" };
    let verdict = format!("{}{cooling}", one.verdict);
    let score = one.score.to_string();
    let (name, class) = (one.datacenter.as_str(), one.class.as_str());
    row([name, class, &answer, &load, &prefer, &wait, &score, &verdict])
}

fn row(cells: [&str; 8]) -> String {
    let [name, class, answer, load, prefer, wait, score, verdict] = cells;
    let place = format!("  {name:<16} {class:<10} {answer:>11} {load:>6}");
    let line = format!("{place} {prefer:>7} {wait:>7} {score:>10}  {verdict}");
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(name: &str, class: &str, verdict: &str) -> view::Candidate {
        view::Candidate {
            datacenter: name.to_owned(),
            class: class.to_owned(),
            expected_us: Some(12_345),
            load_milli: 1_250,
            preference: None,
            cooling: name == "west",
            wait_ms: Some(0),
            score: 15_431,
            verdict: verdict.to_owned(),
        }
    }

    #[test]
    fn the_table_has_the_chosen_one_first_and_says_why_not_of_the_others() {
        let placing = view::Placing {
            part: 0,
            entry: 9,
            gate: 1,
            why: "the best score".to_owned(),
            candidates: vec![
                candidate("east", "healthy", "chosen"),
                candidate("west", "busy", "fallback, less well"),
            ],
            left_out: 3,
        };
        let mut told = view::Explanation {
            id: "j4".to_owned(),
            name: "checkout".to_owned(),
            status: "running".to_owned(),
            reason: String::new(),
            placings: vec![placing],
        };
        let expected = [
            "j4  running  checkout",
            "",
            "part 0 to east: the best score (gate n1, entry 9)",
            "  DATACENTER       CLASS           ANSWER   LOAD  PREFER    WAIT      SCORE",
            "  east             healthy        12.3 ms   1.25       -     0 s      15431  chosen",
            "  west             busy           12.3 ms   1.25       -     0 s      15431  \
             fallback, less well, cooling down",
            "  and 3 more",
        ];
        assert_eq!(lines(&told), expected);
        told.placings.clear();
        assert!(lines(&told)[1].starts_with("no datacenter was found yet"));
    }
}
