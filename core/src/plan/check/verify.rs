//! What must hold of a checked plan, whoever made it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::limits;
use crate::plan::{
    Capture, CaptureFrom, DataSource, Executor, OnGateLoss, Piece, Plan, PlanError, Rate,
    RequestStep, Step, Template, Workflow,
};
use crate::wire::codec;

use super::at::At;
use super::{data, datacenters, order, placement, text, threshold};

impl Plan {
    /// Judges a plan that a peer sent as strictly as one that was read from a file.
    ///
    /// # Errors
    /// The first thing that is wrong with it, with the path it would have in a file.
    pub fn check_again(&self) -> Result<(), PlanError> {
        let root = At::ROOT;
        let at = root;
        text::label(&self.name, &at.key("name"))?;
        base_url(&self.base_url, &at.key("base_url"))?;
        data::verify(&self.data, &at.key("data"))?;
        datacenters::verify(self, &at.key("datacenters"))?;
        placement::verify(self, &at.key("placement"))?;
        let workflows_at = at.key("workflows");
        workflows_at.ensure(!self.workflows.is_empty(), "there is no workflow")?;
        let mut names = BTreeMap::new();
        for workflow in &self.workflows {
            let at = workflows_at.key(&workflow.name);
            text::name(&workflow.name, &at)?;
            text::unique(&mut names, &workflow.name, &at)?;
            executor(&workflow.executor, &at)?;
            datacenters::enough(&workflow.executor, self.datacenters.count(), &at)?;
            span(workflow.graceful_stop, &at.key("graceful_stop"))?;
            flow(workflow, &self.data, &at.key("flow"))?;
            retries(workflow.retries, limits::WORKFLOW_RETRIES_MAX, &at)?;
        }
        let requests = |workflow: &Workflow| {
            workflow.flow.iter().filter(|step| matches!(step, Step::Request(_))).count()
        };
        let steps: usize = self.workflows.iter().map(requests).sum();
        workflows_at.ensure(
            steps <= limits::STEPS_ALL_MAX,
            format_args!("{steps} requests in all flows, at most {}", limits::STEPS_ALL_MAX),
        )?;
        order::verify(&self.workflows, &workflows_at)?;
        threshold::verify(self, &at.key("thresholds"))?;
        if let OnGateLoss::StopAfter(after) = self.on_gate_loss {
            let at = at.key("on_gate_loss");
            positive(after, &at.key("stop_after"))?;
        }
        if let Some(timeout) = self.timeout {
            positive(timeout, &at.key("timeout"))?;
        }
        retries(self.retries, limits::JOB_RETRIES_MAX, &at)?;
        let size = codec::encode(self, limits::PLAN_BYTES_MAX);
        root.ensure(
            size.is_ok(),
            format_args!("the plan with its rows has more than {} bytes", limits::PLAN_BYTES_MAX),
        )
    }
}

