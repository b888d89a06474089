use proptest::prelude::*;

use super::*;

fn text(s: &str) -> Piece {
    Piece::from(s)
}

fn rendered(parts: RequestParts<'_>, value: &[u8]) -> Result<String, TemplateError> {
    let template = RequestTemplate::new(parts)?;
    let (mut out, mut scratch) = (b"left over".to_vec(), Scratch::default());
    template.render(&mut out, &mut scratch, |_, out| out.extend_from_slice(value))?;
    if let Some(constant) = template.constant() {
        assert_eq!(constant, out, "sent as it is or rendered: the same bytes");
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn get(path: Vec<Piece>) -> RequestParts<'static> {
    RequestParts { method: "GET", authority: "shop:80", path, ..RequestParts::default() }
}

fn body_of(request: &str) -> (usize, &str) {
    let (head, body) = request.split_once("\r\n\r\n").expect("a head");
    let line = head.lines().find_map(|l| l.strip_prefix("Content-Length: ")).expect("a length");
    (line.parse().expect("a number"), body)
}

#[test]
fn a_request_without_holes_is_constant() {
    let wire = rendered(get(vec![text("/items?x=1")]), b"").unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "GET /items?x=1 HTTP/1.1\r\nHost: shop:80\r\nUser-Agent: hyperscale/{version}\r\n\r\n"
    );
    assert_eq!(wire, expected);
    assert!(RequestTemplate::new(get(vec![text("/")])).unwrap().constant().is_some());
}

#[test]
fn the_plans_own_host_and_agent_replace_ours() {
    let mut parts = get(vec![text("/")]);
    parts.headers = vec![("host", vec![text("a")]), ("USER-AGENT", vec![text("b")])];
    let wire = rendered(parts, b"").unwrap();
    assert_eq!(wire, "GET / HTTP/1.1\r\nhost: a\r\nUSER-AGENT: b\r\n\r\n");
}

#[test]
fn each_place_escapes_in_its_own_way() {
    let hole = Piece::Hole(Hole::Row(0));
    let parts = RequestParts {
        method: "POST",
        authority: "h",
        path: vec![text("/u/"), hole.clone(), text("?q="), hole.clone()],
        headers: vec![("X-Name", vec![text("<"), hole.clone(), text(">")])],
        body: Some((BodyKind::Json, vec![text("{\"u\":\""), hole, text("\"}")])),
    };
    let wire = rendered(parts, "a/\"\\\u{1}é".as_bytes()).unwrap();
    assert!(wire.starts_with("POST /u/a%2F%22%5C%01%C3%A9?q=a%2F%22%5C%01%C3%A9 HTTP/1.1\r\n"));
    assert!(wire.contains("X-Name: <a/\"\\\u{1}é>\r\n"));
    assert!(wire.contains("Content-Type: application/json\r\n"));
    let (length, body) = body_of(&wire);
    assert_eq!(body, "{\"u\":\"a/\\\"\\\\\\u0001é\"}");
    assert_eq!(length, body.len());
}

#[test]
fn a_raw_body_is_verbatim_and_has_no_content_type() {
    let pieces = vec![text("a="), Piece::Hole(Hole::Captured(3)), text("&b")];
    let parts =
        RequestParts { body: Some((BodyKind::Raw, pieces)), method: "PUT", ..get(vec![text("/")]) };
    let wire = rendered(parts, b"\"\r\n%").unwrap();
    assert!(!wire.contains("Content-Type"));
    assert_eq!(body_of(&wire), (8, "a=\"\r\n%&b"));
}

#[test]
fn a_head_with_holes_and_a_constant_body() {
    let parts = RequestParts {
        method: "POST",
        headers: vec![("X-Index", vec![text("login/"), Piece::Hole(Hole::Index)])],
        body: Some((BodyKind::Raw, vec![text("constant")])),
        ..get(vec![text("/")])
    };
    let wire = rendered(parts, b"17").unwrap();
    assert!(wire.contains("\r\nX-Index: login/17\r\n"));
    assert_eq!(body_of(&wire), (8, "constant"));
}

#[test]
fn methods_that_expect_a_body_say_that_there_is_none() {
    let length = |method| {
        let wire = rendered(RequestParts { method, ..get(vec![text("/")]) }, b"").unwrap();
        wire.contains("Content-Length: 0\r\n")
    };
    assert!(length("POST") && length("PUT") && length("PATCH"));
    assert!(!length("GET") && !length("DELETE") && !length("HEAD"));
}

#[test]
fn what_cannot_stand_in_a_request_is_refused() {
    let refused = |parts| RequestTemplate::new(parts).map(|_| ()).unwrap_err();
    let header = |name, value: &str| RequestParts {
        headers: vec![(name, vec![text(value)])],
        ..get(vec![text("/")])
    };
    for path in ["", "items", "/a b", "/a\r\nX: y", "/#f"] {
        assert_eq!(refused(get(vec![text(path)])), TemplateError::Path(path.to_owned()));
    }
    let method = RequestParts { method: "GET /", ..get(vec![text("/")]) };
    assert_eq!(refused(method), TemplateError::Method("GET /".to_owned()));
    assert_eq!(refused(header("a b", "")), TemplateError::HeaderName("a b".to_owned()));
    assert_eq!(refused(header("a", "x\ny")), TemplateError::HeaderValue("a".to_owned()));
    for name in ["Content-Length", "transfer-encoding"] {
        assert_eq!(refused(header(name, "1")), TemplateError::HeaderReserved(name.to_owned()));
    }
    let holed = RequestParts {
        headers: vec![("a", vec![]), ("b", vec![Piece::Hole(Hole::Vu)])],
        ..get(vec![text("/")])
    };
    assert_eq!(rendered(holed, b"x\r\ny"), Err(TemplateError::HeaderValue("b".to_owned())));
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
        let kind = if json { BodyKind::Json } else { BodyKind::Raw };
        let mut body = Vec::new();
        for t in &texts {
            body.extend([text(t), Piece::Hole(Hole::Row(1))]);
        }
        let parts = RequestParts {
            method: "POST",
            body: Some((kind, body)),
            ..get(vec![text("/p/"), Piece::Hole(Hole::Row(0)), text("/e")])
        };
        let template = RequestTemplate::new(parts).unwrap();
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
