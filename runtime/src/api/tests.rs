use std::collections::BTreeSet;

use hyperscale_core::api::{self as core_api, JobView, Refusal, Update};
use hyperscale_core::ids::{JobId, WorkflowIx};
use hyperscale_core::input::Input;
use hyperscale_core::report::{JobStatus, WorkflowStatus, WorkflowView};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::*;

/// A gate whose API is configured.
const OTHER: NodeId = NodeId::new(2);

struct Served {
    address: std::net::SocketAddr,
    gate: Gate,
    stop: oneshot::Sender<()>,
    server: JoinHandle<io::Result<()>>,
}

/// A gate that answers every command with `answer`, behind the API.
async fn served(answer: impl Fn(&Gate, Command) -> Reply + Send + 'static) -> Served {
    let (inbox, mut inputs) = mpsc::channel(16);
    let gate = Gate::new(inbox);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let others = Others::from([(OTHER, "other:7400".to_owned())]);
    let server = tokio::spawn(serve(listener, gate.clone(), others, async {
        let _ = stopped.await;
    }));
    let answering = gate.clone();
    tokio::spawn(async move {
        while let Some(input) = inputs.recv().await {
            if let Input::Called { call, command, .. } = input {
                let reply = answer(&answering, *command);
                answering.reply(call, reply);
            }
        }
    });
    Served { address, gate, stop, server }
}

