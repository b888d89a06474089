//! A server that answers at once and remembers every `X-Hyperscale-Index` it saw, and when.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use sim::scenario::Arrival;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// What was served, by the name of its workflow.
type Seen = Arc<Mutex<BTreeMap<String, Vec<(Instant, u64)>>>>;

/// The server; it stops with its runtime.
#[derive(Debug)]
pub(crate) struct Target {
    addr: SocketAddr,
    seen: Seen,
}

impl Target {
    /// Serves on this address, on a runtime that lives where clients do.
    pub(crate) fn start(runtime: &Handle, addr: IpAddr) -> Self {
        let seen = Seen::default();
        let shared = Arc::clone(&seen);
        let (tell, told) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            let listener = TcpListener::bind((addr, 0)).await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { addr: told.recv().unwrap(), seen }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What was served of a workflow, in order of time since `start`.
    pub(crate) fn served(&self, workflow: &str, start: Instant) -> Vec<Arrival> {
        let seen = self.seen.lock().unwrap();
        let arrivals = seen.get(workflow).into_iter().flatten();
        let mut arrivals: Vec<Arrival> =
            arrivals.map(|(at, index)| Arrival { at: *at - start, index: *index }).collect();
        arrivals.sort();
        arrivals
    }
}

async fn serve(mut stream: TcpStream, seen: Seen) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        while let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            buffer.drain(..end + 4);
            let (workflow, index) = index(&head).expect("every request carries its index");
            let at = Instant::now();
            seen.lock().unwrap().entry(workflow).or_default().push((at, index));
            if stream.write_all(RESPONSE).await.is_err() {
                return;
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(n) => buffer.extend_from_slice(&chunk[..n]),
        }
    }
}

/// The workflow's name and the index out of a request's head.
fn index(head: &str) -> Option<(String, u64)> {
    let value = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("x-hyperscale-index").then(|| value.trim())
    })?;
    let (workflow, index) = value.rsplit_once('/')?;
    Some((workflow.to_owned(), index.parse().ok()?))
}
