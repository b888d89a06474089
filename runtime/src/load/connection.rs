//! One keep-alive connection, carrying one exchange at a time.
//!
//! An exchange writes a whole request and reads a whole response before its deadline. A connection
//! that was seen closed before anything of the request was written is opened again; after the
//! first byte nothing is ever sent twice, so a keep-alive connection that the server closes at
//! that moment is one error of class `reset`.
//!
//! Connections of a thread share its read buffer and deadlines; an idle one owns no buffer. The
//! clock is read at most three times per exchange on an open connection whose response arrives in
//! one read: by the caller for `started`, after writing, after reading.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::deadline::{Deadlines, SlotId};
use super::response::{Progress, ResponseParser, Retain};
use crate::clock::now_ns;

/// Size of a thread's read buffer.
const READ_BYTES: usize = 64 << 10;

/// How a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// No connection could be opened.
    Refused,
    /// The connection broke before the end of the response.
    Reset,
    /// The deadline passed.
    Timeout,
    /// The response is complete and its status is not expected; judged by the step.
    Status,
    /// The response is malformed, or its body is not what the step expects.
    Body,
}

/// What the connections of one thread share.
#[derive(Debug)]
pub struct Shared {
    buffer: RefCell<Box<[u8]>>,
    /// To be expired by a task of the thread.
    pub deadlines: Deadlines,
}

impl Default for Shared {
    fn default() -> Self {
        let buffer = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
        Self { buffer, deadlines: Deadlines::default() }
    }
}

/// What to send and what to keep of the answer.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The whole request.
    pub bytes: &'a [u8],
    /// It is a `HEAD` request.
    pub head_request: bool,
    /// What the step reads of the response.
    pub retain: Retain,
}

/// One exchange, ended. Times are in nanoseconds; `ended` is on the clock of `started`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// The status of a complete response.
    pub result: Result<u16, ErrorClass>,
    /// From the start to having a connection; includes `connecting`.
    pub blocked: u64,
    /// Opening the connection, 0 when one was open.
    pub connecting: u64,
    /// Writing the request.
    pub sending: u64,
    /// From the last byte written to the first byte read.
    pub waiting: u64,
    /// From the first byte read to the last.
    pub receiving: u64,
    /// When it ended, in whatever way.
    pub ended: u64,
    /// Bytes written.
    pub sent: u64,
    /// Bytes read, heads included.
    pub received: u64,
}

impl Exchange {
    /// One that failed before anything was done.
    pub fn unsent(class: ErrorClass, ended: u64) -> Self {
        Self {
            result: Err(class),
            blocked: 0,
            connecting: 0,
            sending: 0,
            waiting: 0,
            receiving: 0,
            ended,
            sent: 0,
            received: 0,
        }
    }

    /// k6's `http_req_duration`: sending, waiting and receiving.
    pub fn duration(&self) -> u64 {
        self.sending + self.waiting + self.receiving
    }

    /// Charges the time since the last mark to the phase that failed.
    fn on_failure(&mut self, now: u64, request_bytes: u64) {
        let since = now.saturating_sub(self.ended);
        self.ended += since;
        match (self.received, self.sent) {
            (0, 0) => self.blocked += since,
            (0, sent) if sent < request_bytes => self.sending += since,
            (0, _) => self.waiting += since,
            _ => self.receiving += since,
        }
    }
}

/// One connection to a target, opened when first needed.
#[derive(Debug)]
pub struct Connection {
    shared: Rc<Shared>,
    slot: SlotId,
    addresses: Rc<[SocketAddr]>,
    stream: Option<TcpStream>,
    parser: ResponseParser,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.deadlines.remove(self.slot);
    }
}

impl Connection {
    /// A connection to the first of `addresses` that accepts one.
    pub fn new(shared: Rc<Shared>, addresses: Rc<[SocketAddr]>) -> Self {
        let slot = shared.deadlines.insert();
        Self { shared, slot, addresses, stream: None, parser: ResponseParser::default() }
    }

    /// The newest response, as far as it was retained.
    pub fn response(&self) -> &ResponseParser {
        &self.parser
    }

    /// Sends a request and reads its response, both before `deadline`.
    ///
    /// Opening a connection may take long, so the caller is asked after it whether the request may
    /// still leave; if not, nothing was sent, the connection stays open, and there is no exchange.
    pub async fn exchange(
        &mut self,
        out: Outgoing<'_>,
        (started, deadline): (u64, u64),
        permits: impl Fn(u64) -> bool,
    ) -> Option<Exchange> {
        self.shared.deadlines.arm(self.slot, deadline);
        let mut exchange = Exchange::unsent(ErrorClass::Refused, started);
        let attempt = self.attempt(out, started, &mut exchange, permits).await;
        self.shared.deadlines.disarm(self.slot);
        exchange.result = attempt.transpose()?;
        exchange.ended = started + exchange.blocked + exchange.duration();
        if exchange.result.is_err() {
            self.stream = None;
            exchange.on_failure(now_ns(), out.bytes.len() as u64);
        }
        Some(exchange)
    }

