//! The table of modules in ARCHITECTURE.md: every module of the reference's roles has its row,
//! every place that a row names is there, and what exercises it exists.

use crate::probes::Probes;
use crate::tree::{self, File};
use std::collections::BTreeSet;

const MAP: &str = "ARCHITECTURE.md";
const HEAD: [&str; 3] = ["module there", "its duty here", "exercised by"];
/// Where a place may be.
const ROOTS: [&str; 2] = ["core/src", "runtime/src"];

/// Every module by its role; `swim` and `block` are parts that more than one role has.
const MODULES: &[(&str, &[&str])] = &[
    (
        "gate",
        &[
            "config",
            "state",
            "registry",
            "routing",
            "dispatch",
            "sync",
            "health",
            "leadership",
            "stats",
            "cancellation",
            "leases",
            "discovery",
            "orphan jobs",
            "timeout tracker",
            "job manager, forwarding, hash ring",
            "idempotency",
            "handlers",
            "models",
            "raft integration",
        ],
    ),
    (
        "manager",
        &[
            "config",
            "state",
            "registry",
            "dispatch",
            "worker pool",
            "job manager",
            "sync",
            "health",
            "leadership",
            "stats",
            "cancellation",
            "leases",
            "discovery",
            "handlers",
            "models",
            "workflow_lifecycle",
            "worker_dissemination",
            "load_shedding, rate_limiting, version_skew",
            "timeout strategy",
            "idempotency ledger",
            "node WAL",
            "server",
        ],
    ),
    (
        "worker",
        &[
            "config",
            "state",
            "registry",
            "registration, discovery, sync",
            "execution / workflow_executor",
            "progress",
            "health, heartbeat",
            "backpressure",
            "cancellation",
            "background_loops",
            "lifecycle",
            "leader transfer handler",
            "core allocator",
            "event log",
        ],
    ),
    (
        "swim",
        &[
            "probe loop",
            "local health multiplier",
            "event-loop monitor",
            "graceful degradation",
            "suspicion",
            "timing wheel",
            "job layer",
            "incarnations",
            "peer confirmation",
            "gossip buffer",
            "Vivaldi",
            "leader election",
            "flapping guard",
            "federated monitor",
        ],
    ),
    (
        "block",
        &[
            "circuits",
            "retry budgets",
            "in-flight limits",
            "outgoing queues",
            "fair queue",
            "spill-over",
            "correlation",
            "resource guard",
            "windowed stats",
            "stats CRDT",
            "hash ring",
        ],
    ),
];

/// A row: what it is about, where that is, what exercises it.
type Row = [String; 3];

/// The rows below the head, up to the end of the table.
fn rows(map: &str) -> Result<Vec<Row>, String> {
    let cells = |line: &str| -> Vec<String> {
        let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
        inner.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let mut lines = map.lines().skip_while(|line| cells(line) != HEAD);
    if lines.next().is_none() || !lines.next().is_some_and(|ruler| ruler.starts_with("|---")) {
        return Err(format!("{MAP}: no table headed {HEAD:?}"));
    }
    let table = lines.take_while(|line| line.starts_with('|'));
    table
        .map(|line| Row::try_from(cells(line)).map_err(|row| format!("not three cells: {row:?}")))
        .collect()
}

/// `a (gate, manager); b, c (worker)` as role and module.
fn named(cell: &str) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    for item in cell.split(';') {
        let parts = item.trim().strip_suffix(')').and_then(|item| item.rsplit_once(" ("));
        let (module, roles) = parts.ok_or_else(|| format!("no role: {item}"))?;
        found.extend(roles.split(',').map(|role| (role.trim().to_owned(), module.to_owned())));
    }
    Ok(found)
}

