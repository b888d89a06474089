//! Requests serialised once, when a run is prepared, and patched for every send.
//!
//! A template is the wire form of one request with holes in it. Rendering copies the literal parts
//! and asks the caller for the bytes of each hole, escaped for the place where the hole stands: as
//! the inside of a JSON string in a JSON body, percent-encoded in the path and the query, verbatim
//! in any other body, and verbatim in a header, where a line break is refused. A template without
//! holes is sent as it is, without a copy.
//!
//! It does not know where a hole's bytes come from, and it opens no connection.

use std::fmt;
use std::ops::Range;

/// A place in a request that is filled for every send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hole {
    /// A field of the data row of this iteration, by column.
    Row(u16),
    /// A value captured from an earlier response of this iteration, by slot.
    Captured(u16),
    /// The global index of the iteration or arrival.
    Index,
    /// The global number of the virtual user.
    Vu,
}

/// A piece of a path, a header value or a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Sent as written: the author of the plan is trusted to have escaped it.
    Text(String),
    /// Filled and escaped for every send.
    Hole(Hole),
}

impl From<&str> for Piece {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// How a body's holes are escaped, and the content type sent unless the plan names one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    /// `application/json`; holes stand inside string literals.
    Json,
    /// No content type; holes are copied verbatim.
    Raw,
}

/// What to build a template from.
#[derive(Debug, Clone, Default)]
pub struct RequestParts<'a> {
    /// An HTTP token such as `GET`.
    pub method: &'a str,
    /// Value of the `Host` header unless `headers` has one.
    pub authority: &'a str,
    /// Origin form: path and query, starting with `/`.
    pub path: Vec<Piece>,
    /// Names and values in the order in which they are sent.
    pub headers: Vec<(&'a str, Vec<Piece>)>,
    /// Absent: no body is sent, and a `Content-Length: 0` only where the method expects a body.
    pub body: Option<(BodyKind, Vec<Piece>)>,
}

/// Why a request cannot be built or rendered. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The method is not an HTTP token.
    #[error("`{0}` is not an HTTP method")]
    Method(String),
    /// The path does not start with `/` or contains a space, a control character or a `#`.
    #[error(
        "`{0}` is not a path: it starts with `/` and contains no space, `#` or control character"
    )]
    Path(String),
    /// A header name is not an HTTP token.
    #[error("`{0}` is not a header name")]
    HeaderName(String),
    /// A header value, literal or rendered, contains a line break or a NUL.
    #[error("the value of header `{0}` contains a line break or a NUL")]
    HeaderValue(String),
    /// The header is computed by the engine.
    #[error("header `{0}` is set by the engine and cannot be set by a plan")]
    HeaderReserved(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Context {
    Path,
    /// Position of the header, to name it in an error.
    Header(u16),
    Json,
    Raw,
}

#[derive(Debug, Clone)]
struct Patch {
    /// Literal bytes that precede the hole.
    before: Range<usize>,
    hole: Hole,
    context: Context,
}

/// A pre-serialised request.
#[derive(Clone)]
pub struct RequestTemplate {
    /// All literal bytes: head up to the length line, then the body.
    literal: Vec<u8>,
    patches: Vec<Patch>,
    /// Index of the first patch of the body.
    body_patches: usize,
    /// Where the head's literal ends and the body's starts in `literal`.
    head_end: usize,
    /// Whether a body with holes follows, so that its length line is written while rendering.
    measured_body: bool,
    header_names: Vec<String>,
    is_head: bool,
}

/// Reused memory for rendering; one per thread is enough.
#[derive(Debug, Default)]
pub struct Scratch {
    value: Vec<u8>,
    body: Vec<u8>,
}

impl fmt::Debug for RequestTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestTemplate")
            .field("literal", &String::from_utf8_lossy(&self.literal))
            .field("patches", &self.patches)
            .finish_non_exhaustive()
    }
}

