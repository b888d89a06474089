//! Identifiers. Every id is a newtype with a private field and a short `Debug`, so that logs and
//! golden files read well and no two kinds can be mixed up.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        pub struct $name($inner);

        impl $name {
            /// Wraps a raw number.
            pub const fn new(raw: $inner) -> Self {
                Self(raw)
            }
            /// The raw number.
            pub const fn get(self) -> $inner {
                self.0
            }
            /// The following id, saturating.
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self, f)
            }
        }
    };
}

id!(
    /// A cluster: gates, managers and workers that belong together.
    ClusterId(u64),
    "c"
);
id!(
    /// A node of a cluster, unique over its roles.
    NodeId(u64),
    "n"
);
id!(
    /// One life of a node's process: drawn at every start.
    BootId(u64),
    "b"
);
id!(
    /// A disk, written once when the node joins.
    DiskId(u64),
    "d"
);
id!(
    /// A consensus group, drawn when it is formed.
    GroupId(u64),
    "g"
);
id!(
    /// A term of a group's leadership.
    Term(u64),
    "t"
);
id!(
    /// A position in a group's log; the first entry is 1.
    LogIndex(u64),
    "i"
);
id!(
    /// A position in a node's local journal; the first record is 1, 0 is "nothing".
    Lsn(u64),
    "l"
);
id!(
    /// A job: the position of its creation in the gates' log.
    JobId(u64),
    "j"
);
id!(
    /// A workflow by its place in the plan.
    WorkflowIx(u16),
    "w"
);
id!(
    /// A shard of a workflow by its place in the split.
    ShardIx(u16),
    "s"
);
id!(
    /// A part of a job: its share for one datacenter, by its place in the placement.
    PartIx(u16),
    "p"
);
id!(
    /// A client's call that waits for its reply; chosen by the driver, unique per boot.
    CallId(u64),
    "call"
);

/// The position of a granting record in its group's log. Never reused, totally ordered within a
/// group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Fence {
    /// Who granted.
    pub group: GroupId,
    /// Where the grant stands in that group's log.
    pub index: LogIndex,
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "f{}", self.index.get())
    }
}

/// A shard of a workflow: the resource that at most one run may work on at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardId {
    /// The job.
    pub job: JobId,
    /// The workflow within the job.
    pub workflow: WorkflowIx,
    /// The shard within the workflow.
    pub shard: ShardIx,
}

impl fmt::Debug for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.job, self.workflow, self.shard)
    }
}

/// One assignment of a shard to a worker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunId {
    /// What is worked on.
    pub shard: ShardId,
    /// The assignment's place in the manager ledger.
    pub fence: Fence,
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}#{:?}", self.shard, self.fence)
    }
}

/// A job's share for one datacenter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartId {
    /// The job.
    pub job: JobId,
    /// The part within the job.
    pub part: PartIx,
}

impl fmt::Debug for PartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.job, self.part)
    }
}

/// One life of a node: who it is and what it may draw from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Boot {
    /// This life.
    pub id: BootId,
    /// Entropy from outside; every random stream of this boot derives from it.
    pub entropy: u64,
    /// The disk it lives on; of a node without one, 0.
    pub disk: DiskId,
}
