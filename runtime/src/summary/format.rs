//! Numbers as people read them.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds as `12.34ms`, `345µs`, `1.5s`, `2m3s`.
pub fn duration_ms(ms: f64) -> String {
    if ms == 0.0 {
        "0s".to_owned()
    } else if ms < 1.0 {
        format!("{}µs", short(ms * 1000.0))
    } else if ms < 1000.0 {
        format!("{}ms", short(ms))
    } else {
        seconds(ms / 1000.0)
    }
}

/// Seconds as `1.5s`, `2m3s`, `1h2m3s`.
pub fn seconds(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{}s", short(seconds));
    }
    let whole = seconds.round() as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}h{minutes}m{rest}s") } else { format!("{minutes}m{rest}s") }
}

/// Bytes as `12 kB`, in powers of 1000.
pub fn bytes(bytes: f64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = bytes;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && value < 100.0);
    format!("{value:.digits$} {}", units[unit])
}

/// Two decimals without trailing zeros.
pub(super) fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Rounded to six decimals, which survive a round trip through JSON text.
pub(super) fn micros(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// RFC 3339 in UTC with whole seconds; times before 1970 show as 1970.
pub(super) fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).map_or(0, |span| span.as_secs());
    let (days, rest) = (since / 86_400, since % 86_400);
    // Howard Hinnant's days_from_civil, inverted: years start in March, so that the leap day is the
    // last.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let march = (5 * day + 2) / 153;
    let day = day - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn durations_and_bytes() {
        let shown = [0.0, 0.345, 1.0, 12.345, 1500.0, 62_000.0, 3_723_000.0].map(duration_ms);
        assert_eq!(shown, ["0s", "345µs", "1ms", "12.35ms", "1.5s", "1m2s", "1h2m3s"]);
        let shown = [0.0, 999.0, 1500.0, 150_000.0, 2.5e9].map(bytes);
        assert_eq!(shown, ["0 B", "999 B", "1.5 kB", "150 kB", "2.5 GB"]);
    }

    #[test]
    fn instants_in_leap_years_and_at_their_edges() {
        let at = |seconds| rfc3339(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(951_868_800), "2000-03-01T00:00:00Z");
        assert_eq!(at(1_767_225_599), "2025-12-31T23:59:59Z");
    }
}
