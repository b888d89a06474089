//! Steps of a flow.

use std::time::Duration;

use crate::bounded::BoundedVec;
use crate::limits;
use crate::plan::raw::{RawMap, RawStep, RawWorkflow};
use crate::plan::{Body, BodyKind, Capture, DataSource, PlanError, RequestStep, Step, Template};

use super::at::At;
use super::template::{BUILT_IN, Encoding, Pieces, Scope};
use super::{capture, refuse_unbuilt, required};

const TIMEOUT: Duration = Duration::from_secs(60);

type Flow = BoundedVec<Step, { limits::STEPS_MAX }>;
type Headers = BoundedVec<(String, Template), { limits::HEADERS_MAX }>;

/// The flow of a workflow, and how many slots its captures need.
pub(super) fn lower_flow(
    raw: &RawWorkflow,
    data: &[DataSource],
    workflow: &At<'_>,
) -> Result<(Flow, u16), PlanError> {
    let raw = required(raw.flow.as_ref(), "flow", workflow)?;
    let at = workflow.key("flow");
    let names = raw.iter().filter_map(|step| step.capture.as_ref());
    let later = names.flat_map(|map| map.iter().map(|(name, _)| name)).collect();
    let mut scope = Scope { data, captured: std::collections::BTreeMap::new(), later };
    let mut flow = Vec::new();
    for (place, step) in raw.iter().enumerate() {
        flow.push(lower_step(step, &mut scope, &at.index(place))?);
    }
    let slots = u16::try_from(scope.captured.len());
    let slots = slots.map_err(|_| at.error("too many captures"))?;
    Ok((at.bounded(flow, "steps")?, slots))
}

fn lower_step<'a>(raw: &'a RawStep, scope: &mut Scope<'a>, at: &At<'_>) -> Result<Step, PlanError> {
    let unbuilt = [
        ("loop", raw.loop_),
        ("if", raw.if_),
        ("group", raw.group),
        ("script", raw.script),
        ("function", raw.function),
        ("websocket", raw.websocket),
        ("grpc", raw.grpc),
    ];
    refuse_unbuilt(at, &unbuilt)?;
    if let Some(think) = raw.think {
        let alone = RawStep { think: Some(think), ..RawStep::default() };
        let message = "a step is a request or a `think`, not both";
        at.key("think").ensure(*raw == alone, message)?;
        return Ok(Step::Think { min: think.min, max: think.max });
    }
    lower_request(raw, scope, at).map(|request| Step::Request(Box::new(request)))
}

fn lower_request<'a>(
    raw: &'a RawStep,
    scope: &mut Scope<'a>,
    at: &At<'_>,
) -> Result<RequestStep, PlanError> {
    let (field, method, url) = method_and_url(raw, at)?;
    let mut target = Pieces::default();
    let target_at = at.key(field);
    target.text(url, Encoding::AsWritten, scope, &target_at)?;
    let headers = lower_headers(raw.headers.as_ref(), scope, &at.key("headers"))?;
    let body = lower_body(raw, scope, at)?;
    let expect = raw.expect.as_ref();
    let status = expect.and_then(|expect| expect.status.as_ref());
    let status_at = at.key("expect");
    let status_at = status_at.key("status");
    let expect_status =
        status_at.bounded(status.map_or_else(Vec::new, |s| s.0.clone()), "intervals")?;
    // After everything that could use them: a step cannot use its own captures.
    let captures = lower_captures(raw.capture.as_ref(), scope, &at.key("capture"))?;
    Ok(RequestStep {
        name: raw.name.clone().unwrap_or_else(|| default_name(&method, url)),
        method,
        target: target.template(&target_at)?,
        headers,
        body,
        expect_status,
        expect_body: expect.and_then(|expect| expect.body.clone()),
        captures: at.key("capture").bounded(captures, "captures")?,
        timeout: raw.timeout.map_or(TIMEOUT, |span| span.0),
    })
}

