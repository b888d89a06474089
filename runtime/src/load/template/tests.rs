use std::time::Duration;

use hyperscale_core::bounded::BoundedVec;
use hyperscale_core::plan::Template;
use proptest::prelude::*;

use super::*;

fn text(s: &str) -> Piece {
    Piece::Text(s.to_owned())
}

const ROW: Piece = Piece::Row { source: 0, column: 1 };

fn template(pieces: Vec<Piece>) -> Template {
    Template(pieces.try_into().expect("few pieces"))
}

fn step(method: &str, target: Vec<Piece>) -> RequestStep {
    RequestStep {
        name: String::new(),
        method: method.to_owned(),
        target: template(target),
        headers: BoundedVec::default(),
        body: None,
        expect_status: BoundedVec::default(),
        expect_body: None,
        captures: BoundedVec::default(),
        timeout: Duration::from_secs(1),
    }
}

fn with_body(mut step: RequestStep, kind: BodyKind, pieces: Vec<Piece>) -> RequestStep {
    step.body = Some(Body { kind, text: template(pieces) });
    step
}

fn with_headers(mut step: RequestStep, headers: Vec<(&str, Vec<Piece>)>) -> RequestStep {
    let headers: Vec<_> =
        headers.into_iter().map(|(name, value)| (name.to_owned(), template(value))).collect();
    step.headers = headers.try_into().expect("few headers");
    step
}

fn build(step: &RequestStep) -> Result<RequestTemplate, TemplateError> {
    let (authority, prefix) = ("shop:80", "");
    RequestTemplate::new(RequestParts { authority, prefix, step, index_header: None })
}