struct Got {
    status: u16,
    head: String,
    body: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Served {
    async fn open(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.expect("connected");
        stream.write_all(request.as_bytes()).await.expect("written");
        stream
    }

    /// HTTP/1.0, so that the answer ends with the connection and is not chunked.
    async fn send(&self, line: &str, headers: &str, body: &str) -> Got {
        let length = body.len();
        let request = format!("{line} HTTP/1.0\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
        self.sent(&request).await
    }

    async fn sent(&self, request: &str) -> Got {
        let mut text = String::new();
        self.open(request).await.read_to_string(&mut text).await.expect("read");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        Got { status, head: head.to_lowercase(), body: body.to_owned() }
    }
}

const PLAN: &str = "
name: checkout
base_url: demo
workflows:
  a: {executor: per-vu-iterations, vus: 1, flow: [{name: a, get: /}]}
";

fn view(status: JobStatus) -> JobView {
    JobView {
        job: JobId::new(17),
        name: "checkout".to_owned(),
        status,
        reason: String::new(),
        workflow_names: vec!["login".to_owned()],
        workflows: vec![WorkflowView {
            workflow: WorkflowIx::new(0),
            status: WorkflowStatus::Running,
            plan_time: hyperscale_core::plan::PlanTime::from_nanos(1_500_000_000),
            vus: 3,
            shards_live: 1,
            shards: 2,
            second: 1,
            totals: Box::default(),
            shards_late: 0,
        }],
        position: None,
        windows: Vec::new(),
    }
}

fn update(seq: u64, status: JobStatus) -> Update {
    Update { seq, view: Box::new(view(status)), moved: false }
}

#[tokio::test]
async fn a_submission_is_created_once_and_needs_a_key() {
    let served = served(|_, command| match command {
        Command::Submit { key, plan: sent } => {
            let plan = crate::plan_text::parse_and_check(PLAN, "plan").expect("a good plan");
            assert_eq!(*sent, plan);
            Reply::Submitted { job: JobId::new(17), existing: key == "again" }
        }
        other => panic!("{other:?}"),
    })
    .await;
    let body = PLAN;
    let got = served.send("POST /v1/jobs", "Idempotency-Key: first\r\n", body).await;
    assert_eq!((got.status, got.json()), (201, json!({"id": "j17", "existing": false})));
    assert!(got.head.contains("location: /v1/jobs/j17"), "{}", got.head);
    let got = served.send("POST /v1/jobs", "Idempotency-Key: again\r\n", body).await;
    assert_eq!((got.status, got.json()), (200, json!({"id": "j17", "existing": true})));
    let got = served.send("POST /v1/jobs", "", body).await;
    assert_eq!(got.status, 400);
    assert_eq!(got.json()["type"], "urn:hyperscale:problem:bad-request");
    assert!(got.head.contains("content-type: application/problem+json"), "{}", got.head);
    let long = format!("Idempotency-Key: {}\r\n", "k".repeat(129));
    assert_eq!(served.send("POST /v1/jobs", &long, body).await.status, 400);
}

#[tokio::test]
async fn a_plan_that_is_wrong_or_too_large_is_a_problem_and_never_reaches_the_gate() {
    let served = served(|_, command| panic!("{command:?}")).await;
    let key = "Idempotency-Key: k\r\n";
    let got = served.send("POST /v1/jobs", key, "base_url: demo\n nmae: 1").await;
    assert_eq!(got.status, 422);
    assert_eq!(got.json()["type"], "urn:hyperscale:problem:plan-invalid");
    assert_eq!(got.json()["line"], 2);
    assert!(got.json()["column"].is_u64(), "{}", got.body);
    let length = BODY_BYTES_MAX + 1;
    let announced = format!("POST /v1/jobs HTTP/1.0\r\n{key}Content-Length: {length}\r\n\r\n");
    let got = served.sent(&announced).await;
    assert_eq!(got.status, 413);
    assert!(got.json()["detail"].as_str().expect("text").contains("4194304"), "{}", got.body);
    let chunked = format!(
        "POST /v1/jobs HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{key}\
         Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{}\r\n0\r\n\r\n",
        "a".repeat(length)
    );
    assert_eq!(served.sent(&chunked).await.status, 413);
}

#[tokio::test]
async fn every_refusal_has_its_status_and_says_when_to_retry() {
    let cases = [
        (Refusal::KeyReused(JobId::new(3)), 409, "key-reused"),
        (Refusal::KeyInvalid, 400, "bad-request"),
        (Refusal::NoSuchJob(JobId::new(9)), 404, "no-such-job"),
        (Refusal::NotEnded(JobStatus::Running), 409, "not-ended"),
        (Refusal::AlreadyEnded(JobStatus::Completed), 409, "already-ended"),
        (Refusal::Full, 429, "full"),
        (Refusal::PlanInvalid("no workflows".to_owned()), 422, "plan-invalid"),
        (Refusal::NotReady, 503, "not-ready"),
        (Refusal::Draining, 503, "draining"),
        (Refusal::OutcomeUnknown, 503, "outcome-unknown"),
        (Refusal::Busy { retry_after: Duration::from_millis(1) }, 429, "busy"),
        (Refusal::Limited { retry_after: Duration::from_secs(1) }, 429, "rate-limited"),
    ];
    for (refusal, status, name) in cases {
        let answer = Reply::Refused(refusal.clone());
        let served = served(move |_, _| answer.clone()).await;
        let got = served.send("POST /v1/jobs/17/cancel", "", "").await;
        assert_eq!(got.status, status, "{refusal:?}");
        assert_eq!(got.json()["type"], format!("urn:hyperscale:problem:{name}"), "{refusal:?}");
        assert_eq!(got.json()["status"], status);
        assert_eq!(got.head.contains("retry-after: 1"), [429, 503].contains(&status), "{name}");
    }
}

#[tokio::test]
async fn a_gate_that_is_gone_leaves_the_outcome_unknown() {
    let served = served(|gate, _| {
        gate.hang_up();
        Reply::Jobs(Vec::new())
    })
    .await;
    let got = served.send("GET /v1/jobs", "", "").await;
    assert_eq!(got.status, 503);
    assert_eq!(got.json()["type"], "urn:hyperscale:problem:outcome-unknown");
}

#[tokio::test]
async fn jobs_are_listed_shown_and_cancelled_by_either_form_of_id() {
    let served = served(|_, command| match command {
        Command::List => Reply::Jobs(vec![core_api::JobSummary {
            job: JobId::new(17),
            name: "checkout".to_owned(),
            status: JobStatus::TimedOut,
            position: None,
        }]),
        Command::Status(job) if job == JobId::new(17) => {
            Reply::Status(Box::new(view(JobStatus::Running)))
        }
        Command::Cancel(job) if job == JobId::new(17) => Reply::Cancelling(job),
        Command::CancelWorkflow { job, workflow } if workflow == "log in" => Reply::Cancelling(job),
        Command::CancelWorkflow { workflow, .. } => {
            Reply::Refused(Refusal::NoSuchWorkflow(workflow))
        }
        other => panic!("{other:?}"),
    })
    .await;
    let line = json!({"id": "j17", "name": "checkout", "status": "timed_out"});
    assert_eq!(served.send("GET /v1/jobs", "", "").await.json(), json!({"jobs": [line]}));
    for id in ["17", "j17"] {
        let job = served.send(&format!("GET /v1/jobs/{id}"), "", "").await.json();
        assert_eq!((&job["status"], &job["terminal"]), (&json!("running"), &json!(false)));
        let workflow = &job["workflows"][0];
        assert_eq!((&workflow["name"], &workflow["plan_time"]), (&json!("login"), &json!(1.5)));
        assert_eq!(workflow["metrics"][0]["name"], "http_reqs");
        let got = served.send(&format!("POST /v1/jobs/{id}/cancel"), "", "").await;
        assert_eq!((got.status, got.json()), (202, json!({"id": "j17"})));
        let one = |name: &str| format!("POST /v1/jobs/{id}/workflows/{name}/cancel");
        let got = served.send(&one("log%20in"), "", "").await;
        assert_eq!((got.status, got.json()), (202, json!({"id": "j17"})));
        let got = served.send(&one("browse"), "", "").await;
        let kind = "urn:hyperscale:problem:no-such-workflow";
        assert_eq!((got.status, got.json()["type"].as_str()), (404, Some(kind)));
    }
    for id in ["jj17", "j", "-1", "+1", "99999999999999999999"] {
        assert_eq!(served.send(&format!("GET /v1/jobs/{id}"), "", "").await.status, 400, "{id}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let served = served(|_, command| panic!("{command:?}")).await;
    let got = served.send("GET /v2/jobs", "", "").await;
    assert_eq!((got.status, &got.json()["status"]), (404, &json!(404)));
    let got = served.send("DELETE /v1/jobs", "", "").await;
    assert_eq!((got.status, &got.json()["title"]), (405, &json!("Method not allowed")));
}

#[tokio::test]
async fn more_clients_at_once_than_are_read_are_all_answered() {
    let served = served(|_, command| match command {
        Command::Cancel(job) => Reply::Refused(Refusal::NoSuchJob(job)),
        _ => Reply::Submitted { job: JobId::new(17), existing: false },
    })
    .await;
    let length = PLAN.len();
    let head = format!("POST /v1/jobs HTTP/1.0\r\nContent-Length: {length}\r\n");
    let mut streams = Vec::new();
    for n in 0..READING_MAX {
        streams.push(served.open(&format!("{head}Idempotency-Key: k{n}\r\n\r\n")).await);
    }
    // Until the server has begun to read all of them, further ones are taken.
    let refused = loop {
        let got = served.send("POST /v1/jobs", "Idempotency-Key: more\r\n", PLAN).await;
        if got.status != 201 {
            break got;
        }
    };
    assert_eq!(refused.status, 429);
    for _ in 0..4 * READING_MAX {
        let got = served.send("POST /v1/jobs", "Idempotency-Key: more\r\n", PLAN).await;
        assert_eq!(got.status, 429);
        assert!(got.head.contains("retry-after: "), "{}", got.head);
    }
    assert_eq!(served.send("POST /v1/jobs/j9/cancel", "", "").await.status, 404, "control");
    for mut stream in streams {
        stream.write_all(PLAN.as_bytes()).await.expect("written");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("read");
        assert!(text.contains(" 201 "), "{text}");
    }
}

#[tokio::test]
async fn health_follows_readiness() {
    for (ready, status) in [(true, 200), (false, 503)] {
        let view = core_api::ClusterView { ready, ..core_api::ClusterView::default() };
        let served = served(move |_, _| Reply::Cluster(Box::new(view.clone()))).await;
        assert_eq!(served.send("GET /healthz", "", "").await.status, status);
    }
}

#[tokio::test]
async fn what_another_gate_answers_is_redirected_if_its_address_is_known() {
    for (gate, status) in [(OTHER, 307), (NodeId::new(3), 503)] {
        let served = served(move |_, _| Reply::Refused(Refusal::Elsewhere { gate })).await;
        let got = served.send("GET /v1/jobs/j17/updates?after=4", "", "").await;
        let body = got.json();
        assert_eq!((got.status, &body["status"]), (status, &json!(status)));
        assert_eq!(body["type"], "urn:hyperscale:problem:elsewhere");
        assert_eq!(body["gate"], gate.get());
        let location = "location: http://other:7400/v1/jobs/j17/updates?after=4";
        assert_eq!(got.head.contains(location), gate == OTHER, "{}", got.head);
        assert_eq!(got.head.contains("retry-after: 1"), gate != OTHER, "{}", got.head);
    }
}

#[tokio::test]
async fn a_gate_is_asked_to_leave() {
    let served = served(|_, command| panic!("{command:?}")).await;
    let got = served.send("POST /v1/drain", "", "").await;
    assert_eq!((got.status, got.json()), (202, json!({"draining": true})));
    served.gate.asked_to_drain().await;
}

#[tokio::test]
async fn a_stream_ends_when_the_job_moves_to_another_gate() {
    let served = served(|_, command| match command {
        Command::Watch { after: 0, .. } => {
            let updates = vec![update(1, JobStatus::Running)];
            Reply::Watching { updates, truncated: false }
        }
        Command::Watch { after: 1, .. } => Reply::Refused(Refusal::Elsewhere { gate: OTHER }),
        other => panic!("{other:?}"),
    })
    .await;
    let got = served.send("GET /v1/jobs/j17/updates", "", "").await;
    assert_eq!(events(&got.body), [named("update", "running", Some("1"))]);
}

#[tokio::test]
async fn the_document_lists_exactly_the_routes() {
    let served = served(|_, command| panic!("{command:?}")).await;
    let document = served.send("GET /openapi.json", "", "").await.json();
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("an item").keys() {
            documented.insert((path.clone(), method.clone()));
        }
    }
    let mut routed = BTreeSet::new();
    for (path, methods, _) in routes() {
        routed.extend(methods.iter().map(|method| (path.to_owned(), (*method).to_owned())));
    }
    assert_eq!(documented, routed);
    for (path, method) in routed {
        let probe = if method == "get" { "DELETE" } else { "PUT" };
        let got = served.send(&format!("{probe} {}", path.replace("{id}", "1")), "", "").await;
        assert_eq!(got.status, 405, "{path} is routed");
        let allow = got.head.lines().find(|line| line.starts_with("allow:")).unwrap_or_default();
        assert!(allow.contains(&method.to_uppercase().to_lowercase()), "{path}: {allow}");
    }
}

fn events(body: &str) -> Vec<(String, String, Option<String>)> {
    let blocks = body.split("\n\n").filter(|block| !block.trim().is_empty());
    blocks
        .map(|block| {
            let field = |name: &str| {
                let line = block.lines().find_map(|line| line.strip_prefix(name));
                line.map(|value| value.trim().to_owned())
            };
            let data: Value = serde_json::from_str(&field("data:").expect("data")).expect("json");
            let status = data["status"].as_str().unwrap_or_default().to_owned();
            (field("event:").expect("an event"), status, field("id:"))
        })
        .collect()
}

fn named(event: &str, status: &str, id: Option<&str>) -> (String, String, Option<String>) {
    (event.to_owned(), status.to_owned(), id.map(str::to_owned))
}

#[tokio::test]
async fn kept_and_live_updates_make_one_sequence_up_to_the_end() {
    let served = served(|gate, command| match command {
        Command::Watch { job, after } => {
            assert_eq!(after, 4);
            // Published while the gate answers: one is also kept, one is another job's.
            gate.publish(job, update(6, JobStatus::Running));
            gate.publish(JobId::new(18), update(8, JobStatus::Completed));
            gate.publish(job, update(7, JobStatus::Running));
            gate.publish(job, update(8, JobStatus::Completed));
            gate.publish(job, update(9, JobStatus::Completed));
            let updates = vec![update(5, JobStatus::Submitted), update(6, JobStatus::Running)];
            Reply::Watching { updates, truncated: true }
        }
        other => panic!("{other:?}"),
    })
    .await;
    let got = served.send("GET /v1/jobs/j17/updates?after=2", "Last-Event-ID: 4\r\n", "").await;
    assert!(got.head.contains("content-type: text/event-stream"), "{}", got.head);
    let expected = [
        named("truncated", "", None),
        named("update", "submitted", Some("5")),
        named("update", "running", Some("6")),
        named("update", "running", Some("7")),
        named("update", "completed", Some("8")),
    ];
    assert_eq!(events(&got.body), expected);
}

#[tokio::test]
async fn a_job_that_has_ended_does_not_keep_a_watcher_waiting() {
    let served = served(|_, command| match command {
        Command::Watch { .. } => Reply::Watching { updates: Vec::new(), truncated: false },
        Command::Status(_) => Reply::Status(Box::new(view(JobStatus::Failed))),
        other => panic!("{other:?}"),
    })
    .await;
    let got = served.send("GET /v1/jobs/j17/updates", "", "").await;
    assert_eq!(events(&got.body), [named("update", "failed", None)]);
    assert_eq!(served.send("GET /v1/jobs/j17/updates?after=8", "", "").await.status, 204);
    assert_eq!(served.send("GET /v1/jobs/j17/updates?after=x", "", "").await.status, 400);
}

#[tokio::test]
async fn a_watcher_that_lags_is_refilled_from_what_is_kept() {
    let served = served(|gate, command| match command {
        Command::Watch { job, after: 0 } => {
            for seq in 1..=3000 {
                gate.publish(job, update(seq, JobStatus::Running));
            }
            Reply::Watching { updates: vec![update(1, JobStatus::Running)], truncated: false }
        }
        Command::Watch { after: 1, .. } => {
            let updates = vec![update(3000, JobStatus::Running), update(3001, JobStatus::Partial)];
            Reply::Watching { updates, truncated: true }
        }
        other => panic!("{other:?}"),
    })
    .await;
    let got = served.send("GET /v1/jobs/j17/updates", "", "").await;
    let expected = [
        named("update", "running", Some("1")),
        named("truncated", "", None),
        named("update", "running", Some("3000")),
        named("update", "partial", Some("3001")),
    ];
    assert_eq!(events(&got.body), expected);
}

#[tokio::test]
async fn shutdown_ends_open_streams() {
    let served = served(|_, command| match command {
        Command::Watch { .. } => {
            let updates = vec![update(1, JobStatus::Running)];
            Reply::Watching { updates, truncated: false }
        }
        other => panic!("{other:?}"),
    })
    .await;
    let mut stream = served.open("GET /v1/jobs/17/updates HTTP/1.0\r\n\r\n").await;
    let mut text = String::new();
    let mut part = [0; 4096];
    while !text.contains("id:") && !text.contains("id: ") {
        let read = stream.read(&mut part).await.expect("read");
        assert!(read > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&part[..read]));
    }
    served.stop.send(()).expect("the server waits for it");
    stream.read_to_string(&mut text).await.expect("the stream ends");
    served.server.await.expect("joined").expect("no error");
    drop(served.gate);
    assert!(text.contains("running"), "{text}");
}

#[tokio::test]
async fn a_wait_is_told_in_whole_seconds_rounded_up() {
    for (ms, seconds) in [(1, 1), (1_000, 1), (1_001, 2), (4_500, 5)] {
        let retry_after = Duration::from_millis(ms);
        let served = served(move |_, _| Reply::Refused(Refusal::Limited { retry_after })).await;
        let got = served.send("GET /v1/jobs", "", "").await;
        assert_eq!(got.json()["retry_after"], seconds);
        assert!(got.head.contains(&format!("retry-after: {seconds}")), "{}", got.head);
    }
}

#[tokio::test]
async fn the_gate_hears_who_asks() {
    let (inbox, mut inputs) = mpsc::channel(16);
    let gate = Gate::new(inbox);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = serve(listener, gate.clone(), Others::new(), std::future::pending());
    tokio::spawn(server);
    for (header, expected) in [("", "127.0.0.1"), ("X-Hyperscale-Tenant: team-a\r\n", "team-a")] {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        let request = format!("GET /v1/jobs HTTP/1.0\r\n{header}\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let Some(Input::Called { call, client, .. }) = inputs.recv().await else {
            panic!("no call")
        };
        assert_eq!(client.as_str(), expected);
        gate.reply(call, Reply::Jobs(Vec::new()));
    }
}
