//! Which datacenter a part goes to, where the plan leaves it to the gate.
//!
//! Filter: out is what is unregistered, unreachable (unless the network is blamed), unhealthy,
//! draining, behind an open circuit, tried for this job, or farther than the plan allows. A
//! distance that was not measured lately and often enough excludes nobody.
//! Bucket: healthy before busy before degraded; nothing is chosen past a better bucket.
//! Score, the lower the better, inside the bucket and behind the plan's preferences: expected
//! answer x load x severity, doubled for one that did not take a part shortly before.
//! Hysteresis: the last choice is kept for `route_hold`, then until another scores at most four
//! fifths; it is left at once when it is excluded, in a worse bucket, or less preferred.
//! Spill-over: in a bucket of full ones the first is left for one that is not much farther away and
//! has a core in at most half the time, if the first would let the part wait for long.
//! The rest of the candidates is the chain of fallbacks: when a part comes back, the same is asked
//! again without whatever was tried.
//!
//! Inputs: standings, what the plan asks, the clock. Outputs: a `Decision` that says all of this.
//! Invariants: route-sane, route-steady. Does not do: judge datacenters (`health`), place
//! (`placing`).

use super::models::{Candidate, Decision, Exclusion, Reachability, Standing, Verdict, Why};
use crate::bounded::BoundedVec;
use crate::health::{Circuit, HealthClass, HealthConfig};
use crate::ids::NodeId;
use crate::machine::Cx;
use crate::plan::Placement;
use crate::stat::Stat;
use crate::time::Instant;

/// What an answer is expected to take where nothing was measured, microseconds.
const UNKNOWN_EXPECTED: u64 = 60_000_000;

/// What is asked of the choice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    /// The plan's wishes.
    pub(super) placement: &'a Placement,
    /// Datacenters that are out for this job.
    pub(super) tried: &'a [&'a str],
}

/// The outcome of a choice.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Route {
    /// There.
    To(String, Decision),
    /// Nowhere at the moment: why each is out.
    Later(String),
    /// Nowhere at all: each was tried.
    Nowhere,
}

/// A choice as it was made, with everything it was made from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Routed {
    /// How every datacenter stood.
    pub standings: Vec<Standing>,
    /// What the plan asked.
    pub placement: Placement,
    /// What was out for the job.
    pub tried: Vec<String>,
    /// What was chosen before, and since when, if anything was.
    pub before: Option<(String, Instant)>,
    /// The choice.
    pub chosen: String,
    /// Its reasons.
    pub decision: Decision,
}

/// The choice and its memory.
#[derive(Debug)]
pub(super) struct Routing {
    gate: NodeId,
    config: HealthConfig,
    /// The last choice, and when it became that.
    current: Option<(String, Instant)>,
    /// The choices of the last step.
    routed: Vec<Routed>,
}

/// A datacenter while it is weighed.
#[derive(Debug)]
struct Weighed<'a> {
    standing: &'a Standing,
    rank: Option<u16>,
    load: u64,
    score: u64,
    out: Option<Exclusion>,
}

impl Weighed<'_> {
    /// What orders the members of a bucket.
    fn order(&self) -> (u16, u64) {
        (self.rank.unwrap_or(u16::MAX), self.score)
    }
}

impl Routing {
    pub(super) fn new(gate: NodeId, config: HealthConfig) -> Self {
        Self { gate, config, current: None, routed: Vec::new() }
    }

    /// A step begins.
    pub(super) fn begin(&mut self) {
        self.routed.clear();
    }

    /// The choices of this step.
    pub(super) fn routed(&self) -> &[Routed] {
        &self.routed
    }