fn rendered(step: &RequestStep, value: &[u8]) -> Result<String, TemplateError> {
    let template = build(step)?;
    let (mut out, mut scratch) = (b"left over".to_vec(), Scratch::default());
    template.render(&mut out, &mut scratch, |_, out| out.extend_from_slice(value))?;
    if let Some(constant) = template.constant() {
        assert_eq!(constant, out, "sent as it is or rendered: the same bytes");
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn get(path: &str) -> RequestStep {
    step("GET", vec![text(path)])
}

fn body_of(request: &str) -> (usize, &str) {
    let (head, body) = request.split_once("\r\n\r\n").expect("a head");
    let line = head.lines().find_map(|l| l.strip_prefix("Content-Length: ")).expect("a length");
    (line.parse().expect("a number"), body)
}

#[test]
fn a_request_without_holes_is_constant() {
    let wire = rendered(&get("/items?x=1"), b"").unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "GET /items?x=1 HTTP/1.1\r\nHost: shop:80\r\nUser-Agent: hyperscale/{version}\r\n\r\n"
    );
    assert_eq!(wire, expected);
    assert!(build(&get("/")).unwrap().constant().is_some());
}

#[test]
fn the_plans_own_host_and_agent_replace_ours() {
    let step =
        with_headers(get("/"), vec![("host", vec![text("a")]), ("USER-AGENT", vec![text("b")])]);
    let wire = rendered(&step, b"").unwrap();
    assert_eq!(wire, "GET / HTTP/1.1\r\nhost: a\r\nUSER-AGENT: b\r\n\r\n");
}

#[test]
fn each_place_escapes_in_its_own_way() {
    let target = vec![text("/u/"), ROW, text("?q="), ROW];
    let step =
        with_headers(step("POST", target), vec![("X-Name", vec![text("<"), ROW, text(">")])]);
    let step = with_body(step, BodyKind::Json, vec![text("{\"u\":\""), ROW, text("\"}")]);
    let wire = rendered(&step, "a/\"\\\u{1}é".as_bytes()).unwrap();
    assert!(wire.starts_with("POST /u/a%2F%22%5C%01%C3%A9?q=a%2F%22%5C%01%C3%A9 HTTP/1.1\r\n"));
    assert!(wire.contains("X-Name: <a/\"\\\u{1}é>\r\n"));
    assert!(wire.contains("Content-Type: application/json\r\n"));
    let (length, body) = body_of(&wire);
    assert_eq!(body, "{\"u\":\"a/\\\"\\\\\\u0001é\"}");
    assert_eq!(length, body.len());
}

#[test]
fn form_and_text_bodies() {
    let pieces = || vec![text("a="), Piece::Captured(3), text("&b")];
    let wire =
        |kind| rendered(&with_body(step("PUT", vec![text("/")]), kind, pieces()), b"\"\r\n%");
    let plain = wire(BodyKind::Text).unwrap();
    assert!(!plain.contains("Content-Type"));
    assert_eq!(body_of(&plain), (8, "a=\"\r\n%&b"));
    let form = wire(BodyKind::Form).unwrap();
    assert!(form.contains("Content-Type: application/x-www-form-urlencoded\r\n"));
    assert_eq!(body_of(&form), (16, "a=%22%0D%0A%25&b"));
}

#[test]
fn a_head_with_holes_and_a_constant_body() {
    let step = with_headers(step("POST", vec![text("/")]), vec![("X-Vu", vec![Piece::Vu])]);
    let wire = rendered(&with_body(step, BodyKind::Text, vec![text("constant")]), b"17").unwrap();
    assert!(wire.contains("\r\nX-Vu: 17\r\n"));
    assert_eq!(body_of(&wire), (8, "constant"));
}

#[test]
fn the_index_header_and_the_prefix() {
    let step = get("/items");
    let index_header = Some("browse");
    let parts = RequestParts { authority: "h", prefix: "/v1", step: &step, index_header };
    let mut out = Vec::new();
    let template = RequestTemplate::new(parts).unwrap();
    let fill = |hole, out: &mut Vec<u8>| {
        assert_eq!(hole, Hole::Index);
        append_decimal(out, 42);
    };
    template.render(&mut out, &mut Scratch::default(), fill).unwrap();
    let wire = String::from_utf8(out).unwrap();
    assert!(wire.starts_with("GET /v1/items HTTP/1.1\r\nHost: h\r\n"));
    assert!(wire.ends_with("\r\nX-Hyperscale-Index: browse/42\r\n\r\n"));
}

#[test]
fn methods_that_expect_a_body_say_that_there_is_none() {
    let length = |method| {
        let wire = rendered(&step(method, vec![text("/")]), b"").unwrap();
        wire.contains("Content-Length: 0\r\n")
    };
    assert!(length("POST") && length("PUT") && length("PATCH"));
    assert!(!length("GET") && !length("DELETE") && !length("HEAD"));
}

#[test]
fn what_cannot_stand_in_a_request_is_refused() {
    let refused = |step: RequestStep| build(&step).map(|_| ()).unwrap_err();
    let header = |name, value: &str| with_headers(get("/"), vec![(name, vec![text(value)])]);
    for path in ["", "items", "/a b", "/a\r\nX: y", "/#f"] {
        assert_eq!(refused(get(path)), TemplateError::Path(path.to_owned()));
    }
    assert_eq!(refused(step("GET /", vec![])), TemplateError::Method("GET /".to_owned()));
    assert_eq!(refused(header("a b", "")), TemplateError::HeaderName("a b".to_owned()));
    assert_eq!(refused(header("a", "x\ny")), TemplateError::HeaderValue("a".to_owned()));
    for name in ["Content-Length", "transfer-encoding"] {
        assert_eq!(refused(header(name, "1")), TemplateError::HeaderReserved(name.to_owned()));
    }
    let holed = with_headers(get("/"), vec![("a", vec![]), ("b", vec![Piece::Vu])]);
    assert_eq!(rendered(&holed, b"x\r\ny"), Err(TemplateError::HeaderValue("b".to_owned())));
}

#[test]
fn decimals() {
    for number in [0, 7, 10, 4_294_967_296, u64::MAX] {
        let mut out = Vec::new();
        append_decimal(&mut out, number);
        assert_eq!(out, number.to_string().into_bytes());
    }
}

proptest! {
    #[test]
    fn a_rendered_request_is_what_an_independent_parser_reads(
        value in proptest::collection::vec(any::<u8>(), 0..60),
        json in any::<bool>(),
        texts in proptest::collection::vec("[a-z ]{0,12}", 1..4),
    ) {
        let kind = if json { BodyKind::Json } else { BodyKind::Text };
        let mut body = Vec::new();
        for t in &texts {
            body.extend([text(t), ROW]);
        }
        let target = vec![text("/p/"), ROW, text("/e")];
        let template = build(&with_body(step("POST", target), kind, body)).unwrap();
        let mut out = Vec::new();
        template
            .render(&mut out, &mut Scratch::default(), |_, out| out.extend_from_slice(&value))
            .unwrap();
        let mut headers = [httparse::EMPTY_HEADER; 8];
        let mut request = httparse::Request::new(&mut headers);
        let head = match request.parse(&out) {
            Ok(httparse::Status::Complete(head)) => head,
            other => panic!("{other:?}"),
        };
        let length = request.headers.iter().find(|h| h.name == "Content-Length").unwrap();
        let length: usize = std::str::from_utf8(length.value).unwrap().parse().unwrap();
        prop_assert_eq!(length, out.len() - head);
        if json && std::str::from_utf8(&value).is_ok() {
            let wrapped = [b"\"", &out[head..], b"\""].concat();
            let read: String = serde_json::from_slice(&wrapped).unwrap();
            let plain = String::from_utf8(value).unwrap();
            let expected: String = texts.iter().map(|t| format!("{t}{plain}")).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
