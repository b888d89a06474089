use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use hyperscale_core::bounded::BoundedVec;
use hyperscale_core::ids::{Fence, GroupId, JobId, LogIndex, ShardId, ShardIx, WorkflowIx};
use hyperscale_core::input::Progress;
use hyperscale_core::plan::{
    Body, BodyKind, Capture, CaptureFrom, DataSource, Executor, JsonKey, Piece, Rate, RequestStep,
    RowOrder, Share, Step, Stripe, Template, When, Workflow,
};
use hyperscale_core::stats::Totals;
use tokio::runtime::Runtime as TestRuntime;

use super::*;
use crate::clock;

const FOREVER: Duration = Duration::from_secs(3600);
const LIMIT: Duration = Duration::from_secs(30);

fn bounded<T, const N: usize>(items: Vec<T>) -> BoundedVec<T, N> {
    BoundedVec::try_from(items).unwrap_or_else(|_| panic!("too many"))
}

fn text(text: &str) -> Piece {
    Piece::Text(text.to_owned())
}

fn request(name: &str, method: &str, target: Vec<Piece>) -> RequestStep {
    RequestStep {
        name: name.to_owned(),
        method: method.to_owned(),
        target: Template(bounded(target)),
        headers: BoundedVec::default(),
        body: None,
        expect_status: BoundedVec::default(),
        expect_body: None,
        captures: BoundedVec::default(),
        timeout: LIMIT,
    }
}

fn get(path: &str) -> Step {
    Step::Request(Box::new(request(path, "GET", vec![text(path)])))
}

fn per_vu(vus: u32, iterations: u64) -> Executor {
    Executor::PerVuIterations { vus, iterations, max_duration: FOREVER }
}

fn slice(executor: Executor, base_url: &str, flow: Vec<Step>) -> Slice {
    Slice {
        workflow_ix: WorkflowIx::new(0),
        workflow: Workflow {
            name: "visit".to_owned(),
            after: BoundedVec::default(),
            when: When::Ok,
            executor,
            graceful_stop: LIMIT,
            flow: bounded(flow),
            captures: 4,
            priority: Default::default(),
            retries: 3,
        },
        share: Share { vu_first: 0, vus: executor.vus(), stripe: Stripe::plain(0, 1) },
        first: 0,
        base_url: base_url.to_owned(),
        data: BoundedVec::default(),
        seed: 7,
        index_header: false,
        late_max: Duration::from_secs(10),
    }
}

fn run_id(index: u64) -> RunId {
    let shard = ShardId {
        job: JobId::new(1),
        workflow: WorkflowIx::new(0),
        shard: ShardIx::new(index as u16),
    };
    RunId { shard, fence: Fence { group: GroupId::new(1), index: LogIndex::new(index) } }
}

/// An engine with one run, and what it says.
struct Bench {
    engine: Engine,
    events: mpsc::Receiver<Input>,
    runtime: TestRuntime,
    run: RunId,
}

impl Bench {
    fn start(slice: Slice) -> Self {
        let (sender, events) = mpsc::channel(1024);
        let engine = Engine::start(1, sender).unwrap();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let mut bench = Self { engine, events, runtime, run: run_id(1) };
        bench.engine.order(EngineOrder::Start { run: bench.run, slice: Box::new(slice) });
        bench
    }

    /// Prepared, and permitted without bounds from plan time zero.
    fn begin(slice: Slice) -> Self {
        let mut bench = Self::start(slice);
        assert_eq!(bench.event(), EngineEvent::Prepared { run: bench.run });
        bench.permit(u64::MAX, FOREVER, clock::now());
        bench
    }

    fn event(&mut self) -> EngineEvent {
        let event = async { tokio::time::timeout(LIMIT, self.events.recv()).await };
        match self.runtime.block_on(event) {
            Ok(Some(Input::Engine(event))) => *event,
            other => panic!("{other:?}"),
        }
    }

    fn permit(&mut self, ceiling: u64, lasts: Duration, zero: hyperscale_core::time::Instant) {
        let until = clock::now().after(lasts);
        let permit = Permit { until, ceiling, zero };
        self.engine.order(EngineOrder::Permit { run: self.run, permit });
    }

    fn progressed(&mut self, mut wanted: impl FnMut(&Progress) -> bool) -> Progress {
        loop {
            if let EngineEvent::Progressed { progress, .. } = self.event()
                && wanted(&progress)
            {
                return progress;
            }
        }
    }

