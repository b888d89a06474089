//! A server that answers at once and remembers every `X-Hyperscale-Index` it saw, and when.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[derive(Debug, Default)]
struct Seen {
    requests: Vec<(Instant, String)>,
}

/// The server; it stops when dropped.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) addr: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    _runtime: tokio::runtime::Runtime,
}

impl Target {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { addr, seen, _runtime: runtime }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Requests served so far.
    pub(crate) fn served(&self) -> u64 {
        self.seen.lock().unwrap().requests.len() as u64
    }

    /// How often each index was served, where more than once.
    pub(crate) fn repeated(&self) -> BTreeMap<String, u32> {
        let mut counts = BTreeMap::new();
        for (_, index) in &self.seen.lock().unwrap().requests {
            *counts.entry(index.clone()).or_insert(0) += 1;
        }
        counts.retain(|_, count| *count > 1);
        counts
    }

    /// The most requests that arrived within any window of this length.
    pub(crate) fn busiest(&self, window: Duration) -> u64 {
        let mut times: Vec<Instant> =
            self.seen.lock().unwrap().requests.iter().map(|(at, _)| *at).collect();
        times.sort();
        let (mut first, mut most) = (0, 0);
        for (last, at) in times.iter().enumerate() {
            while *at - times[first] >= window {
                first += 1;
            }
            most = most.max(last + 1 - first);
        }
        most as u64
    }

    /// The longest time without a request between the first and the last one.
    pub(crate) fn longest_gap(&self) -> Duration {
        let mut times: Vec<Instant> =
            self.seen.lock().unwrap().requests.iter().map(|(at, _)| *at).collect();
        times.sort();
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// Requests that arrived at or after `from` and before `until`.
    pub(crate) fn served_between(&self, from: Instant, until: Instant) -> u64 {
        let seen = self.seen.lock().unwrap();
        seen.requests.iter().filter(|(at, _)| *at >= from && *at < until).count() as u64
    }
}

async fn serve(mut stream: TcpStream, seen: Arc<Mutex<Seen>>) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        while let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            buffer.drain(..end + 4);
            let index = head
                .lines()
                .find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    name.eq_ignore_ascii_case("x-hyperscale-index").then(|| value.trim().to_owned())
                })
                .expect("every request carries its index");
            seen.lock().unwrap().requests.push((Instant::now(), index));
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
