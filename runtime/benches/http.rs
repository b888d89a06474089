//! Closed-loop GETs on one thread, to compare with wrk:
//! `cargo bench -p hyperscale-runtime --bench http -- http://127.0.0.1:8181/ 64 10`
//! prints requests per second, requests per CPU-second of the whole process, and resident memory.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use hyperscale_runtime::clock::now_ns;
use hyperscale_runtime::load::connection::{Connection, Outgoing, Shared};
use hyperscale_runtime::load::deadline::TICK_NS;
use hyperscale_runtime::load::response::Retain;
use hyperscale_runtime::load::target::Target;
use hyperscale_runtime::load::template::{Piece, RequestParts, RequestTemplate};
use rustix::process::{Resource, getrlimit};

const TIMEOUT_NS: u64 = 10_000_000_000;

#[derive(Default)]
struct Counts {
    done: Cell<u64>,
    failed: Cell<u64>,
    over: Cell<bool>,
}

async fn virtual_user(
    shared: Rc<Shared>,
    addresses: Rc<[SocketAddr]>,
    template: Rc<RequestTemplate>,
    counts: Rc<Counts>,
) {
    let mut connection = Connection::new(shared, addresses);
    let bytes = template.constant().expect("no holes");
    let mut now = now_ns();
    while !counts.over.get() {
        let out = Outgoing { bytes, head_request: false, retain: Retain::default() };
        let exchange = connection.exchange(out, now, now + TIMEOUT_NS).await;
        now = exchange.ended;
        counts.done.set(counts.done.get() + 1);
        if exchange.result != Ok(200) {
            counts.failed.set(counts.failed.get() + 1);
        }
    }
}

async fn tick(shared: Rc<Shared>) {
    let mut ticks = tokio::time::interval(Duration::from_nanos(TICK_NS));
    loop {
        ticks.tick().await;
        shared.deadlines.expire(now_ns());
    }
}

/// User and system time of this process in seconds, and its resident memory in KiB.
fn usage() -> (f64, u64) {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("procfs");
    let after = stat.rsplit(')').next().unwrap_or_default();
    let field = |n: usize| -> f64 {
        after.split_whitespace().nth(n).and_then(|f| f.parse().ok()).unwrap_or_default()
    };
    let cpu = (field(11) + field(12)) / 100.0;
    (cpu, field(21) as u64 * 4)
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let url = args.first().map_or("http://127.0.0.1:8181", String::as_str);
    let number = |at: usize, default| args.get(at).and_then(|a| a.parse().ok()).unwrap_or(default);
    let (connections, seconds) = (number(1, 64_u64), number(2, 10_u64));
    println!("open files: {:?}", getrlimit(Resource::Nofile).current);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("rt");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async move {
        let target = Target::parse(url).expect("a base url");
        let addresses: Rc<[SocketAddr]> = target.resolve().await.expect("an address").into();
        let template = RequestTemplate::new(RequestParts {
            method: "GET",
            authority: &target.authority,
            path: vec![Piece::from("/")],
            ..RequestParts::default()
        });
        let template = Rc::new(template.expect("a request"));
        let (shared, counts) = (Rc::new(Shared::default()), Rc::new(Counts::default()));
        tokio::task::spawn_local(tick(shared.clone()));
        let (cpu, empty) = usage();
        let users: Vec<_> = (0..connections)
            .map(|_| {
                let user = virtual_user(
                    shared.clone(),
                    addresses.clone(),
                    template.clone(),
                    counts.clone(),
                );
                tokio::task::spawn_local(user)
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        counts.over.set(true);
        let (cpu, full) = (usage().0 - cpu, usage().1);
        let done = counts.done.get();
        println!(
            "{done} requests, {} failed, {:.0}/s, {:.0} per CPU-second, {:.2} CPU-s/M",
            counts.failed.get(),
            done as f64 / seconds as f64,
            done as f64 / cpu,
            cpu * 1e6 / done as f64,
        );
        println!("{full} KiB resident, {:.1} KiB per connection", {
            full.saturating_sub(empty) as f64 / connections as f64
        });
        for user in users {
            user.await.expect("a user");
        }
    });
}
