//! One established TCP connection: greeting, then frames both ways.

use std::time::Duration;

use bytes::Bytes;
use hyperscale_core::ids::NodeId;
use hyperscale_core::input::Input;
use hyperscale_core::wire::Message;
use hyperscale_core::wire::codec;
use hyperscale_core::wire::frame::{FRAME_MAX, FrameReader, encode_frame};
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

/// A message as a frame; `None` if it is larger than a frame may be.
pub(super) fn encode(msg: &Message) -> Option<Bytes> {
    frame(CLASS_MESSAGE, msg)
        .inspect_err(|error| tracing::error!(error, "a message cannot be framed"))
        .ok()
}

fn frame<T: serde::Serialize>(class: u8, value: &T) -> Result<Bytes, String> {
    let payload = codec::encode(value, FRAME_MAX).map_err(|error| error.to_string())?;
    let mut out = Vec::with_capacity(payload.len() + 32);
    encode_frame(class, &payload, &mut out).map_err(|error| error.to_string())?;
    Ok(out.into())
}

/// A connection that has greeted.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) peer: Hello,
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
        let silent = |error: std::io::Error| GreetingError::Silent(error.to_string());
        let (mut read, mut write) = stream.into_split();
        let hello = frame(CLASS_GREETING, &Greeting::Hello(me.clone()));
        write.write_all(&hello.map_err(GreetingError::Silent)?).await.map_err(silent)?;
        let mut frames = FrameReader::new();
        let peer = loop {
            match frames.next_frame() {
                Ok(Some(frame)) => match codec::decode(frame.payload) {
                    Ok(Greeting::Hello(peer)) => break peer,
                    Ok(Greeting::Refused { reason }) => return Err(GreetingError::Refused(reason)),
                    Err(error) => return Err(GreetingError::Silent(error.to_string())),
                },
                Ok(None) => {}
                Err(error) => return Err(GreetingError::Silent(error.to_string())),
            }
            fill(&mut read, &mut frames).await.map_err(silent)?;
        };
        if let Err(error) = me.accept(&peer, expected) {
            let refused = Greeting::Refused { reason: error.to_string() };
            if let Ok(bytes) = frame(CLASS_GREETING, &refused) {
                let _ = write.write_all(&bytes).await;
            }
            return Err(error);
        }
        Ok(Self { peer, read, write, frames })
    }

    /// Carries messages until the connection breaks or the node's queue closes. A frame that is not
    /// ours ends it.
    pub(super) async fn run(
        self,
        direction: Direction,
        peers: &Peers,
        inbox: &mpsc::Sender<Input>,
    ) -> String {
        let Self { peer, read, write, frames } = self;
        let outbox = Outbox::default();
        let connection = peers.connect_wire(peer.node, direction, outbox.clone());
        let reason = tokio::select! {
            reason = receive(read, frames, peer.node, inbox) => reason,
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
    from: NodeId,
    inbox: &mpsc::Sender<Input>,
) -> String {
    loop {
        loop {
            let msg = match frames.next_frame() {
                Ok(Some(frame)) if frame.class == CLASS_GREETING => {
                    return match codec::decode(frame.payload) {
                        Ok(Greeting::Refused { reason }) => {
                            format!("refused by the peer: {reason}")
                        }
                        Ok(Greeting::Hello(_)) | Err(_) => "a second greeting".to_owned(),
                    };
                }
                Ok(Some(frame)) => match codec::decode::<Message>(frame.payload) {
                    Ok(msg) => msg,
                    Err(error) => return format!("a message does not decode: {error}"),
                },
                Ok(None) => break,
                Err(error) => return error.to_string(),
            };
            if inbox.send(Input::Received { from, msg: Box::new(msg) }).await.is_err() {
                return "the node ended".to_owned();
            }
        }
        if let Err(error) = fill(&mut read, &mut frames).await {
            return error.to_string();
        }
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
