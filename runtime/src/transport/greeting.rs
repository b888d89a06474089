//! The first frame each way on a connection: who is there.

use std::fmt;

use hyperscale_core::ids::{BootId, ClusterId, NodeId};
use serde::{Deserialize, Serialize};

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RoleName {
    /// Takes jobs.
    Gate,
    /// Schedules a datacenter.
    Manager,
    /// Generates load.
    Worker,
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gate => "gate",
            Self::Manager => "manager",
            Self::Worker => "worker",
        })
    }
}

/// Who one side is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its role.
    pub role: RoleName,
    /// Its node.
    pub node: NodeId,
    /// Its life.
    pub boot: BootId,
    /// Its build, for operators.
    pub build: String,
}

/// What goes over the wire first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Greeting {
    /// I am this; be welcome.
    Hello(Hello),
    /// You are not welcome; the connection closes.
    Refused {
        /// Why, with both values.
        reason: String,
    },
}

/// Why a peer is not talked to. Nothing it said reached the node.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GreetingError {
    /// The peer belongs to another cluster.
    #[error("cluster {theirs} is not this cluster, {ours}")]
    Cluster {
        /// Its cluster.
        theirs: ClusterId,
        /// Our cluster.
        ours: ClusterId,
    },
    /// The peer's role has no business here.
    #[error("a {theirs} may not talk to a {ours} here")]
    Role {
        /// Its role.
        theirs: RoleName,
        /// Our role.
        ours: RoleName,
    },
    /// Another node answers at this address.
    #[error("node {found} answers where node {expected} is configured")]
    Node {
        /// Who answered.
        found: NodeId,
        /// Who was expected.
        expected: NodeId,
    },
    /// The peer refused us.
    #[error("refused by the peer: {0}")]
    Refused(String),
    /// The peer did not greet in time or not in our protocol.
    #[error("no greeting: {0}")]
    Silent(String),
}

impl Hello {
    /// Whether `self` talks to `peer`; `expected` is the node that was dialled.
    ///
    /// # Errors
    /// The first mismatch, with both values.
    pub fn accept(&self, peer: &Hello, expected: Option<NodeId>) -> Result<(), GreetingError> {
        if peer.cluster != self.cluster {
            return Err(GreetingError::Cluster { theirs: peer.cluster, ours: self.cluster });
        }
        let talks = match (self.role, peer.role) {
            (RoleName::Gate, RoleName::Manager)
            | (RoleName::Manager, RoleName::Gate | RoleName::Worker)
            | (RoleName::Worker, RoleName::Manager) => true,
            (RoleName::Gate, RoleName::Gate | RoleName::Worker)
            | (RoleName::Manager, RoleName::Manager)
            | (RoleName::Worker, RoleName::Gate | RoleName::Worker) => false,
        };
        if !talks {
            return Err(GreetingError::Role { theirs: peer.role, ours: self.role });
        }
        match expected {
            Some(expected) if expected != peer.node => {
                Err(GreetingError::Node { found: peer.node, expected })
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(cluster: u64, role: RoleName, node: u64) -> Hello {
        Hello {
            cluster: ClusterId::new(cluster),
            role,
            node: NodeId::new(node),
            boot: BootId::new(1),
            build: String::new(),
        }
    }

    #[test]
    fn mismatches_name_both_values() {
        let me = hello(1, RoleName::Manager, 10);
        assert_eq!(me.accept(&hello(1, RoleName::Worker, 20), None), Ok(()));
        let other = me.accept(&hello(2, RoleName::Worker, 20), None).unwrap_err();
        assert_eq!(other.to_string(), "cluster c2 is not this cluster, c1");
        let role = me.accept(&hello(1, RoleName::Manager, 20), None).unwrap_err();
        assert_eq!(role.to_string(), "a manager may not talk to a manager here");
        let node = me.accept(&hello(1, RoleName::Gate, 20), Some(NodeId::new(21))).unwrap_err();
        assert_eq!(node.to_string(), "node n20 answers where node n21 is configured");
    }
}