/// `demo` or `http://host[:port][/prefix]`.
pub(super) fn base_url(url: &str, at: &At<'_>) -> Result<(), PlanError> {
    if url == "demo" {
        return Ok(());
    }
    if url.starts_with("https://") {
        return Err(at.error("`https://` is not built yet").with_hint("write `http://`"));
    }
    let wrong = || at.error("not a base URL").with_hint("write `http://host:port` or `demo`");
    let rest = url.strip_prefix("http://").ok_or_else(wrong)?;
    let (authority, prefix) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let (host, port) = match authority.strip_prefix('[') {
        Some(inner) => {
            let (host, port) = inner.split_once(']').ok_or_else(wrong)?;
            host.parse::<core::net::Ipv6Addr>().map_err(|_| wrong())?;
            (host, port)
        }
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port_ok = port.is_empty()
        || port.strip_prefix(':').is_some_and(|digits| {
            digits.bytes().all(|b| b.is_ascii_digit())
                && digits.parse::<u16>().is_ok_and(|port| port != 0)
        });
    let named = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    let host_ok = !host.is_empty() && host.chars().all(named);
    let prefix_ok = prefix.chars().all(|c| is_target_char(c) && c != '?');
    if port_ok && host_ok && prefix_ok { Ok(()) } else { Err(wrong()) }
}

fn is_target_char(c: char) -> bool {
    c > ' ' && !c.is_control() && c != '#'
}

fn span(span: Duration, at: &At<'_>) -> Result<(), PlanError> {
    let days = limits::DURATION_MAX_SECS / 86_400;
    let holds = span <= Duration::from_secs(limits::DURATION_MAX_SECS);
    at.ensure(holds, format_args!("longer than {days} days"))
}

fn retries(number: u8, most: u8, at: &At<'_>) -> Result<(), PlanError> {
    at.key("retries").ensure(number <= most, format_args!("at most {most} are allowed"))
}

fn positive(duration: Duration, at: &At<'_>) -> Result<(), PlanError> {
    at.above_zero(!duration.is_zero())?;
    span(duration, at)
}

fn vus(vus: u32, at: &At<'_>) -> Result<(), PlanError> {
    at.above_zero(vus > 0)?;
    at.ensure(vus <= limits::VUS_MAX, format_args!("at most {} are allowed", limits::VUS_MAX))
}

fn executor(executor: &Executor, at: &At<'_>) -> Result<(), PlanError> {
    match executor {
        Executor::ConstantVus { vus: number, duration } => {
            vus(*number, &at.key("vus"))?;
            positive(*duration, &at.key("duration"))
        }
        Executor::PerVuIterations { vus: number, iterations, max_duration } => {
            vus(*number, &at.key("vus"))?;
            let iterations_at = at.key("iterations");
            iterations_at.above_zero(*iterations > 0)?;
            let all = u64::from(*number).checked_mul(*iterations);
            iterations_at.ensure(all.is_some(), "too many for all VUs together")?;
            positive(*max_duration, &at.key("max_duration"))
        }
        Executor::SharedIterations { vus: number, iterations, max_duration } => {
            vus(*number, &at.key("vus"))?;
            at.key("iterations").above_zero(*iterations > 0)?;
            positive(*max_duration, &at.key("max_duration"))
        }
        Executor::ConstantArrivalRate { rate: given, duration, max_vus } => {
            rate(given, at)?;
            positive(*duration, &at.key("duration"))?;
            vus(*max_vus, &at.key("max_vus"))
        }
    }
}

fn rate(rate: &Rate, at: &At<'_>) -> Result<(), PlanError> {
    let rate_at = at.key("rate");
    rate_at.above_zero(rate.count > 0)?;
    rate_at.ensure(!rate.unit.is_zero(), "its unit must be above zero")?;
    span(rate.unit, &rate_at)?;
    let max = limits::RATE_PER_SECOND_MAX;
    // Both sides in arrivals times nanoseconds: nothing is divided.
    let per_second = u128::from(rate.count).saturating_mul(1_000_000_000);
    let holds = per_second <= rate.unit.as_nanos().saturating_mul(u128::from(max));
    rate_at.ensure(holds, format_args!("at most {max} per second are allowed"))
}

fn flow(workflow: &Workflow, data: &[DataSource], at: &At<'_>) -> Result<(), PlanError> {
    let mut scope = Scope { data, slots: workflow.captures, captured: BTreeSet::new() };
    let mut names = BTreeMap::new();
    for (place, step) in workflow.flow.iter().enumerate() {
        let at = at.index(place);
        match step {
            Step::Think { min, max } => {
                let at = at.key("think");
                at.ensure(min <= max, "the longest pause is shorter than the shortest")?;
                span(*max, &at)?;
            }
            Step::Request(step) => {
                text::label(&step.name, &at.key("name"))?;
                let twice = format!("two steps are called `{}`", step.name);
                let unique = at.ensure(names.insert(step.name.as_str(), ()).is_none(), twice);
                unique.map_err(|error| error.with_hint("give one of them another `name`"))?;
                request(step, &mut scope, &at)?;
            }
        }
    }
    // Without a request an iteration may take no time at all.
    at.ensure(!names.is_empty(), "there is no request")?;
    let used = scope.captured.len() == usize::from(workflow.captures);
    at.ensure(used, "slots and captures differ")
}

/// What the templates of a step may refer to.
struct Scope<'a> {
    data: &'a [DataSource],
    slots: u16,
    captured: BTreeSet<u16>,
}