/// What stands between back-quotes.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn findings(rows: &[Row], files: &[File], probes: &Probes) -> Vec<String> {
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    let is_place = |place: &str| {
        let stems = ROOTS.map(|root| format!("{root}/{}", place.trim_end_matches('/')));
        files.iter().any(|file| {
            let below = |stem: &String| file.path.strip_prefix(stem.as_str());
            stems.iter().filter_map(below).any(|rest| rest == ".rs" || rest.starts_with('/'))
        })
    };
    for [modules, places, checks] in rows {
        match named(modules) {
            Ok(all) => {
                let twice = all.into_iter().filter(|one| !seen.insert(one.clone()));
                found.extend(twice.map(|(role, module)| format!("{role}: {module} twice")));
            }
            Err(wrong) => found.push(wrong),
        }
        if quoted(places).is_empty() || quoted(checks).is_empty() {
            found.push(format!("{modules}: names no place or no check"));
        }
        let nowhere = quoted(places).into_iter().filter(|place| !is_place(place));
        found.extend(nowhere.map(|place| format!("{modules}: no place {place}")));
        let unknown = quoted(checks).into_iter().filter(|name| !probes.is_known(name));
        found.extend(unknown.map(|name| format!("{modules}: no check {name}")));
    }
    let pair = |role: &str, module: &str| (role.to_owned(), module.to_owned());
    let wanted = MODULES.iter().flat_map(|(role, all)| all.iter().map(|one| pair(role, one)));
    let wanted: BTreeSet<_> = wanted.collect();
    found.extend(wanted.difference(&seen).map(|(role, module)| format!("{role}: no {module}")));
    found.extend(seen.difference(&wanted).map(|(role, one)| format!("{role}: strange {one}")));
    found
}

#[test]
fn every_module_has_its_row() {
    let files = tree::files(&tree::root());
    let map = files.iter().find(|file| file.path == MAP).and_then(|file| file.text.as_deref());
    let rows = rows(map.expect("the map exists")).expect("a table");
    let found = findings(&rows, &files, &Probes::of(&files));
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

mod can_fail {
    use super::*;

    fn table() -> String {
        let roles = MODULES.iter().map(|(role, all)| {
            let items: Vec<_> = all.iter().map(|module| format!("{module} ({role})")).collect();
            format!(
                "| {} | in `gate/routing` and `x/` | `a_test`, `converge` |\n",
                items.join("; ")
            )
        });
        let head = HEAD.join(" | ");
        format!("# Map\n| {head} |\n|---|---|---|\n{}\nMore\n", roles.collect::<String>())
    }

    fn judged(table: &str) -> Vec<String> {
        let file = |path: &str, text: &str| File {
            path: path.to_owned(),
            bytes: 0,
            text: Some(text.to_owned()),
        };
        let files = [
            file("core/src/gate/routing.rs", "#[test] fn a_test() {}"),
            file("runtime/src/x/y.rs", ""),
        ];
        findings(&rows(table).expect("a table"), &files, &Probes::of(&files))
    }

    #[test]
    fn a_whole_table_passes() {
        assert_eq!(judged(&table()), [""; 0]);
    }

    #[test]
    fn a_bad_table_is_seen() {
        assert!(rows("# Map\n").is_err());
        assert!(rows(&table().replace("| `a_test`", "`a_test`")).is_err());
        let first = |from: &str, to: &str| judged(&table().replacen(from, to, 1));
        assert_eq!(first("state (gate); ", ""), ["gate: no state"]);
        assert_eq!(
            first("state (gate)", "config (gate)"),
            ["gate: config twice", "gate: no state"]
        );
        let strange = first("Vivaldi (swim)", "Other (swim)");
        assert_eq!(strange, ["swim: no Vivaldi", "swim: strange Other"]);
        assert!(first("config (gate)", "config")[0].starts_with("no role"));
        let ends = |found: Vec<String>, with: &str| assert!(found[0].ends_with(with), "{found:?}");
        ends(first("`a_test`, `converge`", " "), "names no place or no check");
        ends(first("in `gate/routing` and `x/`", "nowhere"), "names no place or no check");
        ends(first("`a_test`", "`a_tset`"), "no check a_tset");
        ends(first("`gate/routing`", "`gate/rout`"), "no place gate/rout");
    }
}
