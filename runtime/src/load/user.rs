//! A virtual user: one task with one connection, executing the flow for one item after another.
//!
//! A failed request does not end its iteration: the flow goes on, as k6's does, and a value that
//! could not be captured is empty.

use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use hyperscale_core::plan::Issue;

use super::connection::{Connection, ErrorClass, Exchange, Outgoing};
use super::draw;
use super::engine::Fuse;
use super::flow::{FlowRequest, FlowStep};
use super::run::Run;
use super::template::{Hole, append_decimal};
use crate::clock::now_ns;

/// Works off the items of a slot until it is aborted.
pub(super) async fn run(run: Rc<Run>, slot: u32) {
    let _fuse = Fuse;
    let mut user = User {
        slot,
        connection: Connection::new(run.shared.clone(), run.addresses.clone()),
        captured: vec![Vec::new(); run.slice.workflow.captures as usize],
        rendered: Vec::new(),
    };
    loop {
        let issue = poll_fn(|cx| run.poll_issue(slot, cx)).await;
        user.iterate(&run, &issue).await;
        // A flow whose every request fails at once must not keep the thread from the others.
        tokio::task::coop::consume_budget().await;
    }
}

#[derive(Debug)]
struct User {
    slot: u32,
    connection: Connection,
    captured: Vec<Vec<u8>>,
    rendered: Vec<u8>,
}

impl User {
    async fn iterate(&mut self, run: &Rc<Run>, issue: &Issue) {
        self.captured.iter_mut().for_each(Vec::clear);
        let started = run.permitted().await;
        let mut due = run.due(issue);
        run.on_started(started, due);
        let mut now = started;
        for (place, step) in run.flow.steps.iter().enumerate() {
            now = match step {
                FlowStep::Think { key, bounds } => {
                    let span = draw::think(run.slice.seed, *key, issue.index, *bounds);
                    tokio::time::sleep(Duration::from_nanos(span)).await;
                    now_ns()
                }
                FlowStep::Request(request) => {
                    let at = if place == 0 { started } else { run.permitted().await };
                    self.request(run, request, issue, (at, due.take())).await
                }
            };
        }
        run.on_iteration(self.slot, started, now);
    }

    /// Sends one request, judges its response and counts it; returns when it ended.
    async fn request(
        &mut self,
        run: &Rc<Run>,
        request: &FlowRequest,
        issue: &Issue,
        (mut started, due): (u64, Option<u64>),
    ) -> u64 {
        let rendered = self.render(run, request, issue);
        let bytes = request.template.constant().unwrap_or(&self.rendered);
        let head_request = request.template.is_head();
        let out = Outgoing { bytes, head_request, retain: request.retain };
        let exchange = loop {
            run.on_request(self.slot, Some(request.ordinal));
            if !rendered {
                break Exchange::unsent(ErrorClass::Body, started);
            }
            let span = (started, started.saturating_add(request.timeout_ns));
            match self.connection.exchange(out, span, |now| run.permits(now)).await {
                Some(exchange) => break exchange,
                None => run.on_request(self.slot, None),
            }
            started = run.permitted().await;
        };
        let response = self.connection.response();
        let verdict = request.judge(exchange.result, response, &mut self.captured);
        run.on_exchange(self.slot, &exchange, &verdict, due);
        exchange.ended
    }

    /// Whether the request could be rendered; a captured value may break a header's line.
    fn render(&mut self, run: &Run, request: &FlowRequest, issue: &Issue) -> bool {
        if request.template.constant().is_some() {
            return true;
        }
        let captured = &self.captured;
        let fill = |hole, out: &mut Vec<u8>| fill(run, issue, captured, hole, out);
        let mut scratch = run.scratch.borrow_mut();
        request.template.render(&mut self.rendered, &mut scratch, fill).is_ok()
    }
}

fn fill(run: &Run, issue: &Issue, captured: &[Vec<u8>], hole: Hole, out: &mut Vec<u8>) {
    match hole {
        Hole::Index => append_decimal(out, issue.index),
        Hole::Vu => append_decimal(out, issue.vu),
        Hole::Captured(slot) => {
            out.extend_from_slice(captured.get(slot as usize).map_or(&[], Vec::as_slice));
        }
        Hole::Row { source, column } => {
            let data = run.slice.data.get(source as usize);
            let Some(data) = data.filter(|data| !data.rows.is_empty()) else { return };
            let row = draw::row(data.order, data.rows.len(), run.slice.seed, source, issue.index);
            let field = data.rows.get(row).and_then(|row| row.get(column as usize));
            out.extend_from_slice(field.map_or(&[], |field| field.as_bytes()));
        }
    }
}
