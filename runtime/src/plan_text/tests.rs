use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use hyperscale_core::limits;
use hyperscale_core::plan::{
    BodyKind, CaptureFrom, Datacenters, Executor, OnGateLoss, Piece, Priority, Rate, Site, Step,
};
use hyperscale_core::wire::codec;
use proptest::prelude::*;

use super::*;

const GOOD: &str = "\
name: good
base_url: http://127.0.0.1:8080
workflows:
  first:
    executor: constant-vus
    vus: 2
    duration: 1m30s
    flow:
      - get: /items
      - think: 1s..3s
  second:
    after: [first]
    when: always
    executor: constant-arrival-rate
    rate: 500/s
    duration: 2m
    max_vus: 400
    flow:
      - name: login
        post: /login
        json: {u: '${row.user}', n: [1, -2, 1.5, true, null]}
        capture: {token: '$.token', id: 'header:X-Id'}
        expect: {status: [200, 3xx], body: token}
      - name: cart
        method: put
        url: /cart/${token}
        form: {a b: 'c&${id}'}
        headers: {X-Vu: '${vu}'}
        timeout: 5s
  third:
    executor: per-vu-iterations
    iterations: 10
    flow: [{get: /}]
  fourth:
    executor: shared-iterations
    vus: 3
    iterations: 10
    max_duration: 1m
    graceful_stop: 0s
    flow: [{post: /, body: plain}]
data:
  row: {columns: [user, n], rows: [[ann, 1], [bob, 2]], order: random}
thresholds:
  http_req_duration: ['p(95)<200', {threshold: 'p(99)<1000', abort_on_fail: true}]
  http_req_failed{workflow:second, step:login}: ['rate<0.01']
on_gate_loss: {stop_after: 30s}
seed: 42
";

/// `GOOD` with one text replaced.
fn altered(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1)
}

#[track_caller]
fn refusal(text: &str) -> String {
    parse_and_check(text, "p.yaml").expect_err("it is refused").to_string()
}

#[test]
fn bad_plans_are_refused_with_their_place() {
    let mut wrong = String::new();
    let cases = include_str!("tests/bad_plans.txt").split("\n\n").skip(1);
    for case in cases.map(|case| case.trim_end_matches('\n')) {
        let lines: Vec<String> =
            case.lines().map(|line| line.replace("\\n", "\n").replace("(nothing)", "")).collect();
        let [from, to, expected] = lines.as_slice() else { panic!("three lines: {case}") };
        let found = refusal(&altered(from, to));
        if found != format!("p.yaml:{expected}") {
            writeln!(wrong, "{to}\n  {found}\n  {expected}").unwrap();
        }
    }
    assert_eq!(wrong, "");
}

#[test]
fn hostile_texts_are_refused() {
    let nested = |open: &str, close: &str| {
        format!(
            "workflows: {{a: {{flow: [{{json: {}{}}}]}}}}",
            open.repeat(100_000),
            close.repeat(100_000)
        )
    };
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let uses = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{uses}]").unwrap();
    }
    let inside = format!("setup:\n  {}", bomb.replace('\n', "\n  "));
    let blocks: String = (0..200).fold(String::new(), |mut text, depth| {
        writeln!(text, "{}- ", " ".repeat(depth)).unwrap();
        text
    });
    let cases = [
        (nested("[", "]"), "p.yaml:1:59: nested deeper than 32 levels"),
        (nested("{a: ", "}"), "p.yaml:1:143: nested deeper than 32 levels"),
        (format!("setup:\n{blocks}"), "p.yaml:33:32: nested deeper than 32 levels"),
        (inside, "p.yaml:6:12: anchors repeat too much"),
        (" ".repeat(TEXT_BYTES_MAX + 1), "p.yaml: 8388609 bytes, at most 8388608 are read"),
        (String::new(), "p.yaml:1:1: `base_url` is missing"),
        ("[]".to_owned(), "p.yaml:1:1: expected a map"),
        ("name: \u{0}".to_owned(), "p.yaml:1:7: unexpected character: `\\u{0}'"),
    ];
    let found = cases.each_ref().map(|(text, _)| refusal(text));
    assert_eq!(found, cases.map(|(_, expected)| expected));
}

