//! One established TCP connection: greeting, then frames both ways.

use std::time::Duration;

use bytes::Bytes;
use hyperscale_core::flow::Class;
use hyperscale_core::ids::NodeId;
use hyperscale_core::input::Input;
use hyperscale_core::wire::frame::{FRAME_MAX, FrameError, FrameReader, encode_frame_of};
use hyperscale_core::wire::version::{self, Features, Heard, VERSION};
use hyperscale_core::wire::{Message, codec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

use super::greeting::{Greeting, GreetingError, Hello};
use super::outbox::Outbox;
use super::peers::{Direction, Peers};

/// How long what was sent may go without acknowledgement.
const UNHEARD_MAX: Duration = Duration::from_secs(3);
/// How long a greeting may take.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);
const CLASS_GREETING: u8 = 0;
const CLASS_MESSAGE: u8 = 1;

/// A message as a frame for a peer of `minor`; `None` if it is larger than a frame may be.
pub(super) fn encode(msg: &Message, minor: u16) -> Option<Bytes> {
    let said = version::say(msg, minor, FRAME_MAX).map_err(|error| error.to_string());
    said.and_then(|said| frame(said.minor, CLASS_MESSAGE, &said.payload))
        .inspect_err(|error| tracing::error!(error, "a message cannot be framed"))
        .ok()
}

fn frame(minor: u16, class: u8, payload: &[u8]) -> Result<Bytes, String> {
    let mut out = Vec::with_capacity(payload.len() + 32);
    encode_frame_of(minor, class, payload, &mut out).map_err(|error| error.to_string())?;
    Ok(out.into())
}

/// Greetings are in the form of our minor: they only ever grow at their end.
fn greeting(value: &Greeting) -> Result<Bytes, String> {
    let payload = codec::encode(value, FRAME_MAX).map_err(|error| error.to_string())?;
    frame(VERSION.minor, CLASS_GREETING, &payload)
}

/// A connection that has greeted.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) peer: Hello,
    /// The newest minor in whose form both sides can talk.
    pub(super) minor: u16,
    read: OwnedReadHalf,
    write: OwnedWriteHalf,
    frames: FrameReader,
}

impl Link {
    /// Greets both ways. A refused peer is told why.
    pub(super) async fn greet(
        stream: TcpStream,
        me: &Hello,
        expected: Option<NodeId>,
    ) -> Result<Self, GreetingError> {
        // Only latency is at stake.
        let _ = stream.set_nodelay(true);
        let unheard = u32::try_from(UNHEARD_MAX.as_millis()).unwrap_or(u32::MAX);
        let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, unheard);
        tokio::time::timeout(GREETING_TIMEOUT, Self::exchange(stream, me, expected))
            .await
            .map_err(|_| GreetingError::Silent(format!("nothing within {GREETING_TIMEOUT:?}")))?
    }

    async fn exchange(
        stream: TcpStream,
        me: &Hello,
        expected: Option<NodeId>,
    ) -> Result<Self, GreetingError> {
        let refuse = async |write: &mut OwnedWriteHalf, error: GreetingError| {
            let refused = Greeting::Refused { reason: error.to_string() };
            if let Ok(bytes) = greeting(&refused) {
                let _ = write.write_all(&bytes).await;
            }
            Err(error)
        };
        let silent = |error: std::io::Error| GreetingError::Silent(error.to_string());
        let (mut read, mut write) = stream.into_split();
        let hello = greeting(&Greeting::Hello(me.clone()));
        write.write_all(&hello.map_err(GreetingError::Silent)?).await.map_err(silent)?;
        let mut frames = FrameReader::new();
        let (peer, theirs) = loop {
            match frames.next_frame() {
                Ok(Some(frame)) => match codec::decode_prefix(frame.payload) {
                    Ok(Greeting::Hello(peer)) => break (peer, frame.minor),
                    Ok(Greeting::Refused { reason }) => return Err(GreetingError::Refused(reason)),
                    Err(error) => return Err(GreetingError::Silent(error.to_string())),
                },
                Ok(None) => {}
                Err(FrameError::Version { found, ours }) => {
                    return refuse(&mut write, GreetingError::Version { found, ours }).await;
                }
                Err(error) => return Err(GreetingError::Silent(error.to_string())),
            }
            fill(&mut read, &mut frames).await.map_err(silent)?;
        };
        if let Err(error) = me.accept(&peer, expected) {
            return refuse(&mut write, error).await;
        }
        Ok(Self { peer, minor: theirs.min(VERSION.minor), read, write, frames })
    }

    /// What both sides know.
    pub(super) fn features(&self) -> Features {
        Features::of_minor(VERSION.minor).shared(self.peer.features)
    }

    /// Carries messages until the connection breaks or the node's queue closes. A frame that is not
    /// ours ends it.
    pub(super) async fn run(
        self,
        direction: Direction,
        peers: &Peers,
        inbox: &mpsc::Sender<Input>,
    ) -> String {
        let Self { peer, minor, read, write, frames } = self;
        let outbox = Outbox::default();
        let connection = peers.connect_wire(peer.node, direction, (minor, outbox.clone()));
        let reason = tokio::select! {
            reason = receive(read, frames, (peer.node, peers), inbox) => reason,
            reason = transmit(write, &outbox) => reason,
        };
        peers.disconnect_wire(peer.node, direction, connection);
        reason
    }
}

