use hyperscale_core::ids::{BootId, ClusterId, DiskId};
use hyperscale_core::wire::frame::{FrameReader, encode_frame_of};
use hyperscale_core::wire::version::{Features, VERSION};
use hyperscale_core::wire::{Capacity, Message, codec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::discovery::fake::Server;
use crate::transport::RoleName;

fn hello(cluster: u64, role: RoleName, node: u64) -> Hello {
    Hello {
        cluster: ClusterId::new(cluster),
        role,
        node: NodeId::new(node),
        datacenter: None,
        disk: DiskId::new(node),
        boot: BootId::new(node),
        build: "test".to_owned(),
        environment: "default".to_owned(),
        features: Features::of_minor(VERSION.minor),
    }
}

struct End {
    peers: Peers,
    inbox: mpsc::Sender<Input>,
    inputs: mpsc::Receiver<Input>,
}

fn end(node: u64) -> End {
    let (inbox, inputs) = mpsc::channel(64);
    End { peers: Peers::new(NodeId::new(node)), inbox, inputs }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("in time")
}

fn capacity(workers: u32) -> Box<Message> {
    Box::new(Message::Capacity(Capacity { workers, ..Capacity::default() }))
}

/// Sends again until it arrives: a peer that is not connected loses messages.
async fn delivered(from: &Peers, to: NodeId, msg: Box<Message>, at: &mut End) -> Input {
    within(async {
        loop {
            from.send(to, msg.clone());
            let soon = tokio::time::timeout(Duration::from_millis(20), at.inputs.recv());
            if let Ok(Some(input)) = soon.await {
                return input;
            }
        }
    })
    .await
}

#[tokio::test]
async fn messages_go_both_ways_and_survive_a_restarted_listener() {
    let (mut manager, mut worker) = (end(10), end(20));
    let me = hello(1, RoleName::Manager, 10);
    let listener = listen("127.0.0.1:0", me.clone(), manager.peers.clone(), manager.inbox.clone())
        .await
        .unwrap();
    let addr = listener.addr().to_string();
    let task = dial(
        Dial { node: NodeId::new(10), addr: addr.clone() },
        hello(1, RoleName::Worker, 20),
        worker.peers.clone(),
        worker.inbox.clone(),
    );
    let up = delivered(&worker.peers, NodeId::new(10), capacity(1), &mut manager).await;
    assert_eq!(up, Input::Received { from: NodeId::new(20), msg: capacity(1) });
    let down = delivered(&manager.peers, NodeId::new(20), capacity(2), &mut worker).await;
    assert_eq!(down, Input::Received { from: NodeId::new(10), msg: capacity(2) });

    drop(listener);
    let again = within(async {
        loop {
            let bound =
                listen(&addr, me.clone(), manager.peers.clone(), manager.inbox.clone()).await;
            if let Ok(listener) = bound {
                return listener;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let up = delivered(&worker.peers, NodeId::new(10), capacity(3), &mut manager).await;
    assert!(matches!(up, Input::Received { .. }));
    task.abort();
    drop(again);
}

#[tokio::test]
async fn compatible_only() {
    let mut manager = end(10);
    let me = hello(1, RoleName::Manager, 10);
    let listener =
        listen("127.0.0.1:0", me, manager.peers.clone(), manager.inbox.clone()).await.unwrap();
    let to = Dial { node: NodeId::new(10), addr: listener.addr().to_string() };
    let refused = connect(&to.addr, to.node, &hello(2, RoleName::Worker, 20)).await.unwrap_err();
    assert!(refused.contains("c1") && refused.contains("c2"), "{refused}");
    let prod = Hello { environment: "prod".to_owned(), ..hello(1, RoleName::Worker, 20) };
    let refused = connect(&to.addr, to.node, &prod).await.unwrap_err();
    assert!(refused.contains("default") && refused.contains("prod"), "{refused}");
    assert!(manager.inputs.try_recv().is_err());
}

/// Listens as a manager at an address, on a port that is the same for all.
async fn manager_at(address: &str, node: u64, end: &End) -> Listener {
    let me = hello(1, RoleName::Manager, node);
    listen(address, me, end.peers.clone(), end.inbox.clone()).await.unwrap()
}

#[tokio::test]
async fn peers_behind_one_name_are_found_by_their_numbers_wherever_they_move() {
    let dns = Server::start(60).await;
    let mut managers = [end(10), end(11)];
    let mut worker = end(20);
    let first = manager_at("127.0.0.1:0", 10, &managers[0]).await;
    let port = first.addr().port();
    let second = manager_at(&format!("127.0.0.2:{port}"), 11, &managers[1]).await;
    dns.set_a("managers.test", &[1, 2]);
    let addr = format!("dns://managers.test.:{port}");
    let tasks = [10, 11].map(|node| {
        let to = Dial { node: NodeId::new(node), addr: addr.clone() };
        let search = Search::new(to, NodeId::new(20), Names::asking(dns.addr));
        let me = hello(1, RoleName::Worker, 20);
        tokio::spawn(keep(search, me, worker.peers.clone(), worker.inbox.clone()))
    });
    for (place, node) in [10, 11].into_iter().enumerate() {
        let up = delivered(&worker.peers, NodeId::new(node), capacity(1), &mut managers[place]);
        assert!(matches!(up.await, Input::Received { from, .. } if from == NodeId::new(20)));
    }
    // Everything goes down and comes back at other addresses.
    drop((first, second));
    let _first = manager_at(&format!("127.0.0.3:{port}"), 11, &managers[1]).await;
    let _second = manager_at(&format!("127.0.0.4:{port}"), 10, &managers[0]).await;
    dns.set_a("managers.test", &[3, 4]);
    for (place, node) in [10, 11].into_iter().enumerate() {
        let up = delivered(&worker.peers, NodeId::new(node), capacity(7), &mut managers[place]);
        assert!(matches!(up.await, Input::Received { msg, .. } if msg == capacity(7)));
        let to = NodeId::new(20);
        let down = delivered(&managers[place].peers, to, capacity(8), &mut worker).await;
        assert!(matches!(down, Input::Received { from, .. } if from == NodeId::new(node)));
    }
    tasks.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn a_target_that_is_none_says_so() {
    let to = Dial { node: NodeId::new(10), addr: "http://gate".to_owned() };
    let mut search = Search::new(to, NodeId::new(20), Names::system());
    let failure = search.connect(&hello(1, RoleName::Worker, 20)).await.unwrap_err();
    assert!(failure.contains("srv://"), "{failure}");
}

/// A peer whose bytes the test writes itself, as a node of another minor; the other's greeting is
/// read.
async fn by_hand(to: std::net::SocketAddr, minor: u16, node: u64) -> TcpStream {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let hello = crate::transport::greeting::Greeting::Hello(hello(1, RoleName::Worker, node));
    let mut payload = codec::encode(&hello, 1 << 16).unwrap();
    payload.extend(vec![9; usize::from(minor > VERSION.minor)]);
    let mut bytes = Vec::new();
    encode_frame_of(minor, 0, &payload, &mut bytes).unwrap();
    stream.write_all(&bytes).await.unwrap();
    let mut chunk = [0; 1024];
    assert!(stream.read(&mut chunk).await.unwrap() > 0);
    stream
}

async fn write_frame(stream: &mut TcpStream, minor: u16, payload: &[u8]) {
    let mut bytes = Vec::new();
    encode_frame_of(minor, 1, payload, &mut bytes).unwrap();
    stream.write_all(&bytes).await.unwrap();
}

#[tokio::test]
async fn an_unknown_kind_of_a_newer_minor_is_counted_and_ends_nothing() {
    let mut manager = end(10);
    let me = hello(1, RoleName::Manager, 10);
    let listener =
        listen("127.0.0.1:0", me, manager.peers.clone(), manager.inbox.clone()).await.unwrap();
    let newer = VERSION.minor + 1;
    let mut stream = by_hand(listener.addr(), newer, 20).await;
    write_frame(&mut stream, newer, &[200, 1, 2, 3]).await;
    let payload = codec::encode(&*capacity(4), 1 << 16).unwrap();
    write_frame(&mut stream, VERSION.minor, &payload).await;
    let from = NodeId::new(20);
    assert_eq!(within(manager.inputs.recv()).await, Some(Input::Unknown { from }));
    let known = Input::Received { from, msg: capacity(4) };
    assert_eq!(within(manager.inputs.recv()).await, Some(known));
    write_frame(&mut stream, VERSION.minor, &[200, 1, 2, 3]).await;
    let mut rest = Vec::new();
    within(stream.read_to_end(&mut rest)).await.ok();
    assert!(manager.inputs.try_recv().is_err(), "of an equal minor it is damage");
}

#[tokio::test]
async fn an_older_peer_is_talked_to_in_its_own_form() {
    let mut manager = end(10);
    let me = hello(1, RoleName::Manager, 10);
    let listener =
        listen("127.0.0.1:0", me, manager.peers.clone(), manager.inbox.clone()).await.unwrap();
    let mut stream = by_hand(listener.addr(), 0, 20).await;
    let payload = codec::encode(&*capacity(4), 1 << 16).unwrap();
    write_frame(&mut stream, 0, &payload).await;
    assert!(matches!(within(manager.inputs.recv()).await, Some(Input::Received { .. })));
    manager.peers.send(NodeId::new(20), capacity(5));
    let mut reader = FrameReader::new();
    let minor = within(async {
        loop {
            let mut chunk = [0; 1024];
            let read = stream.read(&mut chunk).await.unwrap();
            reader.push(&chunk[..read]);
            if let Some(frame) = reader.next_frame().unwrap() {
                return frame.minor;
            }
        }
    });
    assert_eq!(minor.await, 0);
}

#[tokio::test]
async fn another_major_is_refused_with_both_versions() {
    let mut manager = end(10);
    let me = hello(1, RoleName::Manager, 10);
    let listener =
        listen("127.0.0.1:0", me, manager.peers.clone(), manager.inbox.clone()).await.unwrap();
    let mut stream = TcpStream::connect(listener.addr()).await.unwrap();
    let mut bytes = Vec::new();
    encode_frame_of(0, 0, b"", &mut bytes).unwrap();
    bytes[4] = 2;
    stream.write_all(&bytes).await.unwrap();
    let mut answer = Vec::new();
    within(stream.read_to_end(&mut answer)).await.ok();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let expected = format!("protocol version 2.0 cannot talk to {VERSION}");
    assert!(answer.contains(&expected), "{answer}");
    assert!(manager.inputs.try_recv().is_err());
}

#[tokio::test]
async fn a_gigabyte_length_prefix_closes_the_connection() {
    let mut manager = end(10);
    let me = hello(1, RoleName::Manager, 10);
    let listener =
        listen("127.0.0.1:0", me, manager.peers.clone(), manager.inbox.clone()).await.unwrap();
    let mut stream = TcpStream::connect(listener.addr()).await.unwrap();
    let mut header = b"HYS1".to_vec();
    header.extend([1, 0, 0, 0, 1, 0]);
    header.extend((1u32 << 30).to_le_bytes());
    header.extend([0; 4]);
    stream.write_all(&header).await.unwrap();
    let mut rest = Vec::new();
    within(stream.read_to_end(&mut rest)).await.ok();
    assert!(manager.inputs.try_recv().is_err());
}

#[tokio::test]
async fn two_managers_that_dial_each_other_keep_both_connections() {
    let mut ends = [end(10), end(11)];
    let hellos = [10, 11].map(|node| hello(1, RoleName::Manager, node));
    let mut listeners = Vec::new();
    for (end, me) in ends.iter().zip(&hellos) {
        let (peers, inbox) = (end.peers.clone(), end.inbox.clone());
        listeners.push(listen("127.0.0.1:0", me.clone(), peers, inbox).await.unwrap());
    }
    let tasks = [(0, 1), (1, 0)].map(|(from, to)| {
        let end: &End = &ends[from];
        let addr = listeners[to].addr().to_string();
        let to = Dial { node: hellos[to].node, addr };
        dial(to, hellos[from].clone(), end.peers.clone(), end.inbox.clone())
    });
    let [a, b] = &mut ends;
    for n in 1..=50 {
        let there = delivered(&a.peers, NodeId::new(11), capacity(n), b).await;
        assert!(matches!(there, Input::Received { from, .. } if from == NodeId::new(10)));
        let back = delivered(&b.peers, NodeId::new(10), capacity(n), a).await;
        assert!(matches!(back, Input::Received { from, .. } if from == NodeId::new(11)));
    }
    tasks.iter().for_each(JoinHandle::abort);
}