impl RequestTemplate {
    /// Serialises a request.
    ///
    /// # Errors
    /// The first part that could not stand in an HTTP/1.1 request.
    pub fn new(parts: RequestParts<'_>) -> Result<Self, TemplateError> {
        if !is_token(parts.method) {
            return Err(TemplateError::Method(parts.method.to_owned()));
        }
        check_path(&parts.path)?;
        let mut draft = Draft::default();
        draft.text(parts.method.as_bytes());
        draft.text(b" ");
        draft.pieces(&parts.path, Context::Path);
        draft.text(b" HTTP/1.1\r\n");
        let header_names = draft.headers(&parts)?;
        let measured_body = match &parts.body {
            None if matches!(parts.method, "POST" | "PUT" | "PATCH") => {
                draft.text(b"Content-Length: 0\r\n\r\n");
                false
            }
            None => {
                draft.text(b"\r\n");
                false
            }
            Some((_, pieces)) if pieces.iter().any(|p| matches!(p, Piece::Hole(_))) => true,
            Some((_, pieces)) => {
                let length: usize = pieces.iter().map(literal_len).sum();
                draft.text(format!("Content-Length: {length}\r\n\r\n").as_bytes());
                false
            }
        };
        draft.cut();
        let (head_end, body_patches) = (draft.literal.len(), draft.patches.len());
        if let Some((kind, pieces)) = &parts.body {
            let context = if matches!(kind, BodyKind::Json) { Context::Json } else { Context::Raw };
            draft.pieces(pieces, context);
        }
        Ok(Self {
            literal: draft.literal,
            patches: draft.patches,
            body_patches,
            head_end,
            measured_body,
            header_names,
            is_head: parts.method == "HEAD",
        })
    }

    /// Whether this is a `HEAD` request, whose response never has a body.
    pub fn is_head(&self) -> bool {
        self.is_head
    }

    /// The request's bytes when it has no hole: to be sent without rendering.
    pub fn constant(&self) -> Option<&[u8]> {
        self.patches.is_empty().then_some(self.literal.as_slice())
    }

    /// Replaces the contents of `out` by the request, asking `fill` to append each hole's bytes.
    ///
    /// # Errors
    /// A header value that `fill` gave a line break or a NUL; `out` is then not a request.
    pub fn render(
        &self,
        out: &mut Vec<u8>,
        scratch: &mut Scratch,
        mut fill: impl FnMut(Hole, &mut Vec<u8>),
    ) -> Result<(), TemplateError> {
        out.clear();
        let (head, body) = self.patches.split_at(self.body_patches);
        let Scratch { value, body: measured } = scratch;
        let head_tail = self.patch(head, 0, out, |hole, value| fill(hole, value), value)?;
        out.extend_from_slice(&self.literal[head_tail..self.head_end]);
        if !self.measured_body {
            out.extend_from_slice(&self.literal[self.head_end..]);
            return Ok(());
        }
        measured.clear();
        let tail = self.patch(body, self.head_end, measured, fill, value)?;
        measured.extend_from_slice(&self.literal[tail..]);
        out.extend_from_slice(b"Content-Length: ");
        append_decimal(out, measured.len() as u64);
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(measured);
        Ok(())
    }

    /// Appends literals and filled holes; returns where the literal after the last hole starts.
    fn patch(
        &self,
        patches: &[Patch],
        from: usize,
        out: &mut Vec<u8>,
        mut fill: impl FnMut(Hole, &mut Vec<u8>),
        value: &mut Vec<u8>,
    ) -> Result<usize, TemplateError> {
        let mut tail = from;
        for patch in patches {
            out.extend_from_slice(&self.literal[patch.before.clone()]);
            tail = patch.before.end;
            value.clear();
            fill(patch.hole, value);
            match patch.context {
                Context::Raw => out.extend_from_slice(value),
                Context::Json => append_json(out, value),
                Context::Path => append_percent(out, value),
                Context::Header(at) if breaks_line(value) => {
                    return Err(TemplateError::HeaderValue(self.header_names[at as usize].clone()));
                }
                Context::Header(_) => out.extend_from_slice(value),
            }
        }
        Ok(tail)
    }
}

#[derive(Default)]
struct Draft {
    literal: Vec<u8>,
    patches: Vec<Patch>,
    /// Where the literal after the newest patch starts.
    open: usize,
}

