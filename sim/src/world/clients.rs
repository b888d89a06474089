//! Clients act, and hear.

use super::World;
use crate::network::{Cargo, Flight};
use crate::patron::Question;
use crate::queue::Event;
use hyperscale_core::api::Reply;

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
