//! Since when each gate has been out of reach of a majority: by the cuts alone, whoever lives.
//!
//! Cuts come and go: a gate that reaches one peer now and another a little later has reached both.
//! A gate is alone since the earliest instant after which the links that were ever open lead it to
//! no majority, or no majority to it. What was asked of it since then cannot have been committed:
//! what it said went nowhere, or no answer came back.

use crate::layout::Layout;
use crate::network::Network;

/// When each directed link between gates was cut last; `None` while it is open.
#[derive(Clone, Debug)]
pub struct Reach {
    gates: u16,
    cut_at: Vec<Option<u64>>,
}

impl Reach {
    /// Everyone reaches everyone.
    pub fn new(layout: Layout) -> Self {
        let gates = layout.gates().end;
        Self { gates, cut_at: vec![None; usize::from(gates) * usize::from(gates)] }
    }

    /// Links were cut or healed.
    pub fn on_links(&mut self, now: u64, network: &Network) {
        for from in 0..self.gates {
            for to in 0..self.gates {
                let link = self.link(from, to);
                let since = self.cut_at[link];
                self.cut_at[link] = network.is_cut(from, to).then(|| since.unwrap_or(now));
            }
        }
    }

    /// Since when a gate has had no way to a majority, or no way back.
    pub fn alone_since(&self, gate: u16) -> Option<u64> {
        let mut cuts: Vec<u64> = self.cut_at.iter().copied().flatten().collect();
        cuts.sort_unstable();
        cuts.dedup();
        cuts.into_iter().find(|since| {
            let open = |from, to| self.cut_at[self.link(from, to)].is_none_or(|at| at > *since);
            let out = self.count(gate, open);
            let back = self.count(gate, |from, to| open(to, from));
            out.min(back) <= self.gates / 2
        })
    }

    fn link(&self, from: u16, to: u16) -> usize {
        usize::from(from) * usize::from(self.gates) + usize::from(to)
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

    #[test]
    fn peers_that_are_reached_in_turn_are_all_reached() {
        let mut network = Network::new(Streams::new(1), 5, Weather::default());
        let mut reach = Reach::new(Layout::new(5, &[]));
        for peer in [1, 2, 3] {
            network.cut(0, peer);
        }
        reach.on_links(5, &network);
        assert_eq!(reach.alone_since(0), None, "by way of the open one");
        for peer in [1, 2, 3] {
            network.cut(4, peer);
        }
        reach.on_links(7, &network);
        assert_eq!(reach.alone_since(0), Some(7));
        network.heal(0, 1);
        for peer in [2, 3, 4] {
            network.cut(1, peer);
        }
        network.cut(0, 4);
        reach.on_links(9, &network);
        assert_eq!(reach.alone_since(0), Some(9), "1 is reached now, 4 was until 9");
    }
}
