//! What every cluster test needs: ports, waits with limits, numbers out of a summary.

use std::net::{IpAddr, TcpListener};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A port of this address on which nobody listens at the moment.
pub(crate) fn free_port_of(addr: IpAddr) -> u16 {
    TcpListener::bind((addr, 0)).unwrap().local_addr().unwrap().port()
}

/// Waits until `ready` gives something; panics with `what` after `limit`.
pub(crate) fn until<T>(what: &str, limit: Duration, mut ready: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A counter of the result document; 0 if it is not there.
pub(crate) fn counter(result: &Value, metric: &str) -> u64 {
    let metrics = result["results"]["metrics"].as_array().unwrap();
    let found = metrics.iter().find(|entry| entry["name"] == metric);
    found.map_or(0, |entry| entry["values"]["count"].as_u64().unwrap())
}

/// Items declared missing (`unreported`), parked or unserved.
pub(crate) fn declared(result: &Value, kind: &str) -> u64 {
    let losses = result["cluster"]["losses"].as_array().unwrap();
    losses
        .iter()
        .filter(|loss| loss["kind"] == kind)
        .map(|loss| loss["items"].as_u64().unwrap())
        .fold(0, u64::saturating_add)
}
