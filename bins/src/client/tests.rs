use std::cell::RefCell;
use std::net::SocketAddr;

use hyperscale_core::api::{Command, Refusal, Reply};
use hyperscale_core::ids::NodeId;
use hyperscale_core::report::JobStatus;
use hyperscale_runtime::api;
use hyperscale_runtime::calls::Gate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::*;
use crate::fake;

async fn served(gate: Gate) -> (String, oneshot::Sender<()>) {
    served_among(gate, api::Others::new()).await
}

/// A gate that knows where others are.
async fn served_among(gate: Gate, others: api::Others) -> (String, oneshot::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address: SocketAddr = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(api::serve(listener, gate, others, async {
        let _ = stopped.await;
    }));
    (format!("http://{address}/"), stop)
}

/// An address at which nobody listens.
async fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    format!("http://{}", listener.local_addr().expect("an address"))
}

fn client(gates: &[String], patience: u64) -> Client {
    Client::new(gates, Duration::from_secs(patience)).expect("a client")
}

#[tokio::test]
async fn a_gate_that_is_down_is_passed_over_and_the_key_travels() {
    let file = fake::plan_file();
    let plan = file.plan.clone();
    let gate = fake::gate(move |_, command| match command {
        Command::Submit { key, plan: sent } => {
            assert_eq!((key.as_str(), &*sent), ("my-key", &plan));
            Some(Reply::Submitted { job: fake::JOB, existing: true })
        }
        other => panic!("{other:?}"),
    });
    let (up, _stop) = served(gate).await;
    let mut client = client(&[closed().await, up], 20);
    let submitted = client.submit(&file.text, "my-key").await.expect("submitted");
    assert_eq!((submitted.id.as_str(), submitted.existing), ("j17", true));
}

#[tokio::test]
async fn patience_ends_with_112_and_the_last_reason() {
    let failure = client(&[closed().await], 0).jobs().await.expect_err("nobody");
    assert_eq!(failure.exit, Exit::Unavailable);
    assert!(failure.message.to_lowercase().contains("refused"), "{failure}");
    let gate = fake::gate(|_, _| Some(Reply::Refused(Refusal::NotReady)));
    let (up, _stop) = served(gate).await;
    let failure = client(&[up], 0).jobs().await.expect_err("not ready");
    assert_eq!(failure.exit, Exit::Unavailable);
    assert!(failure.message.contains("not ready"), "{failure}");
}

#[tokio::test]
async fn what_can_never_work_is_not_tried_again() {
    let mut asked = 0;
    let gate = fake::gate(move |_, _| {
        asked += 1;
        assert_eq!(asked, 1, "tried again");
        Some(Reply::Refused(Refusal::NoSuchJob(fake::JOB)))
    });
    let (up, _stop) = served(gate).await;
    let failure = client(std::slice::from_ref(&up), 20).job("17").await.expect_err("unknown");
    assert_eq!(failure.exit, Exit::Other);
    assert!(failure.message.contains("j17 does not exist"), "{failure}");
    let failure = client(&[up], 20).submit("{", "k").await.expect_err("no plan");
    assert_eq!(failure.exit, Exit::Invalid);
    for gate in ["127.0.0.1:7400", "https://a", "ftp://a", ""] {
        let failure = Client::new(&[gate.to_owned()], Duration::ZERO).expect_err(gate);
        assert_eq!(failure.exit, Exit::Usage, "{gate}");
    }
}

#[tokio::test]
async fn a_broken_stream_is_resumed_at_another_gate_without_doubles() {
    let first = fake::gate(|_, command| match command {
        Command::Watch { after: 0, .. } => {
            let updates =
                vec![fake::update(1, JobStatus::Submitted), fake::update(2, JobStatus::Running)];
            Some(Reply::Watching { updates, truncated: false })
        }
        Command::Status(_) => Some(Reply::Status(Box::new(fake::view(JobStatus::Running)))),
        other => panic!("{other:?}"),
    });
    let second = fake::gate(|_, command| match command {
        Command::Watch { after: 2, .. } => {
            let updates = vec![fake::update(3, JobStatus::Completed)];
            Some(Reply::Watching { updates, truncated: false })
        }
        Command::Status(_) => Some(Reply::Status(Box::new(fake::view(JobStatus::Running)))),
        other => panic!("{other:?}"),
    });
    let ((a, stop), (b, _stop)) = (served(first).await, served(second).await);
    let (stop, seen) = (RefCell::new(Some(stop)), RefCell::new(Vec::new()));
    let mut client = client(&[a, b], 20);
    let followed = client.follow("j17", |_, view| {
        seen.borrow_mut().push(view.status.clone());
        if view.status == "running" {
            stop.borrow_mut().take();
        }
    });
    followed.await.expect("followed");
    assert_eq!(*seen.borrow(), ["submitted", "running", "completed"]);
}

#[tokio::test]
async fn a_job_that_ended_unseen_is_shown_once() {
    let gate = fake::gate(|_, command| match command {
        Command::Watch { .. } => Some(Reply::Watching { updates: Vec::new(), truncated: false }),
        Command::Status(_) => Some(Reply::Status(Box::new(fake::view(JobStatus::Partial)))),
        other => panic!("{other:?}"),
    });
    let (up, _stop) = served(gate).await;
    let mut seen = Vec::new();
    let mut client = client(&[up], 20);
    client.follow("17", |_, view| seen.push(view.status.clone())).await.expect("followed");
    assert_eq!(seen, ["partial"]);
}

const OTHER: NodeId = NodeId::new(2);

