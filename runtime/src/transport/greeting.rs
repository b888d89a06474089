//! The first frame each way on a connection: who is there.
//!
//! The protocol's version is in the frame's header and nowhere else. A later minor adds fields of a
//! greeting at its end, where an older one does not look.

use std::fmt;

use hyperscale_core::ids::{BootId, ClusterId, DiskId, NodeId};
use hyperscale_core::wire::version::{Features, Version};
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
    /// The datacenter that it schedules (manager only).
    pub datacenter: Option<String>,
    /// Its disk; 0 without one.
    pub disk: DiskId,
    /// Its life.
    pub boot: BootId,
    /// Its build, for operators.
    pub build: String,
    /// Its environment: nodes of another do not talk to it.
    pub environment: String,
    /// What it can do.
    pub features: Features,
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
    /// The peer speaks another major version.
    #[error("protocol version {found} cannot talk to {ours}")]
    Version {
        /// Its version.
        found: Version,
        /// Our version.
        ours: Version,
    },
    /// The peer belongs to another environment.
    #[error("environment {theirs:?} is not this environment, {ours:?}")]
    Environment {
        /// Its environment.
        theirs: String,
        /// Our environment.
        ours: String,
    },
    /// The peer's role has no business here.
    #[error("a {theirs} may not talk to a {ours} here")]
    Role {
        /// Its role.
        theirs: RoleName,
        /// Our role.
        ours: RoleName,
    },
    /// The peer schedules another datacenter.
    #[error("a manager of {theirs:?} may not talk to a manager of {ours:?}")]
    Datacenter {
        /// Its datacenter.
        theirs: String,
        /// Our datacenter.
        ours: String,
    },
    /// The peer says that it is this node.
    #[error("{node} is this node: two nodes have one number, or a node is its own peer")]
    Itself {
        /// The node.
        node: NodeId,
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
        if peer.environment != self.environment {
            let (theirs, ours) = (peer.environment.clone(), self.environment.clone());
            return Err(GreetingError::Environment { theirs, ours });
        }
        let talks = match (self.role, peer.role) {
            (RoleName::Gate, RoleName::Gate | RoleName::Manager)
            | (RoleName::Manager, RoleName::Gate | RoleName::Manager | RoleName::Worker)
            | (RoleName::Worker, RoleName::Manager) => true,
            (RoleName::Gate, RoleName::Worker)
            | (RoleName::Worker, RoleName::Gate | RoleName::Worker) => false,
        };
        if !talks {
            return Err(GreetingError::Role { theirs: peer.role, ours: self.role });
        }
        if let (Some(theirs), Some(ours)) = (&peer.datacenter, &self.datacenter)
            && theirs != ours
        {
            let (theirs, ours) = (theirs.clone(), ours.clone());
            return Err(GreetingError::Datacenter { theirs, ours });
        }
        if peer.node == self.node {
            return Err(GreetingError::Itself { node: peer.node });
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
            datacenter: (role == RoleName::Manager).then(|| "a".to_owned()),
            disk: DiskId::new(node),
            boot: BootId::new(1),
            build: String::new(),
            environment: "default".to_owned(),
            features: Features::of_minor(1),
        }
    }

    #[test]
    fn gates_and_managers_form_groups_and_workers_talk_to_managers_alone() {
        const ROLES: [RoleName; 3] = [RoleName::Gate, RoleName::Manager, RoleName::Worker];
        let talks = ROLES.map(|ours| {
            ROLES.map(|theirs| hello(1, ours, 1).accept(&hello(1, theirs, 2), None).is_ok())
        });
        assert_eq!(talks, [[true, true, false], [true, true, true], [false, true, false]]);
    }

    #[test]
    fn mismatches_name_both_values() {
        let me = hello(1, RoleName::Manager, 10);
        let refused = |peer: Hello, expected: Option<u64>| {
            me.accept(&peer, expected.map(NodeId::new)).unwrap_err().to_string()
        };
        let other = hello(2, RoleName::Worker, 20);
        assert_eq!(refused(other, None), "cluster c2 is not this cluster, c1");
        let prod = Hello { environment: "prod".to_owned(), ..hello(1, RoleName::Worker, 20) };
        let expected = "environment \"prod\" is not this environment, \"default\"";
        assert_eq!(refused(prod, None), expected);
        let gate = hello(1, RoleName::Gate, 20);
        assert_eq!(refused(gate, Some(21)), "node n20 answers where node n21 is configured");
        let there = Hello { datacenter: Some("b".to_owned()), ..hello(1, RoleName::Manager, 11) };
        let expected = "a manager of \"b\" may not talk to a manager of \"a\"";
        assert_eq!(refused(there, None), expected);
        assert!(refused(hello(1, RoleName::Manager, 10), None).starts_with("n10 is this node"));
        let role = hello(1, RoleName::Worker, 1).accept(&hello(1, RoleName::Gate, 2), None);
        assert_eq!(role.unwrap_err().to_string(), "a gate may not talk to a worker here");
    }
}