fn request(step: &RequestStep, scope: &mut Scope<'_>, at: &At<'_>) -> Result<(), PlanError> {
    let upper = !step.method.chars().any(|c| c.is_ascii_lowercase());
    let method_ok = text::is_token(&step.method) && upper && step.method != "CONNECT";
    at.key("method").ensure(method_ok, "not a method")?;
    let url_at = at.key(field_of(&step.method));
    let rooted = matches!(step.target.0.first(), Some(Piece::Text(text)) if text.starts_with('/'));
    url_at.ensure(rooted, "a path starts with `/`")?;
    let plain = text::all_written(&step.target, is_target_char);
    url_at.ensure(plain, "a path has no space, `#` or control character")?;
    holes(&step.target, scope, &url_at)?;
    headers(step, scope, &at.key("headers"))?;
    if let Some(body) = &step.body {
        holes(&body.text, scope, &at.key("body"))?;
    }
    expect(step, &at.key("expect"))?;
    for found in &step.captures {
        capture(found, scope, &at.key("capture"))?;
    }
    positive(step.timeout, &at.key("timeout"))
}

/// The shortcut that such a step has in a file.
fn field_of(method: &str) -> &'static str {
    let fields = ["get", "post", "put", "patch", "delete", "head", "options"];
    fields.into_iter().find(|field| field.eq_ignore_ascii_case(method)).unwrap_or("url")
}

fn headers(step: &RequestStep, scope: &Scope<'_>, at: &At<'_>) -> Result<(), PlanError> {
    for (name, value) in &step.headers {
        let at = at.key(name);
        at.ensure(text::is_token(name), "not the name of a header")?;
        let reserved = ["content-length", "transfer-encoding"];
        let reserved = reserved.iter().any(|reserved| name.eq_ignore_ascii_case(reserved));
        at.ensure(!reserved, "this header is computed for every request")?;
        let plain = text::all_written(value, |c| !matches!(c, '\r' | '\n' | '\0'));
        at.ensure(plain, "a header has no line break")?;
        holes(value, scope, &at)?;
    }
    Ok(())
}

fn expect(step: &RequestStep, at: &At<'_>) -> Result<(), PlanError> {
    let at = at.key("status");
    for (first, last) in &step.expect_status {
        let codes = 100..=599;
        let holds = first <= last && codes.contains(first) && codes.contains(last);
        at.ensure(holds, "status codes go up from 100 to 599")?;
    }
    Ok(())
}

fn capture(capture: &Capture, scope: &mut Scope<'_>, at: &At<'_>) -> Result<(), PlanError> {
    at.ensure(capture.slot < scope.slots, "there is no such slot")?;
    scope.captured.insert(capture.slot);
    match &capture.from {
        CaptureFrom::Json(keys) => {
            at.ensure(!keys.is_empty(), "`$` needs a key, write `$.path.to[0].value`")
        }
        CaptureFrom::Header(name) => {
            let plain = text::is_token(name) && !name.chars().any(|c| c.is_ascii_uppercase());
            at.ensure(plain, "not the name of a header")
        }
    }
}

fn holes(template: &Template, scope: &Scope<'_>, at: &At<'_>) -> Result<(), PlanError> {
    for piece in &template.0 {
        let holds = match piece {
            Piece::Text(_) | Piece::Index | Piece::Vu => true,
            Piece::Captured(slot) => scope.captured.contains(slot),
            Piece::Row { source, column } => scope
                .data
                .get(usize::from(*source))
                .is_some_and(|source| usize::from(*column) < source.columns.len()),
        };
        at.ensure(holds, "a hole refers to nothing")?;
    }
    Ok(())
}
