//! Since when each gate has been out of reach of a majority: by the cuts alone, whoever lives.
//!
//! A gate that reaches no majority, or that no majority reaches, since before a question came
//! cannot have had that question committed: what it said went nowhere, or no answer came back.

use crate::layout::Layout;
use crate::network::Network;

/// By gate.
#[derive(Clone, Debug)]
pub struct Reach {
    gates: u16,
    /// Since when it reaches no majority, however many steps it takes.
    out: Vec<Option<u64>>,
    /// Since when no majority reaches it.
    back: Vec<Option<u64>>,
}

impl Reach {
    /// Everyone reaches everyone.
    pub fn new(layout: Layout) -> Self {
        let gates = layout.gates().end;
        Self { gates, out: vec![None; usize::from(gates)], back: vec![None; usize::from(gates)] }
    }

    /// Links were cut or healed.
    pub fn on_links(&mut self, now: u64, network: &Network) {
        for gate in 0..self.gates {
            let out = self.count(gate, |from, to| !network.is_cut(from, to));
            let back = self.count(gate, |from, to| !network.is_cut(to, from));
            for (since, reached) in [(&mut self.out, out), (&mut self.back, back)] {
                let since = &mut since[usize::from(gate)];
                if reached > self.gates / 2 {
                    *since = None;
                } else {
                    since.get_or_insert(now);
                }
            }
        }
    }

    /// Since when a gate has had no way to a majority, or no way back.
    pub fn alone_since(&self, gate: u16) -> Option<u64> {
        let place = usize::from(gate);
        let (out, back) = (self.out.get(place)?, self.back.get(place)?);
        [*out, *back].into_iter().flatten().min()
    }

    /// Gates that can be reached, this one included.
    fn count(&self, gate: u16, open: impl Fn(u16, u16) -> bool) -> u16 {
        let mut reached = vec![gate];
        let mut next = 0;
        while let Some(from) = reached.get(next).copied() {
            next += 1;
            for to in 0..self.gates {
                if !reached.contains(&to) && open(from, to) {
                    reached.push(to);
                }
            }
        }
        reached.len() as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Weather;
    use crate::streams::Streams;

    #[test]
    fn a_bridge_is_a_way_and_a_one_way_link_is_none_back() {
        let mut network = Network::new(Streams::new(1), 3, Weather::default());
        let mut reach = Reach::new(Layout::new(3, &[]));
        network.cut(0, 1);
        network.cut(1, 0);
        reach.on_links(5, &network);
        assert_eq!([0, 1, 2].map(|gate| reach.alone_since(gate)), [None; 3]);
        network.cut(2, 0);
        reach.on_links(7, &network);
        network.cut(1, 2);
        reach.on_links(9, &network);
        assert_eq!([0, 1, 2].map(|gate| reach.alone_since(gate)), [Some(7), Some(9), None]);
        network.heal_all();
        reach.on_links(11, &network);
        assert_eq!(reach.alone_since(0), None);
    }
}
