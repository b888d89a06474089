//! Incremental parser of HTTP/1.1 responses.
//!
//! Bytes arrive in any chunking, in a buffer that belongs to the thread; the parser keeps none of
//! them unless a head is torn across reads or the step needs the response. In the common case, a
//! whole response in one read, nothing is copied or allocated. Every length is bounded: a head by
//! `HEAD_MAX`, a retained body by `BODY_MAX` (the rest is counted and dropped), a chunk-size line
//! by `LINE_MAX`.
//!
//! Interim (1xx) responses are skipped; 101 is malformed, since the engine never asks to upgrade.
//! It interprets no body and follows no redirect.

use std::mem::MaybeUninit;

use memchr::memchr;

/// Longest accepted head, in bytes.
pub const HEAD_MAX: usize = 64 << 10;
/// Most bytes of a body that are retained.
pub const BODY_MAX: usize = 1 << 20;
/// Most header lines of a response.
const HEADERS_MAX: usize = 100;
/// Longest accepted chunk-size line (with extensions) or trailer line.
const LINE_MAX: u32 = 8 << 10;
/// Most bytes of trailers.
const TRAILERS_MAX: u32 = 64 << 10;

/// The bytes are not an HTTP/1.1 response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed response: {0}")]
pub struct Malformed(pub &'static str);

/// Whether the response is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    Partial,
    /// The response ended; the connection may carry another request if `reusable`.
    Complete {
        /// The connection is still in step with the server.
        reusable: bool,
    },
}

/// What a step reads of its response.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retain {
    /// Keep the head, for header captures.
    pub head: bool,
    /// Keep the body, up to `BODY_MAX` bytes.
    pub body: bool,
}

/// Parser of the responses of one connection, one at a time.
#[derive(Debug, Default)]
pub struct ResponseParser {
    state: State,
    status: u16,
    head_request: bool,
    keep_alive: bool,
    retain: Retain,
    /// The torn head while it is incomplete, then the retained head.
    head: Vec<u8>,
    body: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    Fixed(u64),
    Chunked(Chunk),
    UntilClose,
    Complete,
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    /// Hexadecimal digits so far and their value.
    Size {
        digits: u8,
        size: u64,
    },
    /// The rest of the size line after the digits, with the bytes seen.
    Extension {
        size: u64,
        seen: u32,
    },
    SizeEnd {
        size: u64,
    },
    Data(u64),
    DataReturn,
    DataEnd,
    /// Bytes of all trailers so far; `line` counts those of the current one.
    Trailer {
        seen: u32,
        line: u32,
    },
    /// After the carriage return of the trailer's last, empty line.
    LastEnd,
}

enum Framing {
    Interim,
    Body(State),
}

impl ResponseParser {
    /// Prepares for the response of a new request and drops what was retained.
    pub fn begin(&mut self, head_request: bool, retain: Retain) {
        self.state = State::Head;
        self.status = 0;
        self.head_request = head_request;
        self.retain = retain;
        self.forget();
    }