    /// Collects reports until the end.
    fn ended(mut self) -> Ended {
        let mut reports = Vec::new();
        loop {
            match self.event() {
                EngineEvent::Progressed { .. } => {}
                EngineEvent::Reported { second, totals, .. } => reports.push((second, *totals)),
                EngineEvent::Ended { completed, progress, totals, run } => {
                    assert_eq!(run, self.run);
                    return Ended { completed, progress, totals: *totals, reports };
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

struct Ended {
    completed: bool,
    progress: Progress,
    totals: Totals,
    reports: Vec<(u32, Totals)>,
}

#[test]
fn every_request_is_counted_once() {
    let shop = Shop::start().unwrap();
    let url = format!("http://{}", shop.address());
    let flow = vec![get("/items"), get("/status/503"), get("/items/3")];
    let ended = Bench::begin(slice(per_vu(3, 50), &url, flow)).ended();
    assert!(ended.completed);
    assert_eq!((ended.progress.started, ended.progress.ended), (150, 150));
    assert_eq!((ended.totals.iterations, ended.totals.interrupted), (150, 0));
    assert_eq!(ended.totals.iteration_duration.count(), 150);
    assert_eq!(shop.requests(), 450);
    for (step, failed) in ended.totals.steps.iter().zip([0, 150, 0]) {
        assert_eq!((step.requests, step.failed, step.errors.status), (150, failed, failed));
        assert_eq!((step.duration.count(), step.latency.count()), (150, 0));
        assert!(step.sent > 0 && step.received > step.sent);
    }
    assert_eq!(ended.totals.steps[0].connecting.count(), 3, "one connection per user");
    assert_eq!(ended.totals.steps[1].connecting.count(), 0);
}

#[test]
fn an_open_loop_starts_every_arrival() {
    let rate = Rate { count: 2000, unit: Duration::from_secs(1) };
    let duration = Duration::from_millis(1200);
    let executor = Executor::ConstantArrivalRate { rate, duration, max_vus: 200 };
    let ended = Bench::begin(slice(executor, "demo", vec![get("/items"), get("/")])).ended();
    assert!(ended.completed);
    assert_eq!((ended.progress.started, ended.progress.dropped), (2400, 0));
    assert_eq!(ended.totals.start_lag.count(), 2400);
    let [first, second] = &ended.totals.steps[..] else { panic!() };
    assert_eq!((first.latency.count(), second.latency.count()), (2400, 0));
    assert!(first.latency.sum_us() >= first.duration.sum_us());
    let [(1, report)] = &ended.reports[..] else { panic!("{:?}", ended.reports.len()) };
    assert!((1..=2000).contains(&report.steps[0].requests), "{}", report.steps[0].requests);
}

#[test]
fn a_ceiling_holds_until_it_is_raised() {
    let shop = Shop::start().unwrap();
    let url = format!("http://{}", shop.address());
    let mut bench = Bench::start(slice(per_vu(2, 5), &url, vec![get("/")]));
    assert_eq!(bench.event(), EngineEvent::Prepared { run: bench.run });
    let zero = clock::now();
    bench.permit(2, FOREVER, zero);
    let starved = bench.progressed(|p| p.starved && p.ended == 4);
    assert_eq!((starved.next, starved.started), (2, 4));
    assert_eq!(shop.requests(), 4);
    bench.permit(5, FOREVER, zero);
    let ended = bench.ended();
    assert_eq!((ended.completed, ended.progress.next, shop.requests()), (true, 5, 10));
}

fn wait(is: impl Fn() -> bool) {
    let end = clock::now().after(LIMIT);
    while !is() {
        assert!(clock::now() < end, "waited for {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// An idle run has nothing to tell: its counters are told when they changed.
#[test]
fn counters_are_told_when_they_changed() {
    let url = "demo";
    let mut bench = Bench::begin(slice(per_vu(1, 1), url, vec![get("/slow?ms=900")]));
    let told = std::iter::from_fn(|| match bench.event() {
        EngineEvent::Progressed { progress, .. } => Some(progress),
        EngineEvent::Reported { .. } | EngineEvent::Ended { .. } => None,
        other => panic!("{other:?}"),
    });
    let told: Vec<Progress> = told.collect();
    assert!(!told.is_empty() && told.windows(2).all(|pair| pair[0] != pair[1]), "{told:?}");
}

#[test]
fn nothing_is_sent_without_an_unexpired_permit() {
    let shop = Shop::start().unwrap();
    let url = format!("http://{}", shop.address());
    let executor = Executor::ConstantVus { vus: 4, duration: FOREVER };
    let flow = vec![get("/"), get("/items")];
    let mut bench = Bench::start(slice(executor, &url, flow));
    assert_eq!(bench.event(), EngineEvent::Prepared { run: bench.run });
    let zero = clock::now();
    let lasts = Duration::from_millis(150);
    bench.permit(u64::MAX, lasts, zero);
    let over = zero.after(lasts + lasts);
    wait(|| clock::now() > over);
    let parked = shop.requests();
    assert!(parked > 0);
    let looked = clock::now().after(lasts + lasts);
    wait(|| clock::now() > looked);
    assert_eq!(shop.requests(), parked);
    bench.permit(u64::MAX, FOREVER, zero);
    wait(|| shop.requests() > parked);
    bench.engine.order(EngineOrder::Stop { run: bench.run });
    let ended = bench.ended();
    assert!(!ended.completed);
    let counted: u64 = ended.totals.steps.iter().map(|s| s.requests + s.interrupted).sum();
    assert!(shop.requests() <= counted && counted <= shop.requests() + 4);
    assert_eq!(ended.progress.started, ended.totals.iterations + ended.totals.interrupted);
}

#[test]
fn a_stop_interrupts_what_is_open() {
    let shop = Shop::start().unwrap();
    let url = format!("http://{}", shop.address());
    let mut bench = Bench::begin(slice(per_vu(3, 1), &url, vec![get("/"), get("/slow?ms=60000")]));
    wait(|| shop.requests() == 6);
    bench.engine.order(EngineOrder::Stop { run: bench.run });
    let ended = bench.ended();
    assert!(!ended.completed);
    assert_eq!((ended.totals.iterations, ended.totals.interrupted), (0, 3));
    let [first, slow] = &ended.totals.steps[..] else { panic!() };
    assert_eq!((first.requests, first.interrupted), (3, 0));
    assert_eq!((slow.requests, slow.interrupted), (0, 3));
}

#[test]
fn what_is_open_after_the_grace_is_interrupted() {
    let executor = Executor::ConstantVus { vus: 2, duration: Duration::from_millis(50) };
    let mut slice = slice(executor, "demo", vec![get("/slow?ms=60000")]);
    slice.workflow.graceful_stop = Duration::from_millis(50);
    let ended = Bench::begin(slice).ended();
    assert!(ended.completed, "it did all that its plan asked");
    assert_eq!((ended.totals.iterations, ended.totals.interrupted), (0, 2));
    assert_eq!(ended.totals.steps[0].interrupted, 2);
}

#[test]
fn a_run_that_cannot_work_says_why() {
    for (url, why) in [("https://x", "https://"), ("http://127.0.0.1:0", "base URL")] {
        let mut bench = Bench::start(slice(per_vu(1, 1), url, vec![get("/")]));
        match bench.event() {
            EngineEvent::PrepareFailed { run, reason } => {
                assert_eq!(run, bench.run);
                assert!(reason.contains(why), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
    let mut bench = Bench::start(slice(per_vu(1, 1), "demo", vec![get("items")]));
    assert!(matches!(bench.event(), EngineEvent::PrepareFailed { .. }));
}

#[test]
fn a_stop_before_the_first_permit_ends_the_run() {
    let mut bench = Bench::start(slice(per_vu(1, 1), "demo", vec![get("/")]));
    assert_eq!(bench.event(), EngineEvent::Prepared { run: bench.run });
    bench.engine.order(EngineOrder::Stop { run: bench.run });
    let ended = bench.ended();
    assert!(!ended.completed);
    assert_eq!((ended.progress, ended.totals.steps.len()), (Progress::default(), 1));
}

#[test]
fn runs_share_the_threads() {
    let mut bench = Bench::begin(slice(per_vu(1, 3), "demo", vec![get("/")]));
    let other = slice(per_vu(1, 3), "demo", vec![get("/")]);
    let run = run_id(2);
    bench.engine.order(EngineOrder::Start { run, slice: Box::new(other) });
    let permit =
        Permit { until: clock::now().after(FOREVER), ceiling: u64::MAX, zero: clock::now() };
    bench.engine.order(EngineOrder::Permit { run, permit });
    let mut ended = BTreeMap::new();
    while ended.len() < 2 {
        if let EngineEvent::Ended { run, totals, .. } = bench.event() {
            ended.insert(run, totals.iterations);
        }
    }
    assert_eq!(ended, BTreeMap::from([(run_id(1), 3), (run_id(2), 3)]));
}

fn json_key(key: &str) -> Capture {
    let path = bounded(vec![JsonKey::Key(key.to_owned())]);
    Capture { slot: 0, from: CaptureFrom::Json(path) }
}

#[test]
fn a_captured_token_opens_the_checkout() {
    let mut login = request("login", "POST", vec![text("/login")]);
    let row = Piece::Row { source: 0, column: 0 };
    let body = Template(bounded(vec![text("{\"u\":\""), row, text("\"}")]));
    login.body = Some(Body { kind: BodyKind::Json, text: body });
    login.captures = bounded(vec![json_key("token")]);
    let mut checkout = request("checkout", "POST", vec![text("/checkout")]);
    let bearer = Template(bounded(vec![text("Bearer "), Piece::Captured(0)]));
    checkout.headers = bounded(vec![("Authorization".to_owned(), bearer)]);
    checkout.expect_status = bounded(vec![(201, 201)]);
    checkout.expect_body = Some("order".to_owned());
    let mut nothing = request("nothing", "GET", vec![text("/items")]);
    nothing.captures = bounded(vec![json_key("token")]);
    let think = Step::Think { min: Duration::from_micros(1), max: Duration::from_millis(2) };
    let flow = vec![
        Step::Request(Box::new(login)),
        think,
        Step::Request(Box::new(checkout.clone())),
        Step::Request(Box::new(nothing)),
        Step::Request(Box::new(checkout)),
    ];
    let mut slice = slice(per_vu(2, 4), "demo", flow);
    slice.data = bounded(vec![DataSource {
        name: "row".to_owned(),
        columns: bounded(vec!["user".to_owned()]),
        rows: bounded(vec![bounded(vec!["a\"b".to_owned()]), bounded(vec!["c".to_owned()])]),
        order: RowOrder::Sequential,
    }]);
    let ended = Bench::begin(slice).ended();
    let [login, paid, nothing, denied] = &ended.totals.steps[..] else { panic!() };
    assert_eq!((login.requests, login.failed), (8, 0));
    assert_eq!((paid.failed, paid.checks_passed, paid.checks_failed), (0, 16, 0));
    assert_eq!((nothing.failed, nothing.errors.body), (8, 8), "there is no token in the items");
    assert_eq!((denied.errors.status, denied.checks_failed), (8, 16), "an empty token");
    assert_eq!(denied.statuses.iter().collect::<Vec<_>>(), [(&401, &8)]);
}

/// Answers every request with 204 and keeps the index headers.
fn index_server() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = seen.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let kept = kept.clone();
            std::thread::spawn(move || {
                let mut answers = stream.try_clone().unwrap();
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if let Some(index) = line.strip_prefix("X-Hyperscale-Index: ") {
                        kept.lock().unwrap().push(index.to_owned());
                    } else if line.is_empty() {
                        answers.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
                    }
                }
            });
        }
    });
    (address, seen)
}

#[test]
fn the_shards_of_a_workflow_send_every_index_once() {
    let (address, seen) = index_server();
    let executor = Executor::SharedIterations { vus: 5, iterations: 23, max_duration: FOREVER };
    for start in 0..3 {
        let mut slice = slice(executor, &format!("http://{address}"), vec![get("/")]);
        slice.index_header = true;
        slice.share = Share { vu_first: start, vus: 2, stripe: Stripe::plain(start.into(), 3) };
        assert!(Bench::begin(slice).ended().completed);
    }
    let mut seen = seen.lock().unwrap().clone();
    seen.sort_by_key(|index| index.len());
    let expected: Vec<_> = (0..23).map(|index| format!("visit/{index}")).collect();
    seen.sort_by_key(|index| expected.iter().position(|e| e == index));
    assert_eq!(seen, expected);
}

#[test]
fn a_refusing_target_neither_hangs_nor_hides() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let ended = Bench::begin(slice(per_vu(2, 300), &url, vec![get("/")])).ended();
    let step = &ended.totals.steps[0];
    assert_eq!((step.requests, step.failed, step.errors.refused), (600, 600, 600));
    assert_eq!((ended.totals.iterations, step.duration.count()), (600, 0));
}

#[test]
fn a_dropped_engine_ends_its_threads() {
    let bench = Bench::begin(slice(per_vu(3, 1), "demo", vec![get("/slow?ms=60000")]));
    let Bench { engine, mut events, runtime, .. } = bench;
    drop(engine);
    let drained = async { while events.recv().await.is_some() {} };
    runtime.block_on(async { tokio::time::timeout(LIMIT, drained).await }).unwrap();
}
