//! The longest chain of workflows that wait for each other.

use std::time::Duration;

use super::Plan;

impl Plan {
    /// How long the plan takes when workflow `ix` takes `takes(ix)` and starts once those before it
    /// have ended.
    pub fn longest_chain(&self, takes: impl Fn(usize) -> Duration) -> Duration {
        let mut ends = vec![Duration::ZERO; self.workflows.len()];
        // One round settles at least one more link of every chain.
        for _ in 0..ends.len() {
            for (ix, workflow) in self.workflows.iter().enumerate() {
                let after = workflow.after.iter().filter_map(|a| ends.get(usize::from(a.get())));
                let end = after.max().copied().unwrap_or_default().saturating_add(takes(ix));
                if let Some(slot) = ends.get_mut(ix) {
                    *slot = end;
                }
            }
        }
        ends.into_iter().max().unwrap_or_default()
    }
}
