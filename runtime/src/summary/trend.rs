//! What is shown of a time's samples.

use hyperscale_core::stats::Histogram;

use super::document::Trend;

/// In milliseconds; `None` without samples.
pub(super) fn trend(samples: &Histogram) -> Option<Trend> {
    let quantile = |per_100_000| samples.quantile(per_100_000).map(ms);
    Some(Trend {
        avg: samples.mean_ns()? as f64 / 1e6,
        min: ms(samples.min()?),
        med: quantile(50_000)?,
        max: ms(samples.max()?),
        p90: quantile(90_000)?,
        p95: quantile(95_000)?,
        p99: quantile(99_000)?,
        p999: quantile(99_900)?,
        count: samples.count(),
    })
}

fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}