    /// Chooses.
    pub(super) fn choose(
        &mut self,
        cx: &mut Cx<'_>,
        standings: Vec<Standing>,
        ask: Ask<'_>,
    ) -> Route {
        let mut weighed: Vec<_> = standings.iter().map(|standing| weigh(standing, ask)).collect();
        // Stable: equals stay in the order of the configuration.
        weighed.sort_by_key(|w| (w.out.is_some(), w.standing.class, w.order()));
        let Some(first) = weighed.first().filter(|first| first.out.is_none()) else {
            cx.count(Stat::RouteNone);
            return nowhere(&weighed);
        };
        let bucket = first.standing.class;
        let size = weighed.iter().filter(|w| w.out.is_none() && w.standing.class == bucket).count();
        let (place, why) = self.pick(cx.now(), weighed.get(..size).unwrap_or_default(), &weighed);
        if place < weighed.len() {
            let chosen = weighed.remove(place);
            weighed.insert(0, chosen);
        }
        let decision = explain(self.gate, why, &weighed);
        let Some(chosen) = weighed.first().map(|w| w.standing.name.clone()) else {
            return Route::Nowhere;
        };
        let before = self.current.clone();
        self.remember(cx, &chosen, ask);
        cx.count(match why {
            Why::Kept => Stat::RouteKept,
            Why::Spilled => Stat::RouteSpilled,
            Why::Named | Why::Only | Why::Best | Why::Preferred => Stat::RouteChosen,
        });
        self.routed.push(Routed {
            placement: ask.placement.clone(),
            tried: ask.tried.iter().map(|name| (*name).to_owned()).collect(),
            before,
            chosen: chosen.clone(),
            decision: decision.clone(),
            standings,
        });
        Route::To(chosen, decision)
    }

