//! A name server for tests: one UDP socket on this machine, and a zone that tests change.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// A record of the zone.
#[derive(Clone, Debug)]
pub(crate) enum Record {
    A(Ipv4Addr),
    Srv { priority: u16, port: u16, host: &'static str },
}

#[derive(Debug, Default)]
struct Zone {
    records: BTreeMap<String, Vec<Record>>,
    ttl: u32,
    asked: u64,
    silent: bool,
}

/// A running name server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(ttl: u32) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let addr = socket.local_addr().unwrap();
        let zone = Arc::new(Mutex::new(Zone { ttl, ..Zone::default() }));
        let shared = Arc::clone(&zone);
        let task = tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
                let answer = shared.lock().unwrap().answer(&buffer[..len]);
                if let Some(answer) = answer {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        Self { addr, zone, task }
    }

    /// The records of a name; none: it does not exist.
    pub(crate) fn set(&self, name: &str, records: Vec<Record>) {
        self.zone.lock().unwrap().records.insert(name.to_owned(), records);
    }

    pub(crate) fn set_a(&self, name: &str, last: &[u8]) {
        let of = |n: &u8| Record::A(Ipv4Addr::new(127, 0, 0, *n));
        self.set(name, last.iter().map(of).collect());
    }

    /// From now on it says nothing, or again something.
    pub(crate) fn silence(&self, silent: bool) {
        self.zone.lock().unwrap().silent = silent;
    }

    /// Questions so far.
    pub(crate) fn asked(&self) -> u64 {
        self.zone.lock().unwrap().asked
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Zone {
    fn answer(&mut self, question: &[u8]) -> Option<Vec<u8>> {
        self.asked += 1;
        if self.silent {
            return None;
        }
        let (name, end) = read_name(question.get(12..)?)?;
        let end = 12 + end;
        let kind = u16::from_be_bytes(question.get(end..end + 2)?.try_into().ok()?);
        let records = self.records.get(&name.to_lowercase()).cloned().unwrap_or_default();
        let mut answers = Vec::new();
        for record in &records {
            let (of, data) = record.data();
            if of == kind {
                answers.extend([0xC0, 12]);
                answers.extend(of.to_be_bytes());
                answers.extend(1_u16.to_be_bytes());
                answers.extend(self.ttl.to_be_bytes());
                answers.extend((data.len() as u16).to_be_bytes());
                answers.extend(data);
            }
        }
        let count = records.iter().filter(|record| record.data().0 == kind).count() as u16;
        let mut out = question.get(..2)?.to_vec();
        out.extend([0x81, if records.is_empty() { 0x83 } else { 0x80 }, 0, 1]);
        out.extend(count.to_be_bytes());
        out.extend([0; 4]);
        out.extend(question.get(12..end + 4)?);
        out.extend(answers);
        Some(out)
    }
}

impl Record {
    fn data(&self) -> (u16, Vec<u8>) {
        match self {
            Self::A(ip) => (1, ip.octets().to_vec()),
            Self::Srv { priority, port, host } => {
                let mut data = priority.to_be_bytes().to_vec();
                data.extend([0, 1]);
                data.extend(port.to_be_bytes());
                for label in host.split('.') {
                    data.push(label.len() as u8);
                    data.extend(label.bytes());
                }
                data.push(0);
                (33, data)
            }
        }
    }
}

/// A name without its final dot, and how many bytes it takes.
fn read_name(bytes: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), 0);
    loop {
        let len = usize::from(*bytes.get(at)?);
        at += 1;
        if len == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8(bytes.get(at..at + len)?.to_vec()).ok()?);
        at += len;
    }
}
