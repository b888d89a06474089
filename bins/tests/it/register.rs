//! `core/INVARIANTS.md`, the enum `Inv` and the checks that name its ids agree.

use crate::scan;
use crate::tree::{self, File};
use hyperscale_core::invariant::Inv;
use std::collections::{BTreeMap, BTreeSet};

/// Every capability in the order in which they are built, and whether it is built.
const CAPABILITIES: &[(&str, bool)] =
    &[("end-to-end", true), ("replicated", true), ("complete-roles", false)];

const REGISTER: &str = "core/INVARIANTS.md";
const ENUM: &str = "core/src/invariant.rs";

/// Ids of the enum whose check is not written yet. An entry whose check exists must go, so the
/// table only shrinks.
const UNCHECKED: &[&str] = &[];

/// One row of the register.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    id: String,
    class: String,
    statement: String,
    /// What checks it: `oracle`, `machine`, or a test by name.
    checked_by: String,
    since: String,
}

impl Row {
    fn is_built(&self) -> bool {
        CAPABILITIES.contains(&(self.since.as_str(), true))
    }
}

/// The rows of the table headed `id | class | statement | where | since`.
fn rows(register: &str) -> Result<Vec<Row>, String> {
    let table = register.lines().filter(|line| line.starts_with('|'));
    let cells = table.map(|line| {
        let inner = line.trim().trim_matches('|');
        inner.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
    });
    let mut cells = cells.collect::<Vec<_>>().into_iter();
    let head = cells.next().unwrap_or_default();
    if head != ["id", "class", "statement", "where", "since"] {
        return Err(format!("{REGISTER}: the table is headed {head:?}"));
    }
    let ruler = cells.next().unwrap_or_default();
    if !ruler.iter().all(|cell| cell.starts_with("---")) {
        return Err(format!("{REGISTER}: no ruler below the head"));
    }
    cells
        .map(|row| match <[String; 5]>::try_from(row) {
            Ok([id, class, statement, checked_by, since]) => {
                Ok(Row { id, class, statement, checked_by, since })
            }
            Err(row) => Err(format!("{REGISTER}: not five cells: {row:?}")),
        })
        .collect()
}

/// What is wrong with the register by itself.
fn register_findings(rows: &[Row]) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for row in rows {
        let id = &row.id;
        let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if id.is_empty() || !id.chars().all(kebab) {
            found.push(format!("{id}: an id is in kebab-case"));
        }
        if !seen.insert(id) {
            found.push(format!("{id}: in the register twice"));
        }
        if !matches!(row.class.as_str(), "S" | "L" | "D") {
            found.push(format!("{id}: class {}", row.class));
        }
        if row.statement.is_empty() {
            found.push(format!("{id}: no statement"));
        }
        if !CAPABILITIES.iter().any(|(capability, _)| *capability == row.since) {
            found.push(format!("{id}: since {}", row.since));
        }
        let test = row.checked_by.strip_prefix("test ");
        let is_test = test.is_some_and(|name| name.starts_with('`') && name.ends_with('`'));
        if !is_test && !matches!(row.checked_by.as_str(), "oracle" | "machine") {
            found.push(format!("{id}: where {}", row.checked_by));
        }
    }
    found
}

/// A variant of `Inv` by its name and its id.
type Variant = (String, String);

fn variants() -> Vec<Variant> {
    Inv::ALL.iter().map(|inv| (format!("{inv:?}"), inv.id().to_owned())).collect()
}

/// What is wrong between the register and the enum.
fn enum_findings(rows: &[Row], variants: &[Variant]) -> Vec<String> {
    let mut found = Vec::new();
    let mut ids = BTreeSet::new();
    for (name, id) in variants {
        match rows.iter().find(|row| row.id == *id) {
            None => found.push(format!("{id}: in the enum, not in the register")),
            Some(row) if !row.is_built() => {
                found.push(format!("{id}: in the enum, but since {}", row.since));
            }
            Some(_) => {}
        }
        if kebab(name) != *id {
            found.push(format!("{id}: the id of {name}"));
        }
        if !ids.insert(id) {
            found.push(format!("{id}: in the enum twice"));
        }
    }
    let missing = rows.iter().filter(|row| row.is_built() && !ids.contains(&row.id));
    found.extend(missing.map(|row| format!("{}: in the register, not in the enum", row.id)));
    found
}

