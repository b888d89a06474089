use proptest::prelude::*;

use super::*;

const KEPT: Progress = Progress::Complete { reusable: true };
const LAST: Progress = Progress::Complete { reusable: false };

fn parser(retain: bool) -> ResponseParser {
    let mut parser = ResponseParser::default();
    parser.begin(false, Retain { head: retain, body: retain });
    parser
}

/// Feeds the pieces; the result of the last that was needed.
fn fed(parser: &mut ResponseParser, pieces: &[&[u8]]) -> Result<Progress, Malformed> {
    let mut progress = Progress::Partial;
    for piece in pieces {
        progress = parser.feed(piece)?;
    }
    Ok(progress)
}

fn whole(wire: &str) -> (Result<Progress, Malformed>, u16, String) {
    let mut parser = parser(true);
    let progress = parser.feed(wire.as_bytes());
    (progress, parser.status(), String::from_utf8_lossy(parser.body()).into_owned())
}

fn malformed(wire: &str) -> &'static str {
    whole(wire).0.expect_err(wire).0
}

#[test]
fn fixed_length() {
    let wire = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(whole(wire), (Ok(KEPT), 200, "hello".to_owned()));
    let wire = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(whole(wire), (Ok(KEPT), 404, String::new()));
}

#[test]
fn chunked_with_extension_and_trailers() {
    let wire = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n\
                5;a=b\r\nhello\r\n00a\r\n, wide wor\r\n2 \r\nld\r\n0\r\nX: y\r\nZ: w\r\n\r\n";
    assert_eq!(whole(wire), (Ok(KEPT), 200, "hello, wide world".to_owned()));
}

#[test]
fn until_close() {
    let mut parser = parser(true);
    let wire = b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nhel";
    assert_eq!(fed(&mut parser, &[wire, b"lo"]), Ok(Progress::Partial));
    assert!(parser.on_close());
    assert_eq!(parser.body(), b"hello");
    assert_eq!(parser.header("x"), Some(&b"y"[..]));
    assert_eq!(parser.header("z"), None);
}

#[test]
fn statuses_and_methods_without_a_body() {
    for status in ["204 No Content", "304 Not Modified"] {
        let wire = format!("HTTP/1.1 {status}\r\nContent-Length: 9\r\n\r\n");
        assert_eq!(whole(&wire).0, Ok(KEPT));
    }
    let mut parser = ResponseParser::default();
    parser.begin(true, Retain::default());
    assert_eq!(parser.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), Ok(KEPT));
}

#[test]
fn interim_responses_are_skipped() {
    let wire = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
                HTTP/1.1 201 Created\r\nContent-Length: 1\r\nLocation: /1\r\n\r\nx";
    assert_eq!(whole(wire), (Ok(KEPT), 201, "x".to_owned()));
    for torn in [3, 25, 30, 70] {
        let mut parser = parser(true);
        let (a, b) = wire.as_bytes().split_at(torn);
        assert_eq!(fed(&mut parser, &[a, b]), Ok(KEPT));
        assert_eq!(parser.header("location"), Some(&b"/1"[..]));
        assert_eq!(parser.header("link"), None);
    }
    assert!(malformed("HTTP/1.1 101 Switching Protocols\r\n\r\n").contains("switching"));
}

#[test]
fn when_the_connection_may_be_reused() {
    let reusable = |version: &str, connection: &str| {
        let wire = format!("HTTP/{version} 200 OK\r\n{connection}Content-Length: 0\r\n\r\n");
        whole(&wire).0.unwrap()
    };
    assert_eq!(reusable("1.1", ""), KEPT);
    assert_eq!(reusable("1.1", "Connection: x, CLOSE\r\n"), LAST);
    assert_eq!(reusable("1.0", ""), LAST);
    assert_eq!(reusable("1.0", "Connection: Keep-Alive\r\n"), KEPT);
    let surplus = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy";
    assert_eq!(whole(surplus), (Ok(LAST), 200, "x".to_owned()));
    let both =
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(whole(both).0, Ok(LAST));
}

#[test]
fn what_is_malformed() {
    assert_eq!(malformed("SSH-2.0-OpenSSH_9\r\n"), "not an HTTP/1.1 head");
    assert_eq!(malformed("HTTP/1.1 099 Low\r\n\r\n"), "status below 100");
    for length in ["-1", "+1", "5, 5", "99999999999999999999", "", "0x1"] {
        let wire = format!("HTTP/1.1 200 OK\r\nContent-Length:\t{length}\r\n\r\n");
        assert_eq!(malformed(&wire), "bad content length", "{length}");
    }
    let two = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n";
    assert_eq!(malformed(two), "two content lengths");
    for body in ["\r\n", "g\r\n", "1\n", "fffffffffffffffff\r\n", "1;x\ny\r\n", "5 5\rx"] {
        let wire = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        assert_eq!(malformed(&wire), "bad chunk size", "{body}");
    }
    for body in ["1\r\nxx", "1\r\nx\rx", "0\r\n\rx"] {
        let wire = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        assert_eq!(malformed(&wire), "bad chunk framing", "{body}");
    }
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(HEADERS_MAX + 1));
    assert_eq!(malformed(&many), "too many headers");
}

