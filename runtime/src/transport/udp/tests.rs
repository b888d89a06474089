use hyperscale_core::ids::{BootId, DiskId};
use hyperscale_core::membership::{Standing, Update};
use hyperscale_core::wire::version::Features;

use super::*;

const WAIT: Duration = Duration::from_secs(20);

fn hello(cluster: u64, role: RoleName, node: u64) -> Hello {
    Hello {
        cluster: ClusterId::new(cluster),
        role,
        node: NodeId::new(node),
        datacenter: (role == RoleName::Manager).then(|| "a".to_owned()),
        disk: DiskId::new(node),
        boot: BootId::new(1),
        build: String::new(),
        environment: "default".to_owned(),
        features: Features::of_minor(1),
    }
}

fn update(role: MemberRole, node: u64) -> Update {
    Update {
        node: NodeId::new(node),
        role,
        boot: BootId::new(1),
        incarnation: 0,
        standing: Standing::Alive,
        by: NodeId::new(node),
    }
}

fn message(role: MemberRole, node: u64, mentioned: &[u64]) -> Message {
    let mentioned: Vec<Update> =
        mentioned.iter().map(|node| update(MemberRole::Worker, *node)).collect();
    Message {
        sender: update(role, node),
        kind: Kind::Ping { seq: 5 },
        updates: BoundedVec::try_from(mentioned).expect("few"),
    }
}

struct Bound {
    datagrams: Datagrams,
    inbox: mpsc::Receiver<Input>,
    _receiver: Receiver,
}

impl Bound {
    async fn new(me: Hello, peers: &[(u64, SocketAddr)]) -> Self {
        let (sender, inbox) = mpsc::channel(16);
        let dial = |(node, addr): &(u64, SocketAddr)| Dial {
            node: NodeId::new(*node),
            addr: addr.to_string(),
        };
        let any = "127.0.0.1:0".parse().expect("an address");
        let peers = peers.iter().map(dial).collect();
        let bound = Datagrams::bind(any, me, peers, sender).await.expect("bound");
        Self { datagrams: bound.0, inbox, _receiver: bound.1 }
    }

    fn addr(&self) -> SocketAddr {
        self.datagrams.addr().expect("an address")
    }

    async fn sent(&self, to: u64, msg: &Message) {
        let sending = async {
            while !self.datagrams.send(NodeId::new(to), msg.clone()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(WAIT, sending).await.expect("an address in time");
    }

    async fn heard(&mut self) -> (NodeId, Message) {
        let input = tokio::time::timeout(WAIT, self.inbox.recv()).await.expect("in time");
        match input.expect("open") {
            Input::Received { from, msg } => match *msg {
                wire::Message::Swim(msg) => (from, msg),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_worker_is_answered_where_it_spoke_from_and_its_peers_learn_the_address() {
    let mut manager = Bound::new(hello(7, RoleName::Manager, 1), &[]).await;
    let at = manager.addr();
    let mut first = Bound::new(hello(7, RoleName::Worker, 2), &[(1, at)]).await;
    let second = Bound::new(hello(7, RoleName::Worker, 3), &[(1, at)]).await;
    first.sent(1, &message(MemberRole::Worker, 2, &[])).await;
    assert_eq!(manager.heard().await, (NodeId::new(2), message(MemberRole::Worker, 2, &[])));
    second.sent(1, &message(MemberRole::Worker, 3, &[])).await;
    manager.heard().await;

    let news = message(MemberRole::Manager, 1, &[2]);
    manager.sent(3, &news).await;
    second.sent(2, &message(MemberRole::Worker, 3, &[])).await;
    assert_eq!(first.heard().await.0, NodeId::new(3));
}

#[tokio::test]
async fn strangers_are_counted_and_dropped() {
    let mut manager = Bound::new(hello(7, RoleName::Manager, 1), &[]).await;
    let at = manager.addr();
    let stranger = Bound::new(hello(8, RoleName::Worker, 2), &[(1, at)]).await;
    stranger.sent(1, &message(MemberRole::Worker, 2, &[])).await;
    let gate = Bound::new(hello(7, RoleName::Gate, 4), &[(1, at)]).await;
    gate.sent(1, &message(MemberRole::Gate, 4, &[])).await;
    let noise = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    noise.send_to(&[0x48; 60], at).await.expect("sent");

    let worker = Bound::new(hello(7, RoleName::Worker, 3), &[(1, at)]).await;
    worker.sent(1, &message(MemberRole::Worker, 3, &[])).await;
    assert_eq!(manager.heard().await.0, NodeId::new(3));
    let dropped = async {
        while manager.datagrams.dropped() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(WAIT, dropped).await.expect("all three are counted");
}

#[tokio::test]
async fn the_fullest_datagram_keeps_its_size_and_drops_addresses() {
    let bound = Bound::new(hello(u64::MAX, RoleName::Manager, 1), &[]).await;
    let v6: SocketAddr = "[2001:db8::1]:65535".parse().expect("an address");
    let full = |node| Update {
        node: NodeId::new(u64::MAX - node),
        boot: BootId::new(u64::MAX),
        incarnation: 1 << 48,
        by: NodeId::new(u64::MAX),
        ..update(MemberRole::Worker, 0)
    };
    let updates: Vec<Update> = (1..=SWIM_UPDATES_MAX as u64).map(full).collect();
    for update in &updates {
        let place = Place { addr: v6, seen: None };
        bound.datagrams.shared.places().insert(update.node, place);
    }
    let updates = BoundedVec::try_from(updates).expect("a full message");
    let msg = Message { updates, ..message(MemberRole::Manager, 1, &[]) };
    let bytes = bound.datagrams.shared.encode(NodeId::new(9), msg).expect("encoded");
    assert!(bytes.len() <= DATAGRAM_MAX && bytes.len() > DATAGRAM_MAX / 2, "{}", bytes.len());
}

#[tokio::test]
async fn a_taken_port_is_an_error() {
    let bound = Bound::new(hello(7, RoleName::Manager, 1), &[]).await;
    let (sender, _inbox) = mpsc::channel(1);
    let again = Datagrams::bind(bound.addr(), hello(7, RoleName::Manager, 2), Vec::new(), sender);
    assert_eq!(again.await.expect_err("taken").kind(), io::ErrorKind::AddrInUse);
}
