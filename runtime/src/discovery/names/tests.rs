use super::*;
use crate::discovery::fake::{Record, Server};

fn name(host: &str) -> Target {
    Target::Name { host: host.to_owned(), port: 7400 }
}

fn quick(server: &Server) -> Names {
    let times =
        Times { negative: Duration::from_millis(200), fresh_after: Duration::from_millis(50) };
    Names { times, ..Names::asking(server.addr) }
}

async fn addresses_of(names: &Names, target: &Target, fresh: bool) -> Vec<String> {
    let found = names.resolve(target, fresh).await.unwrap_or_default();
    found.into_iter().map(|of| of.address).collect()
}

#[tokio::test]
async fn an_answer_is_kept_for_its_time_to_live() {
    let server = Server::start(1).await;
    let names = quick(&server);
    server.set_a("gates.test", &[1, 2]);
    let target = name("gates.test.");
    assert_eq!(addresses_of(&names, &target, false).await, ["127.0.0.1:7400", "127.0.0.2:7400"]);
    let asked = server.asked();
    server.set_a("gates.test", &[3]);
    assert_eq!(addresses_of(&names, &target, false).await.len(), 2, "kept");
    assert_eq!(server.asked(), asked);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(addresses_of(&names, &target, false).await, ["127.0.0.3:7400"]);
}

#[tokio::test]
async fn a_failed_dial_asks_anew_but_not_all_the_time() {
    let server = Server::start(3_600).await;
    let names = quick(&server);
    server.set_a("gates.test", &[1]);
    let target = name("gates.test.");
    assert_eq!(addresses_of(&names, &target, false).await, ["127.0.0.1:7400"]);
    server.set_a("gates.test", &[2]);
    assert_eq!(addresses_of(&names, &target, true).await, ["127.0.0.1:7400"], "young enough");
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(addresses_of(&names, &target, true).await, ["127.0.0.2:7400"]);
    let kept = names.lock().values().map(|known| known.until - known.at).max().unwrap();
    assert_eq!(kept, POSITIVE_MAX, "whatever the server says");
}

#[tokio::test]
async fn that_there_is_nothing_is_kept_too() {
    let server = Server::start(60).await;
    let names = quick(&server);
    let target = name("nobody.test.");
    let none = names.resolve(&target, false).await;
    assert_eq!(none, Err(NameError::None(target.clone())));
    let asked = server.asked();
    server.set_a("nobody.test", &[9]);
    assert!(names.resolve(&target, true).await.is_err(), "not even a failed dial asks");
    assert_eq!(server.asked(), asked);
    tokio::time::sleep(Duration::from_millis(220)).await;
    assert_eq!(addresses_of(&names, &target, false).await, ["127.0.0.9:7400"]);
}

#[tokio::test]
async fn stale_addresses_go_on_when_no_server_answers() {
    let server = Server::start(0).await;
    let names = quick(&server);
    server.set_a("gates.test", &[1]);
    let target = name("gates.test.");
    assert_eq!(addresses_of(&names, &target, false).await, ["127.0.0.1:7400"]);
    server.silence(true);
    assert_eq!(addresses_of(&names, &target, false).await, ["127.0.0.1:7400"]);
    let other = names.resolve(&name("other.test."), false).await;
    assert!(matches!(other, Err(NameError::Unknown { .. })), "{other:?}");
}

#[tokio::test]
async fn a_service_leads_to_hosts_with_ports_and_tiers() {
    let server = Server::start(60).await;
    let names = quick(&server);
    let srv = |priority, port, host| Record::Srv { priority, port, host };
    let service = "_hyperscale._tcp.test";
    let hosts = vec![srv(10, 7401, "a.test"), srv(20, 7402, "b.test"), srv(5, 7403, "gone.test")];
    server.set(service, hosts);
    server.set_a("a.test", &[1, 2]);
    server.set_a("b.test", &[3]);
    let target = format!("srv://{service}.").parse().unwrap();
    let mut found = names.resolve(&target, false).await.unwrap();
    found.sort();
    let found: Vec<_> = found.iter().map(|of| (of.tier, of.address.as_str())).collect();
    let expected = [(10, "127.0.0.1:7401"), (10, "127.0.0.2:7401"), (20, "127.0.0.3:7402")];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn an_address_needs_no_server() {
    let names = Names::asking(([127, 0, 0, 1], 1).into());
    let target = "127.0.0.1:7400".parse().unwrap();
    assert_eq!(addresses_of(&names, &target, true).await, ["127.0.0.1:7400"]);
}
