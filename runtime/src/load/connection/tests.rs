use std::future::Future;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::LocalSet;

use super::super::deadline::TICK_NS;
use super::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const FAR: u64 = 20_000_000_000;

/// Runs a test against a listener, with the thread's deadlines ticking.
fn on_thread<F: Future>(test: impl FnOnce(Rc<Shared>, TcpListener) -> F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let shared = Rc::new(Shared::default());
        let ticking = shared.clone();
        tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(Duration::from_nanos(TICK_NS)).await;
                ticking.deadlines.expire(now_ns());
            }
        });
        test(shared, TcpListener::bind("127.0.0.1:0").await.unwrap()).await
    })
}

fn connection(shared: Rc<Shared>, listener: &TcpListener) -> Connection {
    Connection::new(shared, [listener.local_addr().unwrap()].into())
}

async fn get(connection: &mut Connection, timeout: u64) -> Exchange {
    let started = now_ns();
    let retain = Retain { head: false, body: true };
    let out = Outgoing { bytes: b"GET / HTTP/1.1\r\n\r\n", head_request: false, retain };
    let exchange = connection.exchange(out, (started, started + timeout), |_| true).await.unwrap();
    let phases = exchange.blocked + exchange.duration();
    assert_eq!(exchange.ended, started + phases, "every moment belongs to one phase");
    exchange
}

async fn read_request(stream: &mut TcpStream) -> usize {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            break;
        }
    }
    request.len()
}

/// Serves the answers one after another on one connection, then closes it.
async fn serve(listener: &TcpListener, answers: &[&[u8]]) {
    let mut stream = listener.accept().await.unwrap().0;
    for answer in answers {
        assert_eq!(read_request(&mut stream).await, 18);
        stream.write_all(answer).await.unwrap();
    }
}

#[test]
fn one_connection_serves_many_exchanges() {
    on_thread(|shared, listener| async move {
        let mut client = connection(shared, &listener);
        let server = serve(&listener, &[OK, OK, OK]);
        let exchanges = async {
            let first = get(&mut client, FAR).await;
            assert_eq!((first.result, first.sent), (Ok(200), 18));
            assert_eq!(first.received, OK.len() as u64);
            assert!(first.connecting > 0 && first.blocked >= first.connecting);
            assert_eq!(client.response().body(), b"ok");
            for _ in 0..2 {
                let next = get(&mut client, FAR).await;
                assert_eq!((next.result, next.connecting, next.blocked), (Ok(200), 0, 0));
            }
        };
        tokio::join!(server, exchanges);
    });
}

#[test]
fn every_framing() {
    let chunked: &[u8] =
        b"HTTP/1.1 201 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let last: &[u8] = b"HTTP/1.1 200 x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    let closed: &[u8] = b"HTTP/1.1 202 x\r\n\r\nok";
    on_thread(|shared, listener| async move {
        let mut client = connection(shared, &listener);
        let server = async {
            serve(&listener, &[chunked, last]).await;
            serve(&listener, &[closed]).await;
            serve(&listener, &[OK]).await;
        };
        let exchanges = async {
            for (status, connects) in [(201, true), (200, false), (202, true), (200, true)] {
                let exchange = get(&mut client, FAR).await;
                assert_eq!((exchange.result, client.response().body()), (Ok(status), &b"ok"[..]));
                assert_eq!(exchange.connecting > 0, connects);
            }
        };
        tokio::join!(server, exchanges);
    });
}

#[test]
fn nobody_listens() {
    on_thread(|shared, listener| async move {
        let mut client = connection(shared.clone(), &listener);
        let address = listener.local_addr().unwrap();
        drop(listener);
        let exchange = get(&mut client, FAR).await;
        assert_eq!((exchange.result, exchange.sent), (Err(ErrorClass::Refused), 0));
        assert_eq!(exchange.duration(), 0);
        let listening = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = [address, listening.local_addr().unwrap()].into();
        let mut client = Connection::new(shared, addresses);
        let (exchange, ()) = tokio::join!(get(&mut client, FAR), serve(&listening, &[OK]));
        assert_eq!(exchange.result, Ok(200), "the second address answers");
    });
}

