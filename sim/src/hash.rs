//! The trace hash: a chained digest over (time, node, input, effects) of every step, always on.
//!
//! Two runs of a seed with the same build must end with the same hash (seed-determinism). The
//! digests are the core's own: fixed width, no floats. A message is digested once, when it is sent,
//! and the digest travels with it.

use hyperscale_core::digest::Digest;
use hyperscale_core::effect::Effect;
use hyperscale_core::input::Input;

/// The running hash of one simulation.
#[derive(Clone, Debug, Default)]
pub struct TraceHash {
    digest: Digest,
    steps: u64,
}

impl TraceHash {
    /// A step begins: who takes which input when. `time` is true time in nanoseconds.
    pub fn step(&mut self, time: u64, node: u64, input: u64) {
        self.digest.u64(time);
        self.digest.u64(node);
        self.digest.u64(input);
        self.steps += 1;
    }

    /// An effect of the step.
    pub fn effect(&mut self, effect: u64) {
        self.digest.u64(effect);
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The hash of everything so far.
    pub fn value(&self) -> u64 {
        self.digest.finish()
    }
}

/// The digest of an input whose content was not digested before.
pub fn input_digest(input: &Input) -> u64 {
    hyperscale_core::digest::of(input)
}

/// The digest of an effect; `content` is what [`content_digest`] gave for it.
pub fn effect_digest(effect: &Effect, content: u64) -> u64 {
    let mut digest = Digest::new();
    let (tag, a, b) = match effect {
        Effect::Append { lsn, .. } => (1, lsn.get(), 0),
        Effect::Checkpoint { upto, .. } => (2, upto.get(), 0),
        Effect::Send { to, after, .. } => (3, to.get(), after.get()),
        Effect::Reply { call, after, .. } => (4, call.get(), after.get()),
        Effect::Publish { job, after, .. } => (5, job.get(), after.get()),
        Effect::Start { run, after, .. } => (6, run.fence.index.get(), after.get()),
        Effect::Permit { permit, after, .. } => (7, permit.until.as_nanos(), after.get()),
        Effect::Stop { run } => (8, run.fence.index.get(), 0),
        Effect::Halt { violation } => (9, violation.inv as u64, 0),
    };
    for word in [tag, a, b, content] {
        digest.u64(word);
    }
    digest.finish()
}

/// The digest of what an effect carries.
pub fn content_digest(effect: &Effect) -> u64 {
    use hyperscale_core::digest::of;
    match effect {
        Effect::Append { record, .. } => of(record),
        Effect::Checkpoint { snapshot, .. } => of(snapshot),
        Effect::Send { msg, .. } => of(msg),
        Effect::Reply { reply, .. } => of(reply),
        Effect::Publish { update, .. } => of(update),
        Effect::Start { run, slice, .. } => of(&(run, slice)),
        Effect::Permit { run, permit, .. } => of(&(run, permit.ceiling, permit.zero.as_nanos())),
        Effect::Stop { run } => of(run),
        Effect::Halt { violation } => of(violation.detail.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyperscale_core::ids::Lsn;

    #[test]
    fn every_part_of_a_step_counts() {
        let hash = |time, node, input: &Input| {
            let mut hash = TraceHash::default();
            hash.step(time, node, input_digest(input));
            hash.value()
        };
        let base = hash(1, 2, &Input::Wake);
        assert_eq!(base, hash(1, 2, &Input::Wake));
        assert_ne!(base, hash(2, 2, &Input::Wake));
        assert_ne!(base, hash(1, 3, &Input::Wake));
        assert_ne!(base, hash(1, 2, &Input::Durable(Lsn::new(0))));
    }
}
