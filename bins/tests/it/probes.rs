//! What tables may name as the check of something: tests, scenarios, oracles, fault classes,
//! counters.

use crate::scan::{self, Token};
use crate::tree::File;
use hyperscale_core::invariant::Inv;
use hyperscale_core::stat::Stat;
use sim::faults::Class;
use sim::scenario::SCENARIOS;
use std::collections::BTreeSet;

/// The names that exist.
pub(crate) struct Probes {
    /// Tests and scenarios: they run by themselves.
    directed: BTreeSet<String>,
    /// Oracles, fault classes and counters: they need something that runs.
    ambient: BTreeSet<String>,
}

impl Probes {
    pub(crate) fn of(files: &[File]) -> Self {
        let sources = files.iter().filter(|file| file.path.ends_with(".rs"));
        let texts = sources.filter_map(|file| file.text.as_deref());
        let tests = texts.flat_map(|text| tests(&scan::tokens(text)));
        let scenarios = SCENARIOS.iter().map(|scenario| scenario.name.to_owned());
        let oracles = Inv::ALL.iter().map(|inv| inv.id());
        let classes = Class::ALL.iter().map(|class| class.id());
        let stats = Stat::ALL.iter().map(|stat| stat.name());
        Self {
            directed: tests.chain(scenarios).collect(),
            ambient: oracles.chain(classes).chain(stats).map(str::to_owned).collect(),
        }
    }

    /// Whether it is a test or a scenario.
    pub(crate) fn is_directed(&self, name: &str) -> bool {
        self.directed.contains(name)
    }

    pub(crate) fn is_known(&self, name: &str) -> bool {
        self.is_directed(name) || self.ambient.contains(name)
    }
}

/// Names of the functions that are marked as tests.
fn tests(tokens: &[Token]) -> Vec<String> {
    let marks = (0..tokens.len()).filter(|at| {
        let plain = scan::reads(tokens, *at, &["#", "[", "test", "]"]);
        plain || scan::reads(tokens, *at, &["#", "[", "tokio", ":", ":", "test"])
    });
    let name = |mark: usize| {
        let at = (mark..tokens.len()).find(|at| tokens[*at].text == "fn")?;
        Some(tokens.get(at + 1)?.text.clone())
    };
    marks.filter_map(name).collect()
}

#[test]
fn marked_functions_are_tests_and_others_are_not() {
    let text = "
        #[test] fn plain() { helper() }
        fn helper() {}
        #[tokio::test(flavor = \"multi_thread\")]
        async fn slow() {}
        proptest! { #[test] #[ignore = \"why\"] fn drawn(n in 0..3) {} }
        // #[test] fn quoted() {}
        #[cfg(test)] fn bench() {}
    ";
    assert_eq!(tests(&scan::tokens(text)), ["plain", "slow", "drawn"]);
}
