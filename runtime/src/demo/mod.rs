//! The demo shop: an HTTP server inside this process, the target of plans with `base_url: demo`.
//!
//! It lets a first run work with nothing installed. It listens on a free port of 127.0.0.1 with a
//! thread and an executor of its own, so that it takes no turn of the load engine's. It keeps
//! counters and nothing else, whatever it is sent: a token is proven by its form.
//!
//! | request | answer |
//! |---|---|
//! | `GET /`, `/items`, `/items/{id}` | 200; 404 for an id that is not 1..=100 |
//! | `POST /login` `{"u": name}` | 200 `{"token": …}`; 422 without a name |
//! | `POST /cart` `{"item": id}` with `Authorization: Bearer` token | 201; 401 without |
//! | `POST /checkout` with the same | 201 `{"order": n}`; 401 without |
//! | `GET /status/{code}` | that status; 400 outside 200..=599 |
//! | `GET /slow?ms=N` | 200 after N ms, at most 60,000 |
//! | `GET /stats` | 200 `{"requests": n}`, itself not counted |

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Json, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

const ITEMS: u32 = 100;
const SLOW_MAX_MS: u64 = 60_000;
const BODY_MAX: usize = 64 << 10;
const TOKEN: &str = "shop-";

/// A running demo shop; dropping it stops it and closes its connections.
#[derive(Debug)]
pub struct Shop {
    address: SocketAddr,
    counters: Arc<Counters>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    orders: AtomicU64,
}

impl Shop {
    /// Opens a shop on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No port could be bound, or no thread started.
    pub fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let listener = {
            // Not `block_on`: the caller may be a task of another executor.
            let _inside = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let address = listener.local_addr()?;
        let counters = Arc::new(Counters::default());
        let (stop, stopped) = oneshot::channel();
        let router = router(counters.clone());
        let serve = move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = axum::serve(listener, router) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("demo-shop".to_owned()).spawn(serve)?;
        Ok(Self { address, counters, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests served since it opened, without those for `/stats`.
    pub fn requests(&self) -> u64 {
        self.counters.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server was already printed, and there is nobody to tell.
            drop(thread.join());
        }
    }
}

fn router(counters: Arc<Counters>) -> Router {
    Router::new()
        .route("/", get(|| async { "Welcome to the Hyperscale demo shop.\n" }))
        .route("/items", get(items))
        .route("/items/{id}", get(item))
        .route("/login", post(login))
        .route("/cart", post(cart))
        .route("/checkout", post(checkout))
        .route("/status/{code}", get(status))
        .route("/slow", get(slow))
        .layer(from_fn_with_state(counters.clone(), count))
        .route("/stats", get(stats))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(counters)
}

async fn count(State(counters): State<Arc<Counters>>, request: Request, next: Next) -> Response {
    counters.requests.fetch_add(1, Ordering::Relaxed);
    next.run(request).await
}

async fn items() -> Json<Value> {
    let items = (1..=10).map(article).collect();
    Json(json!({ "items": Value::Array(items), "total": ITEMS }))
}

async fn item(Path(id): Path<u32>) -> Response {
    if (1..=ITEMS).contains(&id) {
        Json(article(id)).into_response()
    } else {
        StatusCode::NOT_FOUND.into_response()
    }
}

fn article(id: u32) -> Value {
    json!({ "id": id, "name": format!("Item {id}"), "cents": 100 + id * 7 })
}

#[derive(Deserialize)]
struct Login {
    u: String,
}

async fn login(Json(login): Json<Login>) -> Response {
    if login.u.is_empty() {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    }
    Json(json!({ "token": format!("{TOKEN}{}", login.u) })).into_response()
}

fn is_customer(headers: &HeaderMap) -> bool {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.and_then(|v| v.strip_prefix("Bearer ")).is_some_and(|token| token.starts_with(TOKEN))
}

#[derive(Deserialize)]
struct CartLine {
    item: u32,
}

async fn cart(headers: HeaderMap, Json(line): Json<CartLine>) -> Response {
    if !is_customer(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    (StatusCode::CREATED, Json(json!({ "item": line.item, "count": 1 }))).into_response()
}

async fn checkout(State(counters): State<Arc<Counters>>, headers: HeaderMap) -> Response {
    if !is_customer(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let order = counters.orders.fetch_add(1, Ordering::Relaxed) + 1;
    (StatusCode::CREATED, Json(json!({ "order": order }))).into_response()
}

async fn status(Path(code): Path<u16>) -> StatusCode {
    let code = Some(code).filter(|code| (200..=599).contains(code));
    code.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(StatusCode::BAD_REQUEST)
}

#[derive(Deserialize)]
struct Slow {
    ms: u64,
}

async fn slow(Query(slow): Query<Slow>) -> &'static str {
    tokio::time::sleep(Duration::from_millis(slow.ms.min(SLOW_MAX_MS))).await;
    "slow\n"
}

async fn stats(State(counters): State<Arc<Counters>>) -> Json<Value> {
    Json(json!({ "requests": counters.requests.load(Ordering::Relaxed) }))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    /// Status and body of one request on a connection of its own.
    fn ask(shop: &Shop, method: &str, path: &str, extra: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(shop.address()).unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{extra}\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer[9..12].parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    #[test]
    fn a_visit() {
        let shop = Shop::start().unwrap();
        let get = |path: &str| ask(&shop, "GET", path, "", "");
        assert_eq!(get("/").0, 200);
        assert!(get("/items").1.contains("\"total\":100"));
        assert_eq!((get("/items/100").0, get("/items/101").0), (200, 404));
        let (status, body) = ask(&shop, "POST", "/login", "", "{\"u\":\"ann\"}");
        assert_eq!((status, body.as_str()), (200, "{\"token\":\"shop-ann\"}"));
        assert_eq!(ask(&shop, "POST", "/login", "", "{\"u\":\"\"}").0, 422);
        let token = "Authorization: Bearer shop-ann\r\n";
        assert_eq!(ask(&shop, "POST", "/cart", token, "{\"item\":3}").0, 201);
        assert_eq!(ask(&shop, "POST", "/cart", "", "{\"item\":3}").0, 401);
        assert_eq!(ask(&shop, "POST", "/checkout", token, "").1, "{\"order\":1}");
        assert_eq!(ask(&shop, "POST", "/checkout", "", "").0, 401);
        assert_eq!((get("/status/503").0, get("/status/99").0), (503, 400));
        assert_eq!(get("/slow?ms=1").0, 200);
        assert_eq!(shop.requests(), 13);
        assert_eq!(get("/stats").1, "{\"requests\":13}");
        assert_eq!(shop.requests(), 13);
    }

    #[test]
    fn a_dropped_shop_is_closed() {
        let shop = Shop::start().unwrap();
        let address = shop.address();
        drop(shop);
        assert!(TcpStream::connect(address).is_err());
    }
}
