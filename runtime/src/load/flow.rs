//! A workflow's flow, compiled when its run is prepared: requests serialised, expectations ready.

use hyperscale_core::plan::{Capture, CaptureFrom, RequestStep, Slice, Step};
use memchr::memmem::Finder;

use super::capture;
use super::connection::ErrorClass;
use super::draw::ThinkStep;
use super::response::{ResponseParser, Retain};
use super::target::Target;
use super::template::{RequestParts, RequestTemplate, TemplateError};

/// A compiled flow.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) steps: Vec<FlowStep>,
    /// How many of the steps are requests.
    pub(super) requests: usize,
}

/// A compiled step.
#[derive(Debug)]
pub(super) enum FlowStep {
    Request(Box<FlowRequest>),
    /// Bounds in nanoseconds, both included.
    Think {
        key: ThinkStep,
        bounds: (u64, u64),
    },
}

/// A compiled request.
#[derive(Debug)]
pub(super) struct FlowRequest {
    /// Its place among the requests of the flow.
    pub(super) ordinal: usize,
    pub(super) template: RequestTemplate,
    pub(super) retain: Retain,
    pub(super) timeout_ns: u64,
    statuses: Vec<(u16, u16)>,
    body: Option<Finder<'static>>,
    captures: Vec<Capture>,
}

/// What the expectations say about a response.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) failure: Option<ErrorClass>,
    pub(super) checks_passed: u64,
    pub(super) checks_failed: u64,
}

impl Flow {
    /// Compiles the flow of a slice for a target.
    ///
    /// # Errors
    /// The first request that could not be sent.
    pub(super) fn compile(slice: &Slice, target: &Target) -> Result<Self, TemplateError> {
        let mut requests = 0;
        let mut steps = Vec::with_capacity(slice.workflow.flow.len());
        for (place, step) in slice.workflow.flow.iter().enumerate() {
            steps.push(match step {
                Step::Request(step) => {
                    requests += 1;
                    FlowStep::Request(Box::new(compile(step, requests - 1, slice, target)?))
                }
                Step::Think { min, max } => {
                    let key = ThinkStep { workflow: slice.workflow_ix.get(), step: place as u16 };
                    let nanos = |span: &std::time::Duration| {
                        u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
                    };
                    FlowStep::Think { key, bounds: (nanos(min), nanos(max)) }
                }
            });
        }
        Ok(Self { steps, requests })
    }
}

fn compile(
    step: &RequestStep,
    ordinal: usize,
    slice: &Slice,
    target: &Target,
) -> Result<FlowRequest, TemplateError> {
    let template = RequestTemplate::new(RequestParts {
        authority: &target.authority,
        prefix: &target.prefix,
        step,
        index_header: slice.index_header.then_some(slice.workflow.name.as_str()),
    })?;
    let from_json = |c: &Capture| matches!(c.from, CaptureFrom::Json(_));
    Ok(FlowRequest {
        ordinal,
        template,
        retain: Retain {
            head: step.captures.iter().any(|c| !from_json(c)),
            body: step.expect_body.is_some() || step.captures.iter().any(from_json),
        },
        timeout_ns: u64::try_from(step.timeout.as_nanos()).unwrap_or(u64::MAX),
        statuses: step.expect_status.to_vec(),
        body: step.expect_body.as_ref().map(|text| Finder::new(text).into_owned()),
        captures: step.captures.to_vec(),
    })
}

impl FlowRequest {
    /// Judges an ended exchange and stores what it captures; a slot whose value is not found is
    /// left empty.
    pub(super) fn judge(
        &self,
        result: Result<u16, ErrorClass>,
        response: &ResponseParser,
        captured: &mut [Vec<u8>],
    ) -> Verdict {
        let mut verdict = Verdict::default();
        let status = match result {
            Ok(status) => status,
            Err(class) => {
                let checks =
                    usize::from(!self.statuses.is_empty()) + usize::from(self.body.is_some());
                self.captures.iter().for_each(|c| clear(captured, c.slot));
                return Verdict {
                    failure: Some(class),
                    checks_passed: 0,
                    checks_failed: checks as u64,
                };
            }
        };
        let listed = self.statuses.iter().any(|(low, high)| (*low..=*high).contains(&status));
        let status_ok =
            if self.statuses.is_empty() { (200..400).contains(&status) } else { listed };
        if !self.statuses.is_empty() {
            verdict.check(status_ok);
        }
        let body_ok = self.body.as_ref().is_none_or(|text| text.find(response.body()).is_some());
        if self.body.is_some() {
            verdict.check(body_ok);
        }
        let found = self.capture(response, captured);
        verdict.failure = match (status_ok, body_ok && found) {
            (false, _) => Some(ErrorClass::Status),
            (true, false) => Some(ErrorClass::Body),
            (true, true) => None,
        };
        verdict
    }