#[track_caller]
fn checked(text: &str) -> Plan {
    parse_and_check(text, "p.yaml").unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_executor_and_its_defaults() {
    let plan = checked(GOOD);
    let minute = Duration::from_secs(60);
    let expected = [
        Executor::ConstantVus { vus: 2, duration: Duration::from_secs(90) },
        Executor::ConstantArrivalRate {
            rate: Rate { count: 500, unit: Duration::from_secs(1) },
            duration: 2 * minute,
            max_vus: 400,
        },
        Executor::PerVuIterations { vus: 1, iterations: 10, max_duration: 10 * minute },
        Executor::SharedIterations { vus: 3, iterations: 10, max_duration: minute },
    ];
    assert_eq!(plan.workflows.iter().map(|w| w.executor).collect::<Vec<_>>(), expected);
    let grace = plan.workflows.iter().map(|w| w.graceful_stop.as_secs());
    assert_eq!(grace.collect::<Vec<_>>(), [30, 30, 30, 0]);
    assert_eq!(plan.on_gate_loss, OnGateLoss::StopAfter(Duration::from_secs(30)));
    assert_eq!((plan.seed, plan.index_header), (42, false));
    let stats = plan.thresholds.iter().map(|t| (t.bound_micro, t.abort_on_fail, t.step.as_deref()));
    let expected =
        [(200_000_000, false, None), (1_000_000_000, true, None), (10_000, false, Some("login"))];
    assert_eq!(stats.collect::<Vec<_>>(), expected);
}

#[test]
fn requests_are_compiled() {
    let plan = checked(GOOD);
    let second = &plan.workflows[1];
    assert_eq!(second.captures, 2);
    let [Step::Request(login), Step::Request(cart)] = &*second.flow else { panic!("{second:?}") };
    let text = |text: &str| Piece::Text(text.to_owned());
    let body = login.body.as_ref().unwrap();
    let user = Piece::Row { source: 0, column: 0 };
    let expected = [text("{\"u\":\""), user, text("\",\"n\":[1,-2,1.5,true,null]}")];
    assert_eq!((body.kind, &*body.text.0), (BodyKind::Json, &expected[..]));
    assert_eq!(*login.expect_status, [(200, 200), (300, 399)]);
    assert_eq!(login.expect_body.as_deref(), Some("token"));
    assert_eq!(login.captures[1].from, CaptureFrom::Header("x-id".to_owned()));
    assert_eq!(login.timeout, Duration::from_secs(60));
    assert_eq!((cart.method.as_str(), cart.timeout), ("PUT", Duration::from_secs(5)));
    assert_eq!(*cart.target.0, [text("/cart/"), Piece::Captured(0)]);
    let body = cart.body.as_ref().unwrap();
    assert_eq!(*body.text.0, [text("a+b=c%26"), Piece::Captured(1)]);
    assert_eq!(*cart.headers[0].1.0, [Piece::Vu]);
}

#[test]
fn datacenters_are_a_number_names_or_weights() {
    let plan = |datacenters: &str| {
        let text = altered("seed: 42", &format!("datacenters: {datacenters}"));
        checked(&text.replace("iterations: 10", "iterations: 10\n    vus: 9").replacen(
            "    vus: 3\n",
            "",
            1,
        ))
        .datacenters
    };
    let named = |sites: &[(&str, u32)]| {
        let site = |(name, weight): &(&str, u32)| Site { name: (*name).into(), weight: *weight };
        Datacenters::Named(sites.iter().map(site).collect::<Vec<_>>().try_into().unwrap())
    };
    assert_eq!(checked(GOOD).datacenters, Datacenters::Any(1));
    assert_eq!(plan("2"), Datacenters::Any(2));
    assert_eq!(plan("east"), named(&[("east", 1)]));
    assert_eq!(plan("[east, west]"), named(&[("east", 1), ("west", 1)]));
    assert_eq!(plan("{west: 3, east: 1}"), named(&[("west", 3), ("east", 1)]));
}

#[test]
fn a_part_for_every_datacenter_is_asked_of_every_workflow() {
    let flow = "flow: [{get: /}]";
    let two = |workflow: &str| {
        let head = "base_url: demo\ndatacenters: [east, west]\nworkflows:\n  w:\n";
        refusal(&format!("{head}    {}\n    {flow}\n", workflow.replace("; ", "\n    ")))
    };
    let cases = [
        ("executor: constant-vus; vus: 1; duration: 1s", "6:10: 1 vus"),
        ("executor: per-vu-iterations; iterations: 9; vus: 1", "7:10: 1 vus"),
        ("executor: per-vu-iterations; iterations: 9", "4:3: 1 vus"),
        ("executor: shared-iterations; vus: 2; iterations: 1", "7:17: 1 iterations"),
        ("executor: constant-arrival-rate; rate: 9/s; duration: 1s; max_vus: 1", "8:14: 1 max_vus"),
        (
            "executor: constant-arrival-rate; rate: 1/m; duration: 9s; max_vus: 2",
            "6:11: 1 arrivals",
        ),
    ];
    for (workflow, expected) in cases {
        let expected = format!("p.yaml:{expected} are too few for 2 datacenters");
        assert_eq!(two(workflow), expected);
    }
}

#[test]
fn the_names_of_k6_are_accepted() {
    let camel = [
        ("base_url", "baseUrl"),
        ("max_vus", "maxVUs"),
        ("max_duration", "maxDuration"),
        ("graceful_stop", "gracefulStop"),
        ("abort_on_fail", "abortOnFail"),
        ("on_gate_loss", "onGateLoss"),
        ("stop_after", "stopAfter"),
    ];
    let text = camel.iter().fold(GOOD.to_owned(), |text, (from, to)| {
        assert!(text.contains(from));
        text.replace(from, to)
    });
    assert_eq!(checked(&text), checked(GOOD));
    let unit = altered("rate: 500/s", "rate: 500\n    timeUnit: 1s");
    assert_eq!(checked(&unit), checked(GOOD));
    let zero = text.replace("maxVUs: 400", "maxVUs: 0");
    assert_eq!(refusal(&zero), "p.yaml:17:13: `max_vus` must be above zero");
}

#[test]
fn timeouts_retries_and_priorities_are_read_and_refused_with_a_position() {
    let text = altered("seed: 42", "seed: 42\ntimeout: 10m\nretries: 4");
    let text =
        text.replacen("    max_duration: 1m\n", "    max_duration: 1m\n    priority: high\n", 1);
    let plan = checked(&text);
    assert_eq!((plan.timeout, plan.retries), (Some(Duration::from_secs(600)), 4));
    assert_eq!((plan.workflows[3].priority, plan.workflows[3].retries), (Priority::High, 3));
    assert_eq!(plan.workflows[0].priority, Priority::Auto);
    let line = text.lines().position(|line| line.contains("priority: high")).unwrap() + 1;
    let wrong = text.replacen("priority: high", "priority: hihg", 1);
    let hint = "unknown value `hihg`, did you mean `high`?";
    assert_eq!(refusal(&wrong), format!("p.yaml:{line}:15: {hint}"));
    let wrong = text.replacen("priority: high", "priorty: high", 1);
    let hint = "unknown field `priorty`, did you mean `priority`?";
    assert_eq!(refusal(&wrong), format!("p.yaml:{line}:5: {hint}"));
    let wrong = text.replacen("priority: high", "retries: 6", 1);
    assert_eq!(refusal(&wrong), format!("p.yaml:{line}:14: at most 5 are allowed"));
    let last = text.lines().count();
    let wrong = text.replacen("retries: 4", "retries: 51", 1);
    assert_eq!(refusal(&wrong), format!("p.yaml:{last}:10: at most 50 are allowed"));
    let wrong = text.replacen("timeout: 10m", "timeout: 0s", 1);
    let at = last - 1;
    assert_eq!(refusal(&wrong), format!("p.yaml:{at}:10: `timeout` must be above zero"));
}

#[test]
fn json_is_read_and_written() {
    let raw = parse(GOOD, "p.yaml").unwrap();
    let json = to_json(&raw).unwrap();
    assert_eq!(parse(&json, "p.json").unwrap(), raw);
    assert_eq!(checked(&json), checked(GOOD));
    let error = parse_and_check("{\n  \"name\": \"a\",\n  \"seeed\": 1\n}", "p.json").unwrap_err();
    assert_eq!(error.to_string(), "p.json:3:3: unknown field `seeed`, did you mean `seed`?");
}

#[test]
fn checked_plans_cross_the_wire() {
    let plan = checked(GOOD);
    let bytes = codec::encode(&plan, limits::PLAN_BYTES_MAX).unwrap();
    let decoded: Plan = codec::decode(&bytes).unwrap();
    assert_eq!(decoded, plan);
    assert_eq!(decoded.check_again(), Ok(()));
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../bins/examples")
}

#[test]
fn the_examples_load() {
    let quickstart = load(&examples().join("quickstart.yaml")).unwrap();
    assert_eq!((quickstart.base_url.as_str(), quickstart.workflows.len()), ("demo", 2));
    let opened = open(&examples().join("checkout.yaml")).unwrap();
    assert_eq!(opened.plan.data[0].rows.len(), 8);
    let json = to_json(&opened.raw).unwrap();
    assert_eq!(checked(&json), opened.plan);
}

#[test]
fn csv_files_are_found_beside_the_plan_and_missed_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.yaml");
    let csv = folder.path().join("rows.csv");
    let inline = "{columns: [user, n], rows: [[ann, 1], [bob, 2]],";
    std::fs::write(&plan, altered(inline, "{csv: rows.csv,")).unwrap();
    let refused = || load(&plan).unwrap_err().to_string();
    let (at, csv_text) = (plan.display(), csv.display());
    let missing = "No such file or directory (os error 2)";
    assert_eq!(refused(), format!("{at}:42:14: cannot read `{csv_text}`: {missing}"));
    std::fs::write(&csv, "user,n\nann,1\nbob\n").unwrap();
    assert!(refused().starts_with(&format!("{at}:42:14: cannot read `{csv_text}`: CSV error")));
    std::fs::write(&csv, "user,n\n").unwrap();
    assert_eq!(refused(), format!("{at}:42:3: there is no row"));
    std::fs::write(&csv, "user,n\nann,1\n\"bob\",2\n").unwrap();
    assert_eq!(load(&plan).unwrap(), checked(GOOD));
    std::fs::write(&plan, altered(inline, "{csv: rows.csv, rows: [],")).unwrap();
    assert_eq!(refused(), format!("{at}:42:24: `csv` is given too, `rows.csv` has them"));
    let absent = folder.path().join("absent.yaml");
    let error = load(&absent).unwrap_err().to_string();
    assert_eq!(error, format!("{}: cannot be read: {missing}", absent.display()));
}

