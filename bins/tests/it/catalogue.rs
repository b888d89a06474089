//! The catalogue of scenarios names what exists, and sections that ask for directed checks have
//! them.

use crate::probes::Probes;
use crate::tree;
use sim::scenario::{CATALOGUE, Covered, Section};

/// What is wrong with the names of a section.
fn findings(section: &Section, probes: &Probes) -> Vec<String> {
    let mut found = Vec::new();
    for (number, covered) in section.entries {
        let (names, why) = match covered {
            Covered::By(names, how) => (*names, how),
            Covered::NotApplicable(why) => (&[][..], why),
        };
        let is_covered = matches!(covered, Covered::By(..));
        if why.is_empty() || (is_covered && names.is_empty()) {
            found.push(format!("S-{number:03}: says nothing"));
        }
        let unknown = names.iter().filter(|name| !probes.is_known(name));
        found.extend(unknown.map(|name| format!("S-{number:03}: no {name}")));
        let has_directed = names.iter().any(|name| probes.is_directed(name));
        if section.is_directed && is_covered && !has_directed {
            found.push(format!("S-{number:03}: no test or scenario"));
        }
    }
    found
}

#[test]
fn the_catalogue_names_what_exists() {
    let probes = Probes::of(&tree::files(&tree::root()));
    let found: Vec<String> =
        CATALOGUE.iter().flat_map(|section| findings(section, &probes)).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn bad_entries_are_seen() {
    let text = "#[test] fn a_test() {}".to_owned();
    let file = tree::File { path: "core/src/a.rs".into(), bytes: 0, text: Some(text) };
    let probes = Probes::of(&[file]);
    let section = |is_directed, entries| {
        let section = Section { name: "s", span: (1, 9), gaps: &[], is_directed, entries };
        findings(&section, &probes)
    };
    let good: &[_] = &[
        (1, Covered::By(&["a_test", "converge", "loss", "resent"], "how")),
        (2, Covered::By(&["worker-killed"], "how")),
        (3, Covered::NotApplicable("why")),
    ];
    assert_eq!(section(true, good), [""; 0]);
    let bad: &[_] = &[
        (1, Covered::By(&[], "how")),
        (2, Covered::NotApplicable("")),
        (3, Covered::By(&["a_tset"], "how")),
        (4, Covered::By(&["converge", "loss", "resent"], "how")),
    ];
    let expected = ["S-001: says nothing", "S-002: says nothing", "S-003: no a_tset"];
    assert_eq!(section(false, bad), expected);
    assert_eq!(section(true, &bad[3..]), ["S-004: no test or scenario"]);
}