    fn capture(&self, response: &ResponseParser, captured: &mut [Vec<u8>]) -> bool {
        let from_json = self.captures.iter().any(|c| matches!(c.from, CaptureFrom::Json(_)));
        let body = if from_json { serde_json::from_slice(response.body()).ok() } else { None };
        let mut all = true;
        for capture in &self.captures {
            clear(captured, capture.slot);
            let Some(value) = captured.get_mut(capture.slot as usize) else { continue };
            all &= match &capture.from {
                CaptureFrom::Json(path) => {
                    body.as_ref().is_some_and(|body| capture::json(body, path, value))
                }
                CaptureFrom::Header(name) => response.header(name).is_some_and(|header| {
                    value.extend_from_slice(header);
                    true
                }),
            };
        }
        all
    }
}

fn clear(captured: &mut [Vec<u8>], slot: u16) {
    if let Some(value) = captured.get_mut(slot as usize) {
        value.clear();
    }
}

impl Verdict {
    fn check(&mut self, held: bool) {
        self.checks_passed += u64::from(held);
        self.checks_failed += u64::from(!held);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyperscale_core::bounded::BoundedVec;
    use hyperscale_core::plan::{Body, BodyKind, JsonKey, Piece, Template};

    use super::*;

    fn request() -> FlowRequest {
        let path = Template(vec![Piece::Text("/".to_owned())].try_into().unwrap());
        let body = Body { kind: BodyKind::Text, text: Template::default() };
        let token = JsonKey::Key("token".to_owned());
        let from_body = CaptureFrom::Json(vec![token].try_into().unwrap());
        let from_head = CaptureFrom::Header("location".to_owned());
        let captures = vec![
            Capture { slot: 1, from: from_body },
            Capture { slot: 0, from: from_head },
            Capture { slot: 9, from: CaptureFrom::Header("location".to_owned()) },
        ];
        let step = RequestStep {
            name: "login".to_owned(),
            method: "POST".to_owned(),
            target: path,
            headers: BoundedVec::default(),
            body: Some(body),
            expect_status: vec![(201, 201), (301, 303)].try_into().unwrap(),
            expect_body: Some("tok".to_owned()),
            captures: captures.try_into().unwrap(),
            timeout: Duration::from_millis(5),
        };
        let slice = |step| hyperscale_core::plan::Slice {
            workflow_ix: hyperscale_core::ids::WorkflowIx::new(0),
            workflow: hyperscale_core::plan::Workflow {
                name: "w".to_owned(),
                after: BoundedVec::default(),
                when: hyperscale_core::plan::When::Ok,
                executor: hyperscale_core::plan::Executor::ConstantVus {
                    vus: 1,
                    duration: Duration::from_secs(1),
                },
                graceful_stop: Duration::ZERO,
                flow: vec![Step::Request(Box::new(step))].try_into().unwrap(),
                captures: 2,
                priority: Default::default(),
                retries: 3,
            },
            share: hyperscale_core::plan::Share {
                vu_first: 0,
                vus: 1,
                stripe: hyperscale_core::plan::Stripe::plain(0, 1),
            },
            first: 0,
            base_url: String::new(),
            data: BoundedVec::default(),
            seed: 0,
            index_header: false,
            late_max: Duration::ZERO,
        };
        let target = Target::parse("http://shop").unwrap();
        let flow = Flow::compile(&slice(step), &target).unwrap();
        let Some(FlowStep::Request(request)) = flow.steps.into_iter().next() else { panic!() };
        assert_eq!((flow.requests, request.timeout_ns), (1, 5_000_000));
        *request
    }

    fn judged(wire: &str) -> (Verdict, [Vec<u8>; 2]) {
        let request = request();
        let mut response = ResponseParser::default();
        response.begin(false, request.retain);
        let result = response.feed(wire.as_bytes()).map(|_| response.status());
        let mut captured = [b"old".to_vec(), b"old".to_vec()];
        let result = result.map_err(|_| ErrorClass::Reset);
        (request.judge(result, &response, &mut captured), captured)
    }

    fn verdict(failure: Option<ErrorClass>, checks_passed: u64, checks_failed: u64) -> Verdict {
        Verdict { failure, checks_passed, checks_failed }
    }

    #[test]
    fn judges_and_captures() {
        let answer = |status, body: &str| {
            let length = body.len();
            judged(&format!(
                "HTTP/1.1 {status} x\r\nLocation: /1\r\nContent-Length: {length}\r\n\r\n{body}"
            ))
        };
        let body = "{\"token\":\"t\"}";
        let (good, captured) = answer(302, body);
        assert_eq!(good, verdict(None, 2, 0));
        assert_eq!(captured, [b"/1".to_vec(), b"t".to_vec()]);
        assert_eq!(answer(200, body).0, verdict(Some(ErrorClass::Status), 1, 1));
        assert_eq!(answer(304, "").0, verdict(Some(ErrorClass::Status), 0, 2));
        let (missing, captured) = answer(201, "{\"tok\":1}");
        assert_eq!(missing, verdict(Some(ErrorClass::Body), 2, 0));
        assert_eq!(captured, [b"/1".to_vec(), Vec::new()]);
        assert_eq!(answer(201, "{}").0, verdict(Some(ErrorClass::Body), 1, 1));
        let (broken, captured) = judged("garbage\r\n");
        assert_eq!(broken, verdict(Some(ErrorClass::Reset), 0, 2));
        assert!(captured.iter().all(Vec::is_empty));
    }
}