    /// Status of the response, 0 before its head is complete.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The retained body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The first value of a retained header, compared without case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut slots = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        config.parse_response_with_uninit_headers(&mut response, &self.head, &mut slots).ok()?;
        response.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value)
    }

    /// Takes the next bytes of the connection. Bytes after the end of the response make the
    /// connection not reusable.
    ///
    /// # Errors
    /// The bytes are not a response; the parser refuses everything until `begin`.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Progress, Malformed> {
        let fed = self.advance(bytes);
        if fed.is_err() {
            self.state = State::Failed;
        }
        fed
    }

    /// The server closed the connection: whether that ends the response in order.
    pub fn on_close(&mut self) -> bool {
        let ends = matches!(self.state, State::UntilClose | State::Complete);
        self.state = if ends { State::Complete } else { State::Failed };
        ends
    }

    /// Frees what a response left behind, if it was large.
    fn forget(&mut self) {
        const KEPT: usize = 8 << 10;
        self.head.clear();
        self.body.clear();
        if self.head.capacity() > KEPT {
            self.head = Vec::new();
        }
        if self.body.capacity() > KEPT {
            self.body = Vec::new();
        }
    }

    fn advance(&mut self, mut bytes: &[u8]) -> Result<Progress, Malformed> {
        while self.state == State::Head {
            match self.on_head_bytes(bytes)? {
                Some(used) => bytes = &bytes[used..],
                None => return Ok(Progress::Partial),
            }
        }
        let rest = match self.state {
            State::Fixed(left) => self.on_fixed(bytes, left),
            State::Chunked(_) => self.on_chunked(bytes)?,
            State::UntilClose => {
                self.keep(bytes);
                &[]
            }
            State::Head | State::Complete => bytes,
            State::Failed => return Err(Malformed("the connection is out of step")),
        };
        if self.state != State::Complete {
            return Ok(Progress::Partial);
        }
        self.keep_alive &= rest.is_empty();
        Ok(Progress::Complete { reusable: self.keep_alive })
    }

    /// Returns how many of `bytes` ended the head, if it is whole.
    fn on_head_bytes(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        let carried = self.head.len();
        if carried == 0 {
            let Some((length, framing)) = self.parse_head(bytes)? else {
                self.head.extend_from_slice(&bytes[..bytes.len().min(HEAD_MAX)]);
                return self.torn();
            };
            if self.retain.head {
                self.head.extend_from_slice(&bytes[..length]);
            }
            self.on_head(framing);
            return Ok(Some(length));
        }
        // The head may end in these bytes, with a long body behind it: carry only what it may have.
        let room = &bytes[..bytes.len().min(HEAD_MAX - carried)];
        self.head.extend_from_slice(room);
        if memchr(b'\n', room).is_none() && self.head.len() < HEAD_MAX {
            return Ok(None);
        }
        let head = std::mem::take(&mut self.head);
        let parsed = self.parse_head(&head);
        self.head = head;
        let Some((length, framing)) = parsed? else { return self.torn() };
        self.head.truncate(if self.retain.head { length } else { 0 });
        self.on_head(framing);
        Ok(Some(length - carried))
    }

    fn torn(&self) -> Result<Option<usize>, Malformed> {
        if self.head.len() < HEAD_MAX { Ok(None) } else { Err(Malformed("head too long")) }
    }

    fn on_head(&mut self, framing: Framing) {
        match framing {
            Framing::Interim => {
                self.status = 0;
                self.head.clear();
            }
            Framing::Body(state) => self.state = state,
        }
    }

    fn parse_head(&mut self, bytes: &[u8]) -> Result<Option<(usize, Framing)>, Malformed> {
        let mut slots = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let parsed = config
            .parse_response_with_uninit_headers(&mut response, bytes, &mut slots)
            .map_err(|error| match error {
                httparse::Error::TooManyHeaders => Malformed("too many headers"),
                _ => Malformed("not an HTTP/1.1 head"),
            })?;
        let httparse::Status::Complete(length) = parsed else { return Ok(None) };
        self.status = response.code.unwrap_or(0);
        let mut fields = Fields { http_10: response.version == Some(0), ..Fields::default() };
        for header in &*response.headers {
            fields.take(header)?;
        }
        self.keep_alive = fields.keeps_alive();
        Ok(Some((length, self.framing(&fields)?)))
    }

    fn framing(&mut self, fields: &Fields) -> Result<Framing, Malformed> {
        match self.status {
            101 => return Err(Malformed("switching protocols was not asked for")),
            100..200 => return Ok(Framing::Interim),
            0..100 => return Err(Malformed("status below 100")),
            204 | 304 => return Ok(Framing::Body(State::Complete)),
            _ if self.head_request => return Ok(Framing::Body(State::Complete)),
            _ => {}
        }
        Ok(Framing::Body(match (fields.transfer, fields.length) {
            (Transfer::Chunked, length) => {
                // Both lengths at once is how responses are smuggled: read it, then part ways.
                self.keep_alive &= length.is_none();
                State::Chunked(Chunk::Size { digits: 0, size: 0 })
            }
            (Transfer::Unknown, _) | (Transfer::Identity, None) => {
                self.keep_alive = false;
                State::UntilClose
            }
            (Transfer::Identity, Some(0)) => State::Complete,
            (Transfer::Identity, Some(length)) => State::Fixed(length),
        }))
    }

    fn on_fixed<'b>(&mut self, bytes: &'b [u8], left: u64) -> &'b [u8] {
        let take = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let (data, rest) = bytes.split_at(take);
        self.keep(data);
        let left = left - take as u64;
        self.state = if left == 0 { State::Complete } else { State::Fixed(left) };
        rest
    }

    fn on_chunked<'b>(&mut self, mut bytes: &'b [u8]) -> Result<&'b [u8], Malformed> {
        while let (State::Chunked(chunk), [first, tail @ ..]) = (self.state, bytes) {
            if let Chunk::Data(left) = chunk {
                let take = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let (data, rest) = bytes.split_at(take);
                self.keep(data);
                let left = left - take as u64;
                let next = if left == 0 { Chunk::DataReturn } else { Chunk::Data(left) };
                self.state = State::Chunked(next);
                bytes = rest;
                continue;
            }
            self.state = chunk.on_byte(*first)?.map_or(State::Complete, State::Chunked);
            bytes = tail;
        }
        Ok(bytes)
    }

    fn keep(&mut self, data: &[u8]) {
        if self.retain.body {
            let room = BODY_MAX - self.body.len();
            self.body.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
}

impl Chunk {
    /// The state after one byte outside of a chunk's data; `None` at the end of the body.
    fn on_byte(self, byte: u8) -> Result<Option<Self>, Malformed> {
        const SIZE: Malformed = Malformed("bad chunk size");
        Ok(Some(match (self, byte) {
            (Self::Size { digits, size }, b) if b.is_ascii_hexdigit() => {
                if digits == 15 {
                    return Err(SIZE);
                }
                let digit = char::from(b).to_digit(16).ok_or(SIZE)?;
                Self::Size { digits: digits + 1, size: size << 4 | u64::from(digit) }
            }
            (Self::Size { digits: 0, .. }, _) => return Err(SIZE),
            (Self::Size { size, .. } | Self::Extension { size, .. }, b'\r') => {
                Self::SizeEnd { size }
            }
            (Self::Size { size, .. }, b';' | b' ' | b'\t') => Self::Extension { size, seen: 0 },
            (Self::Extension { size, seen }, b) if b != b'\n' && seen < LINE_MAX => {
                Self::Extension { size, seen: seen + 1 }
            }
            (Self::SizeEnd { size: 0 }, b'\n') => Self::Trailer { seen: 0, line: 0 },
            (Self::SizeEnd { size }, b'\n') => Self::Data(size),
            (Self::DataReturn, b'\r') => Self::DataEnd,
            (Self::DataEnd, b'\n') => Self::Size { digits: 0, size: 0 },
            (Self::Trailer { line: 0, .. }, b'\r') => Self::LastEnd,
            (Self::Trailer { seen, .. }, b'\n') => Self::Trailer { seen, line: 0 },
            (Self::Trailer { seen, line }, _) if seen < TRAILERS_MAX && line < LINE_MAX => {
                Self::Trailer { seen: seen + 1, line: line + 1 }
            }
            (Self::LastEnd, b'\n') => return Ok(None),
            (Self::Size { .. } | Self::Extension { .. } | Self::SizeEnd { .. }, _) => {
                return Err(SIZE);
            }
            _ => return Err(Malformed("bad chunk framing")),
        }))
    }
}

#[derive(Debug, Clone, Copy, Default)]
enum Transfer {
    #[default]
    Identity,
    Chunked,
    Unknown,
}

/// The header fields that frame a response.
#[derive(Default)]
struct Fields {
    http_10: bool,
    close: bool,
    keep_alive: bool,
    length: Option<u64>,
    transfer: Transfer,
}

impl Fields {
    fn take(&mut self, header: &httparse::Header<'_>) -> Result<(), Malformed> {
        // The three names have distinct lengths, so most headers cost one comparison.
        match header.name.len() {
            10 if header.name.eq_ignore_ascii_case("connection") => {
                self.close |= lists(header.value, b"close");
                self.keep_alive |= lists(header.value, b"keep-alive");
            }
            14 if header.name.eq_ignore_ascii_case("content-length") => {
                let length = decimal(header.value).ok_or(Malformed("bad content length"))?;
                if self.length.is_some_and(|earlier| earlier != length) {
                    return Err(Malformed("two content lengths"));
                }
                self.length = Some(length);
            }
            17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                let last = header.value.rsplit(|b| *b == b',').next().unwrap_or_default();
                let chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
                self.transfer = if chunked { Transfer::Chunked } else { Transfer::Unknown };
            }
            _ => {}
        }
        Ok(())
    }

    fn keeps_alive(&self) -> bool {
        !self.close && (!self.http_10 || self.keep_alive)
    }
}

fn lists(value: &[u8], option: &[u8]) -> bool {
    value.split(|b| *b == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(option))
}

fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 {
        return None;
    }
    value.iter().try_fold(0_u64, |sum, b| {
        b.is_ascii_digit().then(|| sum.checked_mul(10)?.checked_add(u64::from(b - b'0')))?
    })
}

#[cfg(test)]
mod tests;
