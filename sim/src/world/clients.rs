//! Clients act, and hear.

use hyperscale_core::api::{Command, Reply, Tenant};
use hyperscale_core::ids::WorkflowIx;

use super::World;
use crate::jobs::{Aside, Wish};
use crate::network::{Cargo, Flight};
use crate::patron::Question;
use crate::queue::Event;

impl World {
    /// A client wanted to act at this time.
    pub(super) fn on_client(&mut self, client: u16, wish: u32) {
        let now = self.now;
        let patron = &mut self.patrons[usize::from(client)];
        if wish != 0 && patron.wish.is_none_or(|(_, current)| current != wish) {
            return;
        }
        patron.wish = None;
        let due = patron.next_wake().is_some_and(|at| at <= now);
        let question = if due { patron.act(now) } else { None };
        self.on_question(client, question);
    }

    /// Somebody else asks every gate about a client's job, if that is known.
    pub(super) fn on_aside(&mut self, index: u32) {
        let Aside { client, what, .. } = self.case.asides[index as usize];
        let patron = &self.patrons[usize::from(client)];
        let Some(job) = patron.job else { return };
        let workflow = |ix: WorkflowIx| {
            let planned = patron.spec.plan.workflows.get(usize::from(ix.get()));
            planned.map_or_else(String::new, |planned| planned.name.clone())
        };
        let command = match what {
            Wish::Stats(width) => Command::Stats { job, width },
            Wish::Explain => Command::Explain(job),
            Wish::Watch => Command::Watch { job, after: 0 },
            Wish::Stop(ix) => Command::CancelWorkflow { job, workflow: workflow(ix) },
        };
        self.trace(self.case.hosts() + client, || format!("asks aside {command:?}"));
        for gate in self.case.layout.gates() {
            if self.hosts[usize::from(gate)].is_awake() {
                self.interject(gate, Tenant::truncated("aside"), command.clone());
            }
        }
    }

    /// A gate's answer arrived at a client's place.
    pub(super) fn on_reply(&mut self, place: u16, number: u64, reply: Reply) {
        let client = place - self.case.hosts();
        if let Some(replies) = self.replies.as_mut() {
            replies.push((number, reply));
            return;
        }
        let now = self.now;
        self.trace(place, || format!("hears {reply:?}"));
        let question = self.patrons[usize::from(client)].hear(now, number, reply);
        self.on_question(client, question);
    }

    fn on_question(&mut self, client: u16, question: Option<Question>) {
        let place = self.case.hosts() + client;
        if let Some((number, command)) = question {
            self.trace(place, || format!("asks {command:?}"));
            let digest = hyperscale_core::digest::of(&command);
            let to = self.patrons[usize::from(client)].gate;
            let cargo = Cargo::Call(number, command);
            self.ship(Flight { from: place, to, cargo, digest });
        }
        let patron = &mut self.patrons[usize::from(client)];
        let Some(at) = patron.next_wake() else { return };
        let at = at.max(self.now);
        if patron.wish.is_some_and(|(planned, _)| planned <= at) {
            return;
        }
        patron.wishes += 1;
        patron.wish = Some((at, patron.wishes));
        self.queue.push(at, Event::Client { client, wish: patron.wishes });
    }
}
