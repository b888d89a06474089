//! Plans for the cluster tests.

/// One open-loop workflow whose requests carry their index.
pub(crate) fn open_loop(url: &str, rate: u32, seconds: u32) -> String {
    format!(
        "name: cluster-test\nbase_url: {url}\nindex_header: true\nworkflows:\n  \
         load:\n    executor: constant-arrival-rate\n    rate: {rate}/s\n    \
         duration: {seconds}s\n    max_vus: 120\n    graceful_stop: 5s\n    \
         flow:\n      - {{name: hit, get: /, timeout: 5s}}\n"
    )
}