    /// The place of the choice in its bucket, which is sorted, and why.
    fn pick(&self, now: Instant, bucket: &[Weighed<'_>], all: &[Weighed<'_>]) -> (usize, Why) {
        let Some(best) = bucket.first() else { return (0, Why::Only) };
        let kept = self.kept(now, bucket);
        let first = kept.unwrap_or(0);
        if let Some(place) = self.spill(bucket, first) {
            return (place, Why::Spilled);
        }
        let full = |w: &Weighed<'_>| {
            let could = w.out.is_none() && w.standing.class == HealthClass::Busy;
            could && best.standing.class < HealthClass::Busy && w.rank.is_some()
        };
        let why = if all.iter().filter(|w| w.out.is_none()).count() == 1 {
            Why::Only
        } else if all.iter().any(|w| full(w) && w.order().0 < best.order().0) {
            Why::Spilled
        } else if first > 0 {
            Why::Kept
        } else if best.rank.is_some() && bucket.iter().any(|w| w.score < best.score) {
            Why::Preferred
        } else {
            Why::Best
        };
        (first, why)
    }

    /// Where the last choice is kept against the best.
    fn kept(&self, now: Instant, bucket: &[Weighed<'_>]) -> Option<usize> {
        let (name, since) = self.current.as_ref()?;
        let place = bucket.iter().position(|w| w.standing.name == *name)?;
        let (best, current) = (bucket.first()?, bucket.get(place)?);
        let alike = best.rank == current.rank;
        let held = now.since(*since) < self.config.route_hold;
        let close = best.score.saturating_mul(5) > current.score.saturating_mul(4);
        (alike && (held || close)).then_some(place)
    }

    /// Where a part goes that would wait for long at the first.
    fn spill(&self, bucket: &[Weighed<'_>], first: usize) -> Option<usize> {
        let from = bucket.get(first).filter(|w| w.standing.class == HealthClass::Busy)?;
        let wait = from.standing.wait.filter(|wait| *wait > self.config.spill_wait)?;
        let most = u64::try_from(self.config.spill_rtt.as_micros()).unwrap_or(u64::MAX);
        let reach = from.standing.rtt_bound.unwrap_or(0).saturating_add(most);
        let near = |w: &&(usize, &Weighed<'_>)| w.1.standing.rtt_bound.is_some_and(|r| r <= reach);
        let others = bucket.iter().enumerate().filter(|(place, _)| *place != first);
        let others = others.filter(|other| near(&other));
        let soon = |(place, w): (usize, &Weighed<'_>)| Some((w.standing.wait?, place));
        let (other, place) = others.filter_map(soon).min()?;
        (other.saturating_mul(2) <= wait).then_some(place)
    }

    fn remember(&mut self, cx: &mut Cx<'_>, chosen: &str, ask: Ask<'_>) {
        let current = self.current.as_ref().map(|(name, _)| name.as_str());
        if current == Some(chosen) {
            return;
        }
        // A job that cannot go there says nothing about those that can.
        let barred = |name: &str| ask.tried.contains(&name);
        if current.is_some_and(barred) || *ask.placement != Placement::default() {
            return;
        }
        if current.is_some() {
            cx.count(Stat::RouteSwitched);
        }
        self.current = Some((chosen.to_owned(), cx.now()));
    }
}

fn weigh<'a>(standing: &'a Standing, ask: Ask<'_>) -> Weighed<'a> {
    let load = load(standing);
    let expected = standing.expected.unwrap_or(UNKNOWN_EXPECTED);
    let score = expected.saturating_mul(load) / 1_000;
    let score = score.saturating_mul(standing.class.severity()) / 1_000;
    let score = score.saturating_mul(if standing.is_cooling { 2 } else { 1 });
    let rank = ask.placement.rank(&standing.name);
    Weighed { standing, rank, load, score, out: exclusion(standing, ask) }
}

/// How loaded it is, thousandths of an idle one.
fn load(standing: &Standing) -> u64 {
    let taken = u64::from(standing.cores.saturating_sub(standing.free));
    let used = taken.saturating_mul(500).checked_div(u64::from(standing.cores)).unwrap_or(0);
    let waiting = u64::from(standing.waiting);
    let queue = waiting.saturating_mul(300) / waiting.saturating_add(10);
    let (open, all) = standing.circuits;
    let open = u64::from(open).saturating_mul(200).checked_div(u64::from(all)).unwrap_or(0);
    1_000_u64.saturating_add(used).saturating_add(queue).saturating_add(open)
}

fn exclusion(standing: &Standing, ask: Ask<'_>) -> Option<Exclusion> {
    let unreachable = standing.reachability == Reachability::Unreachable && !standing.is_held;
    let most = ask.placement.max_rtt.map(|rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX));
    let far = most.zip(standing.rtt_bound).is_some_and(|(most, bound)| bound > most);
    [
        (ask.tried.contains(&standing.name.as_str()), Exclusion::Tried),
        (unreachable, Exclusion::Unreachable),
        (!standing.registration.is_registered() && !standing.is_held, Exclusion::Unregistered),
        (standing.class == HealthClass::Unhealthy, Exclusion::Unhealthy),
        (standing.is_draining, Exclusion::Draining),
        (standing.circuit == Circuit::Open, Exclusion::CircuitOpen),
        (far, Exclusion::TooFar),
    ]
    .into_iter()
    .find_map(|(holds, why)| holds.then_some(why))
}

/// Why a part finds no datacenter at this instant; `None` if it finds one.
pub(super) fn obstacles(standings: &[Standing], ask: Ask<'_>) -> Option<String> {
    let weighed: Vec<_> = standings.iter().map(|standing| weigh(standing, ask)).collect();
    if weighed.iter().any(|one| one.out.is_none()) {
        return None;
    }
    match nowhere(&weighed) {
        Route::Later(why) => Some(why),
        Route::To(..) | Route::Nowhere => None,
    }
}

fn nowhere(weighed: &[Weighed<'_>]) -> Route {
    let untried = weighed.iter().filter(|w| w.out != Some(Exclusion::Tried));
    let told: Vec<_> = untried
        .filter_map(|w| {
            let Standing { name, why, .. } = w.standing;
            let out = w.out?;
            let more = matches!(out, Exclusion::Unreachable | Exclusion::Unhealthy);
            let more = if more { format!(", {why}") } else { String::new() };
            Some(format!("{name}: {}{more}", out.text()))
        })
        .collect();
    if told.is_empty() { Route::Nowhere } else { Route::Later(told.join("; ")) }
}

/// The record of a choice: the chosen one is first.
fn explain(gate: NodeId, why: Why, weighed: &[Weighed<'_>]) -> Decision {
    let class = weighed.first().map(|w| w.standing.class);
    let mut candidates = BoundedVec::new();
    let mut left_out = 0u16;
    for (place, w) in weighed.iter().enumerate() {
        let verdict = match w.out {
            Some(out) => Verdict::Excluded(out),
            None if place == 0 => Verdict::Chosen,
            None if Some(w.standing.class) == class => Verdict::Next,
            None => Verdict::Fallback,
        };
        let candidate = Candidate {
            name: w.standing.name.clone(),
            class: w.standing.class,
            expected: w.standing.expected,
            load: w.load,
            rank: w.rank,
            is_cooling: w.standing.is_cooling,
            wait: w.standing.wait,
            score: w.score,
            verdict,
        };
        if candidates.push(candidate).is_err() {
            left_out = left_out.saturating_add(1);
        }
    }
    Decision { gate, why, candidates, left_out }
}

#[cfg(test)]
mod tests;