/// A gate that sends everybody to the gate at `other`.
async fn redirecting(other: &str) -> (String, oneshot::Sender<()>) {
    let gate = fake::gate(|_, _| Some(Reply::Refused(Refusal::Elsewhere { gate: OTHER })));
    let place = other.trim_start_matches("http://").trim_end_matches('/').to_owned();
    served_among(gate, [(OTHER, place)].into()).await
}

#[tokio::test]
async fn a_redirect_is_followed_with_method_key_and_body() {
    let file = fake::plan_file();
    let plan = file.plan.clone();
    let owner = fake::gate(move |_, command| match command {
        Command::Submit { key, plan: sent } => {
            assert_eq!((key.as_str(), &*sent), ("my-key", &plan));
            Some(Reply::Submitted { job: fake::JOB, existing: false })
        }
        Command::Watch { after: 0, .. } => {
            let updates = vec![fake::update(3, JobStatus::Completed)];
            Some(Reply::Watching { updates, truncated: false })
        }
        other => panic!("{other:?}"),
    });
    let (owner, _stop) = served(owner).await;
    let (first, _stop_too) = redirecting(&owner).await;
    let mut client = client(&[first], 20);
    let submitted = client.submit(&file.text, "my-key").await.expect("submitted");
    assert_eq!(submitted.id, "j17");
    let mut seen = Vec::new();
    client.follow("j17", |_, view| seen.push(view.status.clone())).await.expect("followed");
    assert_eq!(seen, ["completed"]);
}

#[tokio::test]
async fn an_owner_that_is_gone_is_no_dead_end() {
    let (first, _stop) = redirecting(&closed().await).await;
    let heir = fake::gate(|_, _| Some(Reply::Cancelling(fake::JOB)));
    let (second, _stop_too) = served(heir).await;
    let cancelled = client(&[first.clone(), second], 20).cancel("j17").await.expect("cancelled");
    assert_eq!(cancelled.id, "j17");
    let failure = client(&[first], 0).cancel("j17").await.expect_err("nobody");
    assert_eq!(failure.exit, Exit::Unavailable);
    assert!(failure.message.to_lowercase().contains("refused"), "{failure}");
}

#[tokio::test]
async fn gates_that_name_each_other_are_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let gate = fake::gate(|_, _| Some(Reply::Refused(Refusal::Elsewhere { gate: OTHER })));
    let others = api::Others::from([(OTHER, address.to_string())]);
    tokio::spawn(api::serve(listener, gate, others, std::future::pending()));
    let failure = client(&[format!("http://{address}")], 0).jobs().await.expect_err("a circle");
    assert_eq!(failure.exit, Exit::Unavailable);
    assert!(failure.message.contains("every gate names another"), "{failure}");
}

#[tokio::test]
async fn no_quorum_is_waited_out_at_another_gate_with_the_same_key() {
    let file = fake::plan_file();
    let alone = fake::gate(|_, _| Some(Reply::Refused(Refusal::NotReady)));
    let whole = fake::gate(|_, command| match command {
        Command::Submit { key, .. } => {
            assert_eq!(key, "my-key");
            Some(Reply::Submitted { job: fake::JOB, existing: true })
        }
        other => panic!("{other:?}"),
    });
    let ((a, _stop), (b, _stop_too)) = (served(alone).await, served(whole).await);
    let asked = Instant::now();
    let submitted = client(&[a, b], 20).submit(&file.text, "my-key").await.expect("submitted");
    assert!(submitted.existing);
    assert!(asked.elapsed() >= Duration::from_secs(1), "Retry-After is honoured");
}

#[tokio::test]
async fn a_job_that_moves_is_resumed_where_it_went() {
    let first = fake::gate(|_, command| match command {
        Command::Watch { after: 0, .. } => {
            let updates =
                vec![fake::update(1, JobStatus::Submitted), fake::update(2, JobStatus::Running)];
            Some(Reply::Watching { updates, truncated: false })
        }
        // The job moves.
        Command::Watch { .. } => Some(Reply::Refused(Refusal::NotReady)),
        Command::Status(_) => Some(Reply::Status(Box::new(fake::view(JobStatus::Running)))),
        other => panic!("{other:?}"),
    });
    let second = fake::gate(|_, command| match command {
        Command::Watch { after: 2, .. } => {
            let updates =
                vec![fake::update(9, JobStatus::Running), fake::update(10, JobStatus::Completed)];
            Some(Reply::Watching { updates, truncated: true })
        }
        other => panic!("{other:?}"),
    });
    let ((a, _stop), (b, _stop_too)) = (served(first).await, served(second).await);
    let mut seen = Vec::new();
    let mut client = client(&[a, b], 20);
    client.follow("j17", |_, view| seen.push(view.status.clone())).await.expect("followed");
    assert_eq!(seen, ["submitted", "running", "running", "completed"]);
}

/// A server that gives these bytes to every connection.
async fn speaking(text: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(text.as_bytes()).await;
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn an_update_that_comes_again_is_shown_once() {
    const STREAM: &str = "HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n\
        event: update\nid: 5\ndata: {\"id\":\"j1\",\"name\":\"\",\"status\":\"running\",\
        \"terminal\":false,\"reason\":\"\",\"workflows\":[]}\n\n\
        event: update\nid: 5\ndata: {\"id\":\"j1\",\"name\":\"\",\"status\":\"again\",\
        \"terminal\":false,\"reason\":\"\",\"workflows\":[]}\n\n\
        event: update\nid: 6\ndata: {\"id\":\"j1\",\"name\":\"\",\"status\":\"completed\",\
        \"terminal\":true,\"reason\":\"\",\"workflows\":[]}\n\n";
    let mut seen = Vec::new();
    let mut client = client(&[speaking(STREAM).await], 20);
    client.follow("j1", |_, view| seen.push(view.status.clone())).await.expect("followed");
    assert_eq!(seen, ["running", "completed"]);
}
