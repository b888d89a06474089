//! Directed scenarios, written once against [`Cluster`] and run on the simulator and on real
//! processes.
//!
//! A scenario is a plain function: it does something to the cluster, waits for conditions with
//! limits, and says in words what it found wrong. It decides by outcomes and by what the target
//! server saw, never by the inside of a node. `table` lists the scenarios, `catalogue` says for
//! every number of the reference catalogue what covers it.

pub mod admission;
pub mod cancels;
pub mod catalogue;
pub mod checks;
pub mod client;
pub mod figures;
pub mod gates;
pub mod load;
pub mod managers;
pub mod models;
pub mod operations;
pub mod parts;
pub mod simulated;
pub mod table;
pub mod workers;

use std::time::Duration;

pub use catalogue::{CATALOGUE, Covered, Section};
pub use checks::{exact, judge};
pub use client::{ended, job_of, running, submitted};
pub use figures::{Figure, KILLS, gap};
pub use load::Load;
pub use models::{
    Answer, Arrival, Group, JobNumber, Link, Node, Outcome, PartOutcome, Question, Ticket, Topology,
};
pub use simulated::{Simulated, simulate};
pub use table::{SCENARIOS, Scenario};

/// How long a confirmation lasts in a scenario's cluster.
pub const TTL: Duration = Duration::from_millis(2_000);
/// How far clocks may be off, parts per million.
pub const DRIFT_PPM: u32 = 10_000;
/// How long after a plan's end a missing part is waited for.
pub const RESULT_GRACE: Duration = Duration::from_secs(4);
/// How long a lost shard waits for a spare core.
pub const REPLACE_WAIT: Duration = Duration::from_secs(2);
/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a scenario finds, in words when something is wrong.
pub type Found<T = ()> = Result<T, String>;

/// A running cluster with its target server, and the hands that break it.
pub trait Cluster {
    /// What was started.
    fn topology(&self) -> Topology;

    /// Time since the cluster was asked to start.
    fn now(&self) -> Duration;

    /// Whether time passes exactly as written, so that bounds on it may be asserted.
    fn is_exact(&self) -> bool;

    /// Lets so much time pass.
    ///
    /// # Errors
    /// A promise was seen to be broken meanwhile; the cluster is of no further use.
    fn pass(&mut self, span: Duration) -> Found;

    /// Asks one gate once; nothing is retried.
    fn ask(&mut self, gate: u16, question: Question) -> Ticket;

    /// The answer, once it is there; a gate that stays silent for 5 s gives [`Answer::Silent`].
    fn answer(&mut self, ticket: Ticket) -> Option<Answer>;

    /// Who leads a group, as far as its members say; `None` if nobody or more than one does.
    fn leader_of(&mut self, group: Group) -> Option<Node>;

    /// The gate that owns a job, if somebody knows it.
    fn owner_of(&mut self, job: JobNumber) -> Option<Node>;

    /// Whether the process lives.
    fn is_up(&mut self, node: Node) -> bool;

    /// Ends a process at once; nothing that it did not write survives.
    fn kill(&mut self, node: Node);

    /// Starts a process that is not up, from its disk.
    fn start(&mut self, node: Node);

    /// A process stands still.
    fn pause(&mut self, node: Node);

    /// A paused process goes on.
    fn resume(&mut self, node: Node);

    /// Asks a process to leave in good order, as SIGTERM does; it ends by itself.
    fn drain(&mut self, node: Node);

    /// Empties the disk of a gate or manager that is not up and starts it in the old one's place.
    ///
    /// # Errors
    /// The node refuses to be formed so.
    fn replace(&mut self, node: Node) -> Found;

    /// Nothing that `from` sends reaches `to` any more.
    fn cut(&mut self, from: Node, to: Node);

    /// Takes every cut back.
    fn heal(&mut self);

    /// What the target server saw of the load that was submitted with this key, in order of time.
    fn served(&mut self, key: &str) -> Vec<Arrival>;

    /// What a gate says of how it copes, and where it can be measured the memory that it takes.
    fn vitals(&mut self, gate: u16) -> Vec<(String, u64)>;

    /// Says something for people to read.
    fn note(&mut self, text: &str);
}

/// Lets time pass until `done` gives something.
///
/// # Errors
/// `what` did not happen within `limit`, or a promise was broken meanwhile.
pub fn until<T>(
    cluster: &mut dyn Cluster,
    what: &str,
    limit: Duration,
    mut done: impl FnMut(&mut dyn Cluster) -> Option<T>,
) -> Found<T> {
    let deadline = cluster.now() + limit;
    loop {
        if let Some(found) = done(cluster) {
            return Ok(found);
        }
        if cluster.now() >= deadline {
            return Err(format!("not within {limit:?}: {what}"));
        }
        cluster.pass(LOOK_EVERY)?;
    }
}

/// An error unless `condition` holds.
///
/// # Errors
/// What `wrong` says.
pub fn ensure(condition: bool, wrong: impl FnOnce() -> String) -> Found {
    if condition { Ok(()) } else { Err(wrong()) }
}