    async fn attempt(
        &mut self,
        out: Outgoing<'_>,
        started: u64,
        exchange: &mut Exchange,
        permits: impl Fn(u64) -> bool,
    ) -> Result<Option<u16>, ErrorClass> {
        self.parser.begin(out.head_request, out.retain);
        let mut connected = started;
        if poll_fn(|cx| Poll::Ready(self.is_open(cx))).await {
            match self.send(out.bytes, &mut exchange.sent).await {
                Err(ErrorClass::Reset) if exchange.sent == 0 => self.stream = None,
                sent => sent?,
            }
        }
        if self.stream.is_none() {
            let connecting = now_ns();
            let opened = self.connect().await;
            connected = now_ns();
            exchange.connecting = connected.saturating_sub(connecting);
            exchange.blocked = connected.saturating_sub(started);
            opened?;
            if !permits(connected) {
                return Ok(None);
            }
            self.send(out.bytes, &mut exchange.sent).await?;
        }
        let written = now_ns();
        exchange.sending = written.saturating_sub(connected);
        let reusable = poll_fn(|cx| self.poll_receive(cx, written, exchange)).await?;
        if !reusable {
            self.stream = None;
        }
        Ok(Some(self.parser.status()))
    }

    /// Whether the connection may carry a request. Costs no system call unless something happened
    /// on it since the last response; what a server says unasked counts as closed.
    fn is_open(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(stream) = &self.stream else { return false };
        let open = match stream.poll_read_ready(cx) {
            Poll::Pending => true,
            Poll::Ready(Ok(())) => {
                let read = stream.try_read(&mut [0]);
                matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
            }
            Poll::Ready(Err(_)) => false,
        };
        if !open {
            self.stream = None;
        }
        open
    }

    async fn connect(&mut self) -> Result<(), ErrorClass> {
        let mut failed = ErrorClass::Refused;
        for address in &*self.addresses {
            let mut connecting = pin!(TcpStream::connect(address));
            let opened = poll_fn(|cx| match connecting.as_mut().poll(cx) {
                Poll::Pending if self.shared.deadlines.poll_expired(self.slot, cx) => {
                    Poll::Ready(Err(ErrorKind::TimedOut.into()))
                }
                polled => polled,
            });
            match opened.await.and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
                Ok(stream) => {
                    self.stream = Some(stream);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::TimedOut => failed = ErrorClass::Timeout,
                Err(_) => failed = ErrorClass::Refused,
            }
        }
        Err(failed)
    }

    async fn send(&mut self, bytes: &[u8], sent: &mut u64) -> Result<(), ErrorClass> {
        let mut rest = bytes;
        poll_fn(|cx| {
            while !rest.is_empty() {
                let stream = self.stream.as_mut().ok_or(ErrorClass::Reset)?;
                let Poll::Ready(written) = Pin::new(stream).poll_write(cx, rest) else {
                    return self.poll_late(cx);
                };
                let written = written.map_err(|_| ErrorClass::Reset)?;
                *sent += written as u64;
                rest = &rest[written..];
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Reads until the response is complete; whether the connection is reusable then.
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        written: u64,
        exchange: &mut Exchange,
    ) -> Poll<Result<bool, ErrorClass>> {
        loop {
            let Poll::Ready(read) = self.poll_read(cx) else {
                return self.poll_late(cx).map_ok(|()| false);
            };
            let (bytes, progress) = read?;
            let read_at = now_ns();
            if exchange.received == 0 {
                exchange.waiting = read_at.saturating_sub(written);
            }
            exchange.received += bytes as u64;
            exchange.receiving = read_at.saturating_sub(written + exchange.waiting);
            if let Progress::Complete { reusable } = progress {
                return Poll::Ready(Ok(reusable));
            }
        }
    }

    /// One read into the thread's buffer, parsed before the buffer is anyone else's.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(usize, Progress), ErrorClass>> {
        let stream = self.stream.as_mut().ok_or(ErrorClass::Reset)?;
        let mut buffer = self.shared.buffer.borrow_mut();
        let mut buffer = ReadBuf::new(&mut buffer);
        let read: io::Result<()> = ready!(Pin::new(stream).poll_read(cx, &mut buffer));
        read.map_err(|_| ErrorClass::Reset)?;
        let bytes = buffer.filled();
        Poll::Ready(if bytes.is_empty() {
            let ends = self.parser.on_close();
            let complete = (0, Progress::Complete { reusable: false });
            ends.then_some(complete).ok_or(ErrorClass::Reset)
        } else {
            let fed = self.parser.feed(bytes);
            fed.map(|progress| (bytes.len(), progress)).map_err(|_| ErrorClass::Body)
        })
    }

    /// Nothing can move: wait for the socket or for the deadline.
    fn poll_late(&self, cx: &Context<'_>) -> Poll<Result<(), ErrorClass>> {
        if self.shared.deadlines.poll_expired(self.slot, cx) {
            Poll::Ready(Err(ErrorClass::Timeout))
        } else {
            Poll::Pending
        }
    }
}

#[cfg(test)]
mod tests;