async fn fill(read: &mut OwnedReadHalf, frames: &mut FrameReader) -> std::io::Result<()> {
    let mut chunk = [0; 16 << 10];
    match read.read(&mut chunk).await? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        n => {
            frames.push(&chunk[..n]);
            Ok(())
        }
    }
}

async fn receive(
    mut read: OwnedReadHalf,
    mut frames: FrameReader,
    (from, peers): (NodeId, &Peers),
    inbox: &mpsc::Sender<Input>,
) -> String {
    loop {
        loop {
            let heard = match frames.next_frame() {
                Ok(Some(frame)) if frame.class == CLASS_GREETING => {
                    return match codec::decode_prefix(frame.payload) {
                        Ok(Greeting::Refused { reason }) => {
                            format!("refused by the peer: {reason}")
                        }
                        Ok(Greeting::Hello(_)) | Err(_) => "a second greeting".to_owned(),
                    };
                }
                Ok(Some(frame)) => match version::hear(frame.payload, frame.minor, VERSION.minor) {
                    Ok(heard) => heard,
                    Err(error) => return format!("a message does not decode: {error}"),
                },
                Ok(None) => break,
                Err(error) => return error.to_string(),
            };
            let input = match heard {
                Heard::Message(msg) if !takes(inbox, &msg) => {
                    let mut dropped = [0; 4];
                    dropped[Class::of(&msg).index()] = 1;
                    peers.on_dropped(dropped);
                    continue;
                }
                Heard::Message(msg) => Input::Received { from, msg },
                Heard::Unknown => Input::Unknown { from },
            };
            if inbox.send(input).await.is_err() {
                return "the node ended".to_owned();
            }
        }
        if let Err(error) = fill(&mut read, &mut frames).await {
            return error.to_string();
        }
    }
}

/// Whether a node's queue has room for a message of this class: what may be dropped must not keep
/// waiting what may not.
fn takes(inbox: &mpsc::Sender<Input>, msg: &Message) -> bool {
    let (room, all) = (inbox.capacity(), inbox.max_capacity());
    match Class::of(msg) {
        Class::Control | Class::Dispatch => true,
        Class::Data => room > all / 4,
        Class::Telemetry => room > all / 2,
    }
}

async fn transmit(mut write: OwnedWriteHalf, outbox: &Outbox) -> String {
    while let Some(frame) = outbox.pop().await {
        if let Err(error) = write.write_all(&frame).await {
            return error.to_string();
        }
    }
    "replaced by a newer connection".to_owned()
}