#[test]
fn every_length_is_bounded() {
    let mut endless = parser(false);
    assert_eq!(endless.feed(b"HTTP/1.1 200 OK\r\nA: "), Ok(Progress::Partial));
    let fed = (0..100).try_for_each(|_| endless.feed(&[b'a'; 1000]).map(|_| ()));
    assert_eq!(fed, Err(Malformed("head too long")));
    assert!(endless.head.capacity() <= 2 * HEAD_MAX);

    let mut torn = parser(false);
    assert_eq!(torn.feed(b"HTTP/1.1 200 OK\r\n"), Ok(Progress::Partial));
    let rest = [&b"Content-Length: 80000\r\n\r\n"[..], &[b'x'; 80_000]].concat();
    assert_eq!(torn.feed(&rest), Ok(KEPT), "a long body behind a torn head is not a long head");

    let mut big = parser(true);
    big.feed(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    for _ in 0..3 {
        big.feed(&vec![b'x'; BODY_MAX / 2]).unwrap();
    }
    assert!(big.on_close());
    assert_eq!(big.body().len(), BODY_MAX);
    big.begin(false, Retain::default());
    assert_eq!((big.body().len(), big.body.capacity()), (0, 0));

    for line in ["1;", "0\r\nX"] {
        let mut parser = parser(false);
        parser.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        parser.feed(line.as_bytes()).unwrap();
        assert!(parser.feed(&vec![b'x'; LINE_MAX as usize + 1]).is_err(), "{line}");
        assert!(parser.feed(b"x").is_err(), "out of step until begin");
    }
}

#[test]
fn a_close_before_the_end_does_not_end_a_response() {
    let heads = ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx"];
    for head in heads {
        let mut parser = parser(false);
        assert_eq!(parser.feed(head.as_bytes()), Ok(Progress::Partial));
        assert!(!parser.on_close(), "{head}");
    }
}

fn response() -> impl Strategy<Value = (Vec<u8>, Vec<u8>, bool)> {
    let body = proptest::collection::vec(any::<u8>(), 0..300);
    (body, 0..3_u8, 1..40_usize).prop_map(|(body, framing, chunk)| {
        let mut wire = b"HTTP/1.1 200 OK\r\nX-A: some value\r\n".to_vec();
        match framing {
            0 => {
                wire.extend(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
                wire.extend(&body);
            }
            1 => {
                wire.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                for data in body.chunks(chunk) {
                    wire.extend(format!("{:x}\r\n", data.len()).as_bytes());
                    wire.extend(data);
                    wire.extend(b"\r\n");
                }
                wire.extend(b"0\r\n\r\n");
            }
            _ => {
                wire.extend(b"\r\n");
                wire.extend(&body);
            }
        }
        (wire, body, framing == 2)
    })
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_response(
        (wire, body, closes) in response(),
        cuts in proptest::collection::vec(1..60_usize, 1..40),
        retain in any::<bool>(),
    ) {
        let mut parser = parser(retain);
        let (mut rest, mut progress) = (&wire[..], Progress::Partial);
        for cut in cuts.iter().cycle() {
            let (piece, tail) = rest.split_at((*cut).min(rest.len()));
            progress = parser.feed(piece).unwrap();
            rest = tail;
            if rest.is_empty() {
                break;
            }
            prop_assert_eq!(progress, Progress::Partial);
        }
        if closes {
            prop_assert_eq!(progress, Progress::Partial);
            prop_assert!(parser.on_close());
        } else {
            prop_assert_eq!(progress, KEPT);
        }
        prop_assert_eq!(parser.status(), 200);
        prop_assert_eq!(parser.body(), if retain { &body[..] } else { &[] });
        prop_assert_eq!(parser.header("x-a").is_some(), retain);
    }

    #[test]
    fn hostile_bytes_never_panic_and_never_grow_memory(
        prefix in 0..3_usize,
        noise in proptest::collection::vec(any::<u8>(), 0..400),
        digits in "[0-9a-fA-F;\r\n]{0,60}",
    ) {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let heads = ["", "HTTP/1.1 200 OK\r\n", chunked];
        let mut parser = parser(true);
        let mut failed = parser.feed(heads[prefix].as_bytes()).is_err();
        for piece in [digits.as_bytes(), &noise] {
            let fed = parser.feed(piece);
            prop_assert!(!failed || fed.is_err(), "a failed parser stays failed");
            failed |= fed.is_err();
        }
        prop_assert!(!(failed && parser.on_close()));
        prop_assert!(parser.head.len() + parser.body.len() <= 600);
    }
}
