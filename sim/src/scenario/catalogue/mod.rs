//! For every number of the reference catalogue: what covers it, or why nothing has to. A file for
//! each section.
//!
//! `bins/tests/it` checks that every name given here exists.

mod backpressure;
mod cancels;
mod dispatch;
mod durability;
mod failures;
mod gates;
mod health;
mod leases;
mod load;
mod progress;
mod timeouts;
mod workers;

/// What covers a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Covered {
    /// Scenarios, tests, oracles, fault classes or counters of these names, and how.
    By(&'static [&'static str], &'static str),
    /// There is no such thing here, and why.
    NotApplicable(&'static str),
}

/// A section of the reference catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// What it is about.
    pub name: &'static str,
    /// Its numbers, from the first to the last
    pub span: (u16, u16),
    /// without these.
    pub gaps: &'static [u16],
    /// Whether every number is covered by a scenario or a test by name, and no oracle, fault class
    /// or counter is enough.
    pub is_directed: bool,
    /// Each number once, in order.
    pub entries: &'static [(u16, Covered)],
}

impl Section {
    /// The numbers that it must cover.
    pub fn numbers(&self) -> impl Iterator<Item = u16> {
        (self.span.0..=self.span.1).filter(|number| !self.gaps.contains(number))
    }
}

/// Every section, in order.
pub const CATALOGUE: &[Section] = &[
    gates::SECTION,
    dispatch::SECTION,
    progress::SECTION,
    timeouts::SECTION,
    leases::SECTION,
    workers::SECTION,
    failures::SECTION,
    cancels::SECTION,
    backpressure::SECTION,
    health::SECTION,
    durability::SECTION,
    load::SECTION,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::table::SCENARIOS;

    #[test]
    fn every_number_is_covered_once() {
        for section in CATALOGUE {
            let listed: Vec<u16> = section.entries.iter().map(|(number, _)| *number).collect();
            assert!(section.numbers().eq(listed.iter().copied()), "{}: {listed:?}", section.name);
        }
        let all: Vec<u16> = CATALOGUE.iter().flat_map(Section::numbers).collect();
        assert!(all.is_sorted_by(|one, next| one < next));
        assert_eq!((all.first(), all.last(), all.len()), (Some(&1), Some(&220), 155));
    }

    #[test]
    fn every_scenario_covers_a_number() {
        let entries = CATALOGUE.iter().flat_map(|section| section.entries);
        let named = entries.filter_map(|(_, covered)| match covered {
            Covered::By(names, _) => Some(*names),
            Covered::NotApplicable(_) => None,
        });
        let named: Vec<&str> = named.flatten().copied().collect();
        let idle: Vec<_> = SCENARIOS.iter().filter(|one| !named.contains(&one.name)).collect();
        assert!(idle.is_empty(), "{idle:?}");
    }
}