#[test]
fn broken_in_the_middle() {
    let heads: [&[u8]; 3] = [b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok"];
    for head in heads {
        on_thread(|shared, listener| async move {
            let mut client = connection(shared, &listener);
            let answers = [head];
            let (exchange, ()) = tokio::join!(get(&mut client, FAR), serve(&listener, &answers));
            assert_eq!(exchange.result, Err(ErrorClass::Reset));
            assert_eq!(exchange.received, head.len() as u64);
        });
    }
}

#[test]
fn malformed() {
    on_thread(|shared, listener| async move {
        let mut client = connection(shared, &listener);
        let server = async {
            serve(&listener, &[b"SSH-2.0-x\r\n"]).await;
            serve(&listener, &[OK]).await;
        };
        let exchanges = async {
            assert_eq!(get(&mut client, FAR).await.result, Err(ErrorClass::Body));
            assert_eq!(get(&mut client, FAR).await.result, Ok(200), "on a new connection");
        };
        tokio::join!(server, exchanges);
    });
}

#[test]
fn late() {
    const TIMEOUT: u64 = 30_000_000;
    let answers: [&[u8]; 2] = [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok"];
    for answer in answers {
        on_thread(|shared, listener| async move {
            let mut client = connection(shared, &listener);
            let server = async {
                let mut stream = listener.accept().await.unwrap().0;
                read_request(&mut stream).await;
                stream.write_all(answer).await.unwrap();
                assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0, "the client hangs up");
            };
            let exchanges = async {
                let exchange = get(&mut client, TIMEOUT).await;
                assert_eq!(exchange.result, Err(ErrorClass::Timeout));
                assert!(exchange.duration() + exchange.blocked >= TIMEOUT);
            };
            tokio::join!(server, exchanges);
        });
    }
}

#[test]
fn a_connection_seen_closed_is_opened_again() {
    on_thread(|shared, listener| async move {
        let mut client = connection(shared, &listener);
        let (first, ()) = tokio::join!(get(&mut client, FAR), serve(&listener, &[OK]));
        assert_eq!(first.result, Ok(200));
        // The server has closed; one turn of the reactor makes that known.
        let closed = poll_fn(|cx| match &client.stream {
            Some(stream) => stream.poll_read_ready(cx).map(|ready| ready.is_ok()),
            None => Poll::Ready(true),
        });
        assert!(closed.await);
        let (next, ()) = tokio::join!(get(&mut client, FAR), serve(&listener, &[OK]));
        assert_eq!(next.result, Ok(200));
        assert!(next.connecting > 0);
    });
}

#[test]
fn a_written_request_is_never_sent_again() {
    on_thread(|shared, listener| async move {
        let mut client = connection(shared, &listener);
        let server = async {
            let mut stream = listener.accept().await.unwrap().0;
            read_request(&mut stream).await;
            stream.write_all(OK).await.unwrap();
            assert_eq!(read_request(&mut stream).await, 18);
        };
        let exchanges = async {
            assert_eq!(get(&mut client, FAR).await.result, Ok(200));
            let stale = get(&mut client, FAR).await;
            assert_eq!((stale.result, stale.sent), (Err(ErrorClass::Reset), 18));
        };
        tokio::join!(server, exchanges);
        let again = tokio::time::timeout(Duration::from_millis(20), listener.accept()).await;
        assert!(again.is_err(), "no second connection");
    });
}

#[test]
fn a_large_request_is_written_in_pieces() {
    const BODY: usize = 8 << 20;
    on_thread(|shared, listener| async move {
        let mut client = connection(shared, &listener);
        let server = async {
            let mut stream = listener.accept().await.unwrap().0;
            let (mut seen, mut buffer) = (0, vec![0; 1 << 16]);
            while seen < BODY {
                seen += stream.read(&mut buffer).await.unwrap();
            }
            stream.write_all(OK).await.unwrap();
            seen
        };
        let exchanges = async {
            let bytes = vec![b'x'; BODY];
            let started = now_ns();
            let out = Outgoing { bytes: &bytes, head_request: false, retain: Retain::default() };
            client.exchange(out, (started, started + FAR), |_| true).await.unwrap()
        };
        let (seen, exchange) = tokio::join!(server, exchanges);
        assert_eq!((seen, exchange.result, exchange.sent), (BODY, Ok(200), BODY as u64));
    });
}

#[test]
fn a_permit_that_ends_while_connecting_is_obeyed() {
    on_thread(|shared, listener| async move {
        let mut client = connection(shared, &listener);
        let bytes = b"GET / HTTP/1.1\r\n\r\n";
        let out = Outgoing { bytes, head_request: false, retain: Retain::default() };
        let started = now_ns();
        let held = client.exchange(out, (started, started + FAR), |now| now < started).await;
        assert_eq!(held, None);
        let (next, ()) = tokio::join!(get(&mut client, FAR), serve(&listener, &[OK]));
        assert_eq!((next.result, next.connecting), (Ok(200), 0), "on the connection that is open");
    });
}