/// The field that holds the URL, the method, and the URL.
fn method_and_url<'a>(
    raw: &'a RawStep,
    at: &At<'_>,
) -> Result<(&'static str, String, &'a str), PlanError> {
    let shortcuts = [
        ("get", &raw.get),
        ("post", &raw.post),
        ("put", &raw.put),
        ("patch", &raw.patch),
        ("delete", &raw.delete),
        ("head", &raw.head),
        ("options", &raw.options),
        ("url", &raw.url),
    ];
    let given = |(name, url): (&'static str, &'a Option<String>)| Some((name, url.as_deref()?));
    let mut given = shortcuts.into_iter().filter_map(given);
    let Some((field, url)) = given.next() else {
        let error = at.error("a step needs a request or a `think`");
        return Err(error.with_hint("write `get: /path`, or `method` and `url`"));
    };
    if let Some((second, _)) = given.next() {
        return Err(at.key(second).error(format_args!("`{field}` is given too")));
    }
    let method = match (field, &raw.method) {
        ("url", Some(method)) => method.to_ascii_uppercase(),
        ("url", None) => return Err(at.key(field).error("`url` needs a `method`")),
        (_, Some(_)) => {
            return Err(at.key("method").error(format_args!("`{field}` is given too")));
        }
        (_, None) => field.to_ascii_uppercase(),
    };
    Ok((field, method, url))
}

fn default_name(method: &str, url: &str) -> String {
    let mut name = format!("{method} {url}");
    let end = (0..=limits::LABEL_BYTES_MAX).rev().find(|end| name.is_char_boundary(*end));
    name.truncate(end.unwrap_or(0));
    name
}

fn lower_headers(
    raw: Option<&RawMap<String>>,
    scope: &Scope<'_>,
    at: &At<'_>,
) -> Result<Headers, PlanError> {
    let mut headers = Vec::new();
    for (name, value) in raw.iter().flat_map(|headers| headers.iter()) {
        let mut pieces = Pieces::default();
        let value_at = at.key(name);
        pieces.text(value, Encoding::AsWritten, scope, &value_at)?;
        headers.push((name.to_owned(), pieces.template(&value_at)?));
    }
    at.bounded(headers, "headers")
}

fn lower_body(raw: &RawStep, scope: &Scope<'_>, at: &At<'_>) -> Result<Option<Body>, PlanError> {
    let given = [("json", raw.json.is_some()), ("form", raw.form.is_some())];
    let mut given = given.into_iter().chain([("body", raw.body.is_some())]).filter(|(_, is)| *is);
    let Some((field, _)) = given.next() else { return Ok(None) };
    if let Some((second, _)) = given.next() {
        return Err(at.key(second).error(format_args!("`{field}` is given too")));
    }
    let at = at.key(field);
    let mut pieces = Pieces::default();
    let kind = if let Some(json) = &raw.json {
        pieces.json(json, scope, &at)?;
        BodyKind::Json
    } else if let Some(form) = &raw.form {
        for (place, (name, value)) in form.iter().enumerate() {
            let at = at.key(name);
            pieces.literal(if place == 0 { "" } else { "&" });
            pieces.text(name, Encoding::Form, scope, &at)?;
            pieces.literal("=");
            pieces.text(value, Encoding::Form, scope, &at)?;
        }
        BodyKind::Form
    } else {
        pieces.text(raw.body.as_deref().unwrap_or(""), Encoding::AsWritten, scope, &at)?;
        BodyKind::Text
    };
    Ok(Some(Body { kind, text: pieces.template(&at)? }))
}

fn lower_captures<'a>(
    raw: Option<&'a RawMap<String>>,
    scope: &mut Scope<'a>,
    at: &At<'_>,
) -> Result<Vec<Capture>, PlanError> {
    let mut captures = Vec::new();
    for (name, text) in raw.into_iter().flat_map(|captures| captures.iter()) {
        let at = at.key(name);
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let holds = !name.is_empty() && name.chars().all(plain);
        at.ensure(holds, "a captured value's name has letters, digits, `_` or `-`")?;
        let reserved = format!("`{name}` is what every iteration has");
        at.ensure(!BUILT_IN.contains(&name), reserved)?;
        let next = u16::try_from(scope.captured.len());
        let next = next.map_err(|_| at.error("too many captures"))?;
        let slot = *scope.captured.entry(name).or_insert(next);
        captures.push(Capture { slot, from: capture::parse(text, &at)? });
    }
    Ok(captures)
}
