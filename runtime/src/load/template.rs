//! Requests serialised once, when a run is prepared, and patched for every send.
//!
//! A template is the wire form of one request with holes in it. Rendering copies the literal parts
//! and asks the caller for the bytes of each hole, escaped for the place where the hole stands: as
//! the inside of a JSON string in a JSON body, percent-encoded in the path, the query and a form,
//! verbatim in a text body, and verbatim in a header, where a line break is refused. A template
//! without holes is sent as it is, without a copy.
//!
//! It does not know where a hole's bytes come from, and it opens no connection.

use std::fmt;
use std::ops::Range;

use hyperscale_core::plan::{Body, BodyKind, Piece, RequestStep};

/// A place in a request that is filled for every send: a piece of the plan's text that is not text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hole {
    /// A field of a row of a data source.
    Row {
        /// Which data source.
        source: u16,
        /// Which of its columns.
        column: u16,
    },
    /// A value captured from an earlier response of this iteration, by slot.
    Captured(u16),
    /// The global index of the item.
    Index,
    /// The global number of the virtual user.
    Vu,
}

/// What to build a template from.
#[derive(Debug, Clone, Copy)]
pub struct RequestParts<'a> {
    /// Value of the `Host` header unless the step sets it.
    pub authority: &'a str,
    /// Path of the base URL, without a slash at its end.
    pub prefix: &'a str,
    /// What to send. A method that expects a body and has none says `Content-Length: 0`.
    pub step: &'a RequestStep,
    /// Send `X-Hyperscale-Index` with this workflow name and the global index.
    pub index_header: Option<&'a str>,
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
    /// Path, query or form.
    Url,
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
        let step = parts.step;
        if !is_token(&step.method) {
            return Err(TemplateError::Method(step.method.clone()));
        }
        check_path(parts.prefix, &step.target.0)?;
        let mut draft = Draft::default();
        draft.text(&[&step.method, " ", parts.prefix]);
        draft.pieces(&step.target.0, Context::Url);
        draft.text(&[" HTTP/1.1\r\n"]);
        let header_names = draft.headers(&parts)?;
        let body = step.body.as_ref().map_or(&[][..], |body| &body.text.0);
        let measured_body = body.iter().any(|piece| !matches!(piece, Piece::Text(_)));
        if !measured_body {
            let length: usize = body.iter().map(literal_len).sum();
            let expects_one = matches!(step.method.as_str(), "POST" | "PUT" | "PATCH");
            if step.body.is_some() || expects_one {
                draft.text(&["Content-Length: ", &length.to_string(), "\r\n"]);
            }
            draft.text(&["\r\n"]);
        }
        draft.cut();
        let (head_end, body_patches) = (draft.literal.len(), draft.patches.len());
        draft.pieces(body, step.body.as_ref().map_or(Context::Raw, context));
        Ok(Self {
            literal: draft.literal,
            patches: draft.patches,
            body_patches,
            head_end,
            measured_body,
            header_names,
            is_head: step.method == "HEAD",
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
                Context::Url => append_percent(out, value),
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
    fn text(&mut self, texts: &[&str]) {
        texts.iter().for_each(|text| self.literal.extend_from_slice(text.as_bytes()));
    }

    fn pieces(&mut self, pieces: &[Piece], context: Context) {
        for piece in pieces {
            let hole = match piece {
                Piece::Text(text) => {
                    self.text(&[text]);
                    continue;
                }
                Piece::Row { source, column } => Hole::Row { source: *source, column: *column },
                Piece::Captured(slot) => Hole::Captured(*slot),
                Piece::Index => Hole::Index,
                Piece::Vu => Hole::Vu,
            };
            let before = self.open..self.literal.len();
            self.open = before.end;
            self.patches.push(Patch { before, hole, context });
        }
    }

    /// Ends the head: a body's first literal starts here.
    fn cut(&mut self) {
        self.open = self.literal.len();
    }

    fn headers(&mut self, parts: &RequestParts<'_>) -> Result<Vec<String>, TemplateError> {
        let step = parts.step;
        let has = |name: &str| step.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        let mut names = Vec::with_capacity(step.headers.len());
        for (name, value) in &step.headers {
            if !is_token(name) {
                return Err(TemplateError::HeaderName(name.clone()));
            }
            if ["content-length", "transfer-encoding"].iter().any(|r| name.eq_ignore_ascii_case(r))
            {
                return Err(TemplateError::HeaderReserved(name.clone()));
            }
            self.header(&mut names, name, &value.0)?;
        }
        let agent = concat!("hyperscale/", env!("CARGO_PKG_VERSION"));
        let kind = step.body.as_ref().map(|body| body.kind);
        let content_type = match kind {
            Some(BodyKind::Json) => Some("application/json"),
            Some(BodyKind::Form) => Some("application/x-www-form-urlencoded"),
            Some(BodyKind::Text) | None => None,
        };
        let ours = [
            ("Host", Some(parts.authority)),
            ("User-Agent", Some(agent)),
            ("Content-Type", content_type),
        ];
        for (name, value) in ours {
            if let Some(value) = value.filter(|_| !has(name)) {
                self.header(&mut names, name, &[Piece::Text(value.to_owned())])?;
            }
        }
        if let Some(workflow) = parts.index_header {
            let value = [Piece::Text(format!("{workflow}/")), Piece::Index];
            self.header(&mut names, "X-Hyperscale-Index", &value)?;
        }
        Ok(names)
    }

    fn header(
        &mut self,
        names: &mut Vec<String>,
        name: &str,
        value: &[Piece],
    ) -> Result<(), TemplateError> {
        if value.iter().any(|p| matches!(p, Piece::Text(t) if breaks_line(t.as_bytes()))) {
            return Err(TemplateError::HeaderValue(name.to_owned()));
        }
        self.text(&[name, ": "]);
        self.pieces(value, Context::Header(u16::try_from(names.len()).unwrap_or(u16::MAX)));
        self.text(&["\r\n"]);
        names.push(name.to_owned());
        Ok(())
    }
}

fn context(body: &Body) -> Context {
    match body.kind {
        BodyKind::Json => Context::Json,
        BodyKind::Form => Context::Url,
        BodyKind::Text => Context::Raw,
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
    if let Piece::Text(text) = piece { text.len() } else { 0 }
}

fn is_token(name: &str) -> bool {
    let special = b"!#$%&'*+-.^_`|~";
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || special.contains(&b))
}

fn check_path(prefix: &str, pieces: &[Piece]) -> Result<(), TemplateError> {
    let text = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        _ => "${..}".to_owned(),
    };
    let shown: String = std::iter::once(prefix.to_owned()).chain(pieces.iter().map(text)).collect();
    let refused = |b: u8| b <= b' ' || b == 0x7f || b == b'#';
    if shown.starts_with('/') && !shown.bytes().any(refused) {
        Ok(())
    } else {
        Err(TemplateError::Path(shown))
    }
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