/// `GOOD` after a few random edits.
fn mutated() -> impl Strategy<Value = String> {
    let edit = (any::<proptest::sample::Index>(), 0_usize..30, "[a-z0-9 :{}\\[\\]$'\"\n-]{0,6}");
    proptest::collection::vec(edit, 1..6).prop_map(|edits| {
        edits.into_iter().fold(GOOD.to_owned(), |text, (at, cut, put)| {
            let at = at.index(text.len());
            let end = (at + cut).min(text.len());
            format!("{}{put}{}", &text[..at], &text[end..])
        })
    })
}

proptest! {
    #[test]
    fn arbitrary_texts_never_panic(text in ".{0,300}") {
        if let Ok(plan) = parse_and_check(&text, "p.yaml") {
            prop_assert_eq!(plan.check_again(), Ok(()));
        }
    }

    #[test]
    fn mutated_plans_are_refused_in_one_line_or_come_back(text in mutated()) {
        match parse_and_check(&text, "p.yaml") {
            Ok(plan) => {
                prop_assert_eq!(plan.check_again(), Ok(()));
                let raw = parse(&text, "p.yaml").unwrap();
                let json = to_json(&raw).unwrap();
                prop_assert_eq!(parse_and_check(&json, "p.json").unwrap(), plan);
            }
            Err(error) => {
                prop_assert!(!error.to_string().contains('\n'), "{}", error);
                prop_assert!(error.position.is_some(), "{}", error);
            }
        }
    }

    #[test]
    fn plans_of_hostile_peers_never_panic(
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = codec::encode(&checked(GOOD), limits::PLAN_BYTES_MAX).unwrap();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(plan) = codec::decode::<Plan>(&bytes) {
            let again = plan.check_again();
            prop_assert_eq!(plan.check_again(), again);
        }
    }
}