/// `RunExclusive` as `run-exclusive`.
fn kebab(name: &str) -> String {
    let mut id = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !id.is_empty() {
            id.push('-');
        }
        id.extend(c.to_lowercase());
    }
    id
}

/// Where each variant is named as `Inv::Variant`, as a set of root folders; and all functions.
#[derive(Default)]
struct Uses {
    folders: BTreeMap<String, BTreeSet<String>>,
    functions: BTreeSet<String>,
}

fn uses(files: &[File]) -> Uses {
    let mut uses = Uses::default();
    let sources = files.iter().filter(|file| file.path.ends_with(".rs") && file.path != ENUM);
    for file in sources {
        let tokens = scan::tokens(file.text.as_deref().unwrap_or_default());
        uses.functions.extend(scan::functions(&tokens).into_iter().map(|found| found.name));
        let folder = match () {
            () if file.path.starts_with("core/src/") => "core",
            () if file.path.starts_with("sim/src/") => "sim",
            () => continue,
        };
        for at in 0..tokens.len().saturating_sub(3) {
            if scan::reads(&tokens, at, &["Inv", ":", ":"]) {
                let variant = tokens[at + 3].text.clone();
                uses.folders.entry(variant).or_default().insert(folder.to_owned());
            }
        }
    }
    uses
}

/// Rows whose check is not where they say, except for those known as unchecked.
fn use_findings(
    rows: &[Row],
    variants: &[Variant],
    uses: &Uses,
    unchecked: &[&str],
) -> Vec<String> {
    let mut found = Vec::new();
    for row in rows.iter().filter(|row| row.is_built()) {
        let variant = variants.iter().find(|(_, id)| *id == row.id);
        let named = |folder: &str| {
            let folders = variant.and_then(|(name, _)| uses.folders.get(name));
            folders.is_some_and(|folders| folders.contains(folder))
        };
        let checked = match row.checked_by.as_str() {
            "oracle" => named("sim"),
            "machine" => named("core"),
            test => uses.functions.contains(test.trim_start_matches("test ").trim_matches('`')),
        };
        match (checked, unchecked.contains(&row.id.as_str())) {
            (false, false) => {
                found.push(format!("{}: no check found for where {}", row.id, row.checked_by));
            }
            (true, true) => found.push(format!("{}: checked, so not UNCHECKED", row.id)),
            _ => {}
        }
    }
    let known = |id: &str| rows.iter().any(|row| row.is_built() && row.id == id);
    let strangers = unchecked.iter().filter(|id| !known(id));
    found.extend(strangers.map(|id| format!("{id}: UNCHECKED, but not built")));
    found
}

#[test]
fn register_enum_and_checks_agree() {
    let files = tree::files(&tree::root());
    let register = files.iter().find(|file| file.path == REGISTER);
    let register = register.and_then(|file| file.text.as_deref()).expect("the register exists");
    let rows = rows(register).expect("a table");
    let mut found = register_findings(&rows);
    found.extend(enum_findings(&rows, &variants()));
    found.extend(use_findings(&rows, &variants(), &uses(&files), UNCHECKED));
    assert!(!rows.is_empty() && found.is_empty(), "\n{}\n", found.join("\n"));
}

mod can_fail {
    use super::*;

    const TABLE: &str = "\
# Register
| id | class | statement | where | since |
|---|---|---|---|---|
| run-exclusive | S | one worker | oracle | end-to-end |
| lifecycle-legal | S | in the table | machine | end-to-end |
| journal-tail | S | a tail | test `any_tail` | end-to-end |
| retry-budget | S | few tries | oracle | complete-roles |
";

    const VARIANTS: &[(&str, &str)] = &[
        ("RunExclusive", "run-exclusive"),
        ("LifecycleLegal", "lifecycle-legal"),
        ("JournalTail", "journal-tail"),
    ];

    fn owned(variants: &[(&str, &str)]) -> Vec<Variant> {
        variants.iter().map(|(name, id)| ((*name).to_owned(), (*id).to_owned())).collect()
    }