impl Draft {
    fn text(&mut self, bytes: &[u8]) {
        self.literal.extend_from_slice(bytes);
    }

    fn pieces(&mut self, pieces: &[Piece], context: Context) {
        for piece in pieces {
            match piece {
                Piece::Text(text) => self.text(text.as_bytes()),
                Piece::Hole(hole) => {
                    let before = self.open..self.literal.len();
                    self.open = before.end;
                    self.patches.push(Patch { before, hole: *hole, context });
                }
            }
        }
    }

    /// Ends the head: a body's first literal starts here.
    fn cut(&mut self) {
        self.open = self.literal.len();
    }

    fn headers(&mut self, parts: &RequestParts<'_>) -> Result<Vec<String>, TemplateError> {
        let has = |name: &str| parts.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        if !has("host") {
            if breaks_line(parts.authority.as_bytes()) {
                return Err(TemplateError::HeaderValue("Host".to_owned()));
            }
            self.text(format!("Host: {}\r\n", parts.authority).as_bytes());
        }
        if !has("user-agent") {
            self.text(
                concat!("User-Agent: hyperscale/", env!("CARGO_PKG_VERSION"), "\r\n").as_bytes(),
            );
        }
        let mut names = Vec::with_capacity(parts.headers.len());
        for (at, (name, value)) in parts.headers.iter().enumerate() {
            if !is_token(name) {
                return Err(TemplateError::HeaderName((*name).to_owned()));
            }
            if ["content-length", "transfer-encoding"].iter().any(|r| name.eq_ignore_ascii_case(r))
            {
                return Err(TemplateError::HeaderReserved((*name).to_owned()));
            }
            if value.iter().any(|p| matches!(p, Piece::Text(t) if breaks_line(t.as_bytes()))) {
                return Err(TemplateError::HeaderValue((*name).to_owned()));
            }
            self.text(name.as_bytes());
            self.text(b": ");
            self.pieces(value, Context::Header(u16::try_from(at).unwrap_or(u16::MAX)));
            self.text(b"\r\n");
            names.push((*name).to_owned());
        }
        if matches!(&parts.body, Some((BodyKind::Json, _))) && !has("content-type") {
            self.text(b"Content-Type: application/json\r\n");
        }
        Ok(names)
    }
}

/// Appends a number in decimal.
pub fn append_decimal(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn literal_len(piece: &Piece) -> usize {
    match piece {
        Piece::Text(text) => text.len(),
        Piece::Hole(_) => 0,
    }
}

fn is_token(name: &str) -> bool {
    let special = b"!#$%&'*+-.^_`|~";
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || special.contains(&b))
}

fn check_path(pieces: &[Piece]) -> Result<(), TemplateError> {
    let rooted = matches!(pieces.first(), Some(Piece::Text(text)) if text.starts_with('/'));
    let refused = |b: u8| b <= b' ' || b == 0x7f || b == b'#';
    let clean = pieces.iter().all(|p| match p {
        Piece::Text(text) => !text.bytes().any(refused),
        Piece::Hole(_) => true,
    });
    if rooted && clean {
        return Ok(());
    }
    let shown = pieces.iter().map(|p| match p {
        Piece::Text(text) => text.as_str(),
        Piece::Hole(_) => "${..}",
    });
    Err(TemplateError::Path(shown.collect()))
}

fn breaks_line(value: &[u8]) -> bool {
    value.iter().any(|b| matches!(b, b'\r' | b'\n' | 0))
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

fn append_percent(out: &mut Vec<u8>, value: &[u8]) {
    for &b in value {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(b);
        } else {
            out.extend_from_slice(&[b'%', HEX[(b >> 4) as usize], HEX[(b & 15) as usize]]);
        }
    }
}

fn append_json(out: &mut Vec<u8>, value: &[u8]) {
    for &b in value {
        match b {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', b]),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[(b >> 4) as usize], HEX[(b & 15) as usize]]);
            }
            _ => out.push(b),
        }
    }
}

#[cfg(test)]
mod tests;
