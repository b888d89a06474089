//! The nodes of a cluster behind one enum, and how each is built from a disk.

use std::vec::Drain;

use hyperscale_core::effect::Effect;
use hyperscale_core::gate::Gate;
use hyperscale_core::ids::{Boot, LogIndex, Lsn};
use hyperscale_core::input::Input;
use hyperscale_core::invariant::Violation;
use hyperscale_core::journal::Recovered;
use hyperscale_core::machine::{Role as _, Wake};
use hyperscale_core::manager::Manager;
use hyperscale_core::membership::Membership;
use hyperscale_core::node::Node;
use hyperscale_core::stat::Counters;
use hyperscale_core::time::Instant;
use hyperscale_core::worker::Worker;

use crate::case::{Case, node_id};
use crate::layout::Role;

/// One running process. There are few, and they do not move: their sizes may differ.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a handful of nodes, never moved")]
pub enum AnyNode {
    /// A gate.
    Gate(Node<Gate>),
    /// A manager.
    Manager(Node<Manager>),
    /// A worker.
    Worker(Node<Worker>),
}

macro_rules! each {
    ($node:expr, $inner:ident => $body:expr) => {
        match $node {
            AnyNode::Gate($inner) => $body,
            AnyNode::Manager($inner) => $body,
            AnyNode::Worker($inner) => $body,
        }
    };
}

impl AnyNode {
    /// Builds the node at a place of the case from what its disk holds.
    ///
    /// # Errors
    /// In words, when the role refuses the records.
    pub fn recover(case: &Case, host: u16, boot: Boot, disk: Recovered) -> Result<Self, String> {
        let id = node_id(host);
        let built = match case.layout.role(host) {
            Role::Gate => Node::recover(id, case.gate_config(host), boot, disk).map(Self::Gate),
            Role::Manager(datacenter) => {
                let config = case.manager_config(host, datacenter);
                Node::recover(id, config, boot, disk).map(Self::Manager)
            }
            Role::Worker(datacenter) => {
                let config = case.worker_config(host, datacenter);
                Node::recover(id, config, boot, disk).map(Self::Worker)
            }
        };
        built.map_err(|error| error.to_string())
    }

    /// See [`Node::step`].
    pub fn step(&mut self, now: Instant, input: Input) -> Drain<'_, Effect> {
        each!(self, node => node.step(now, input))
    }

    /// See [`Node::next_wake`].
    pub fn next_wake(&self) -> Option<Wake> {
        each!(self, node => node.next_wake())
    }

    /// See [`Node::check`].
    ///
    /// # Errors
    /// The first broken invariant.
    pub fn check(&self) -> Result<(), Violation> {
        each!(self, node => node.check())
    }

    /// Walks every invariant of the node.
    ///
    /// # Errors
    /// The first broken invariant.
    pub fn check_all(&self) -> Result<(), Violation> {
        each!(self, node => node.role().check_all())
    }

    /// See `Role::durable_digest`.
    pub fn durable_digest(&self) -> u64 {
        each!(self, node => node.role().durable_digest())
    }

    /// See `Role::ledger_digest`.
    pub fn ledger_digest(&self) -> (LogIndex, u64) {
        each!(self, node => node.role().ledger_digest())
    }

    /// Whether it may be ended without harm after `Input::Drain`.
    pub fn is_drained(&self) -> bool {
        each!(self, node => node.role().is_drained())
    }

    /// The newest append.
    pub fn appended(&self) -> Lsn {
        each!(self, node => node.appended())
    }

    /// The counters of this boot.
    pub fn stats(&self) -> &Counters {
        each!(self, node => node.stats())
    }

    /// The members it knows.
    pub fn membership(&self) -> &Membership {
        each!(self, node => node.role().membership())
    }

    /// The gate, if it is one.
    pub fn gate(&self) -> Option<&Gate> {
        if let Self::Gate(node) = self { Some(node.role()) } else { None }
    }

    /// The manager, if it is one.
    pub fn manager(&self) -> Option<&Manager> {
        if let Self::Manager(node) = self { Some(node.role()) } else { None }
    }

    /// The worker, if it is one.
    pub fn worker(&self) -> Option<&Worker> {
        if let Self::Worker(node) = self { Some(node.role()) } else { None }
    }
}