    fn ids() -> Vec<&'static str> {
        VARIANTS.iter().map(|(_, id)| *id).collect()
    }

    fn table() -> Vec<Row> {
        rows(TABLE).expect("a table")
    }

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), bytes: 0, text: Some(text.to_owned()) }
    }

    #[test]
    fn a_whole_register_passes() {
        assert_eq!(register_findings(&table()), [""; 0]);
        assert_eq!(enum_findings(&table(), &owned(VARIANTS)), [""; 0]);
        let files = [
            file("sim/src/a.rs", "Inv::RunExclusive"),
            file("core/src/a/b.rs", "ensure!(cx, a, Inv::LifecycleLegal)"),
            file("core/src/tests.rs", "fn any_tail() {}"),
        ];
        let uses = uses(&files);
        assert_eq!(use_findings(&table(), &owned(VARIANTS), &uses, &[]), [""; 0]);
        let pardoned = use_findings(&table(), &owned(VARIANTS), &Uses::default(), &ids());
        assert_eq!(pardoned, [""; 0]);
    }

    #[test]
    fn a_malformed_register_is_seen() {
        assert!(rows("| id | class |\n|---|---|\n").is_err());
        assert!(rows("no table").is_err());
        assert!(rows(&format!("{TABLE}| five | S | a | oracle |\n")).is_err());
        assert!(rows(&TABLE.replace("|---|---|---|---|---|\n", "")).is_err());
        let cases = [
            ("| run-exclusive | S |", "| Run | S |", "Run: an id is in kebab-case"),
            ("journal-tail", "run-exclusive", "run-exclusive: in the register twice"),
            ("| S | one worker", "| X | one worker", "run-exclusive: class X"),
            ("one worker", "", "run-exclusive: no statement"),
            ("complete-roles", "later", "retry-budget: since later"),
            ("| machine |", "| to be checked |", "lifecycle-legal: where to be checked"),
            ("test `any_tail`", "test", "journal-tail: where test"),
        ];
        for (from, to, expected) in cases {
            let rows = rows(&TABLE.replace(from, to)).expect("a table");
            assert_eq!(register_findings(&rows), [expected], "{from} replaced by {to}");
        }
    }

    #[test]
    fn a_drifted_enum_is_seen() {
        let judge = |variants: &[Variant]| enum_findings(&table(), variants);
        let whole = owned(VARIANTS);
        assert_eq!(judge(&whole[1..]), ["run-exclusive: in the register, not in the enum"]);
        let twice = [&whole[..1], &whole].concat();
        assert_eq!(judge(&twice), ["run-exclusive: in the enum twice"]);
        let mut renamed = whole.clone();
        renamed[0].0 = "RunsExclusive".to_owned();
        assert_eq!(judge(&renamed), ["run-exclusive: the id of RunsExclusive"]);
        let unbuilt = [&whole[..], &owned(&[("RetryBudget", "retry-budget")])].concat();
        assert_eq!(judge(&unbuilt), ["retry-budget: in the enum, but since complete-roles"]);
        let stranger = [&whole[..], &owned(&[("Other", "other")])].concat();
        assert_eq!(judge(&stranger), ["other: in the enum, not in the register"]);
    }

    #[test]
    fn an_absent_check_is_seen() {
        let files = [
            file("core/src/a.rs", "Inv::RunExclusive"),
            file(
                "sim/src/a.rs",
                "// Inv::RunExclusive\nInv::LifecycleLegal; \"Inv::RunExclusive\"",
            ),
            file(ENUM, "Inv::LifecycleLegal; Inv::RunExclusive; fn any_tail() {}"),
        ];
        let found = use_findings(&table(), &owned(VARIANTS), &uses(&files), &[]);
        let expected = [
            "run-exclusive: no check found for where oracle",
            "lifecycle-legal: no check found for where machine",
            "journal-tail: no check found for where test `any_tail`",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_pardon_that_outlived_its_reason_is_seen() {
        let uses = uses(&[file("sim/src/a.rs", "Inv::RunExclusive")]);
        let pardons = [&ids()[..], &["retry-budget"]].concat();
        let found = use_findings(&table(), &owned(VARIANTS), &uses, &pardons);
        let expected =
            ["run-exclusive: checked, so not UNCHECKED", "retry-budget: UNCHECKED, but not built"];
        assert_eq!(found, expected);
    }
}
