//! What a driver can do for its node.

use hyperscale_core::api::{Reply, Update};
use hyperscale_core::effect::Permit;
use hyperscale_core::ids::{CallId, JobId, NodeId, RunId};
use hyperscale_core::plan::Slice;
use hyperscale_core::wire::Message;

/// An order to the load engine.
#[derive(Clone, PartialEq, Debug)]
pub enum EngineOrder {
    /// Get ready; answer `Prepared` or `PrepareFailed`.
    Start {
        /// The run.
        run: RunId,
        /// Its share of the plan.
        slice: Box<Slice>,
    },
    /// Issue load within these bounds.
    Permit {
        /// The run.
        run: RunId,
        /// The bounds.
        permit: Permit,
    },
    /// End; answer `Ended`.
    Stop {
        /// The run.
        run: RunId,
    },
}

/// The outside of a node. Nothing here may block: what cannot be delivered is dropped, as a network
/// would.
pub trait World {
    /// Sends a message.
    fn send(&mut self, to: NodeId, msg: Box<Message>);
    /// Answers a client's call.
    fn reply(&mut self, call: CallId, reply: Box<Reply>);
    /// Tells the watchers of a job.
    fn publish(&mut self, job: JobId, update: Box<Update>);
    /// Orders the engine.
    fn order(&mut self, order: EngineOrder);
}
