//! Values with a notation of their own: durations, rates, pauses, status codes.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

/// A span: `1m30s`, `500ms`, `2h`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawDuration(pub Duration);

/// Arrivals per span: `500/s`, `30/m`, `5/10s`, or a number that `time_unit` completes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawRate {
    /// Arrivals.
    pub count: u64,
    /// Per this span, if it was written.
    pub unit: Option<Duration>,
}

/// A pause: `2s`, or drawn from `1s..3s`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawThink {
    /// The shortest pause.
    pub min: Duration,
    /// The longest pause.
    pub max: Duration,
}

/// Status codes as closed intervals: `200`, `2xx`, `200..299`, or a list of those.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RawStatus(pub Vec<(u16, u16)>);

/// What a scalar of the file stands for.
trait Notation: Sized {
    const EXPECTED: &'static str;
    fn from_text(text: &str) -> Result<Self, String>;
    fn from_number(number: u64) -> Result<Self, String>;
    fn join(_items: Vec<Self>) -> Option<Self> {
        None
    }
}

impl Notation for RawDuration {
    const EXPECTED: &'static str = "a duration like `1m30s` or `500ms`";

    fn from_text(text: &str) -> Result<Self, String> {
        parse_span(text).map(Self)
    }

    fn from_number(number: u64) -> Result<Self, String> {
        Err(format!("a duration needs a unit, write `{number}s` or `{number}ms`"))
    }
}

impl Notation for RawRate {
    const EXPECTED: &'static str = "a rate like `500/s`";

    fn from_text(text: &str) -> Result<Self, String> {
        let (count, unit) = match text.split_once('/') {
            Some((count, unit)) => (count.trim(), Some(unit.trim())),
            None => (text, None),
        };
        let Ok(count) = count.parse() else {
            return Err(format!("`{text}` is not a rate, write `500/s`, `30/m` or `5/10s`"));
        };
        let unit = match unit {
            None => None,
            Some(unit) if unit.starts_with(|c: char| c.is_ascii_digit()) => Some(parse_span(unit)?),
            Some(unit) => Some(parse_span(&format!("1{unit}"))?),
        };
        Ok(Self { count, unit })
    }

    fn from_number(count: u64) -> Result<Self, String> {
        Ok(Self { count, unit: None })
    }
}

impl Notation for RawThink {
    const EXPECTED: &'static str = "a pause like `2s` or `1s..3s`";

    fn from_text(text: &str) -> Result<Self, String> {
        let (min, max) = text.split_once("..").unwrap_or((text, text));
        Ok(Self { min: parse_span(min.trim())?, max: parse_span(max.trim())? })
    }

    fn from_number(number: u64) -> Result<Self, String> {
        Err(format!("a pause needs a unit, write `{number}s` or `{number}ms`"))
    }
}

impl Notation for RawStatus {
    const EXPECTED: &'static str = "a status code, `2xx`, `200..299` or a list of those";

    fn from_text(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a status code, write `200`, `2xx` or `200..299`");
        if let Some(class) = text.strip_suffix("xx") {
            let class: u16 = class.parse().map_err(|_| wrong())?;
            let first = class.checked_mul(100).ok_or_else(wrong)?;
            return Ok(Self(vec![(first, first.checked_add(99).ok_or_else(wrong)?)]));
        }
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let code = |text: &str| text.trim().parse().map_err(|_| wrong());
        Ok(Self(vec![(code(first)?, code(last)?)]))
    }

    fn from_number(number: u64) -> Result<Self, String> {
        let code = u16::try_from(number).map_err(|_| format!("{number} is not a status code"))?;
        Ok(Self(vec![(code, code)]))
    }

    fn join(items: Vec<Self>) -> Option<Self> {
        Some(Self(items.into_iter().flat_map(|item| item.0).collect()))
    }
}

/// Units from the longest to the shortest, in nanoseconds.
const UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// `1m30s`: whole numbers with units, from the longest to the shortest.
fn parse_span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration, write `1m30s`, `500ms` or `2h`");
    let mut units = UNITS.iter();
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() || text.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let (_, nanos) = units.find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let part = number.checked_mul(*nanos).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = tail;
    }
    Ok(Duration::from_nanos(total))
}

/// The span in its longest unit that needs no fraction.
fn write_span(span: Duration) -> String {
    let nanos = span.as_nanos();
    let whole = UNITS.iter().find(|(_, unit)| nanos.is_multiple_of(u128::from(*unit)));
    let (name, unit) = whole.copied().unwrap_or(("ns", 1));
    format!("{}{name}", nanos / u128::from(unit))
}

struct Read<T>(PhantomData<T>);

impl<'de, T: Notation + Deserialize<'de>> Visitor<'de> for Read<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<T, E> {
        T::from_number(number).map_err(E::custom)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<T, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::custom(format_args!("{number} is negative"))),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<T, E> {
        Err(E::custom(format_args!("expected {}, found `{number}`", T::EXPECTED)))
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<T, E> {
        Err(E::custom(format_args!("expected {}, found `{value}`", T::EXPECTED)))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text.trim()).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut source: A) -> Result<T, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = source.next_element()? {
            items.push(item);
        }
        T::join(items).ok_or_else(|| A::Error::custom(format_args!("expected {}", T::EXPECTED)))
    }
}

macro_rules! read_by_notation {
    ($($type:ty),*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Read(PhantomData))
            }
        }
    )*};
}

read_by_notation!(RawDuration, RawRate, RawThink, RawStatus);

impl Serialize for RawDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&write_span(self.0))
    }
}

impl Serialize for RawRate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.unit {
            Some(unit) => serializer.serialize_str(&format!("{}/{}", self.count, write_span(unit))),
            None => serializer.serialize_u64(self.count),
        }
    }
}

impl Serialize for RawThink {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (min, max) = (write_span(self.min), write_span(self.max));
        serializer.serialize_str(&format!("{min}..{max}"))
    }
}

impl Serialize for RawStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(first, last)| format!("{first}..{last}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let cases: &[(&str, u64)] = &[
            ("1m30s", 90_000_000_000),
            ("500ms", 500_000_000),
            ("2h", 7_200_000_000_000),
            ("1s5us", 1_000_005_000),
            ("0s", 0),
        ];
        for (text, nanos) in cases {
            let span = Duration::from_nanos(*nanos);
            assert_eq!(parse_span(text), Ok(span), "{text}");
            assert_eq!(parse_span(&write_span(span)), Ok(span), "{text}");
        }
        for text in
            ["", "1", "s", "1s1m", "1s1s", "1x", "1.5s", "-1s", "1 s", "99999999999h", "1µs"]
        {
            assert!(parse_span(text).is_err(), "{text}");
        }
        assert_eq!(write_span(Duration::from_nanos(1_500_000)), "1500us");
    }

    #[test]
    fn rates() {
        let rate = |count, secs| Ok(RawRate { count, unit: Some(Duration::from_secs(secs)) });
        assert_eq!(RawRate::from_text("500/s"), rate(500, 1));
        assert_eq!(RawRate::from_text("30 / m"), rate(30, 60));
        assert_eq!(RawRate::from_text("5/10s"), rate(5, 10));
        assert_eq!(RawRate::from_text("5"), Ok(RawRate { count: 5, unit: None }));
        for text in ["", "/s", "0.5/s", "-1/s", "5/", "5/x"] {
            assert!(RawRate::from_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn statuses() {
        let cases = [("200", (200, 200)), ("2xx", (200, 299)), ("200..204", (200, 204))];
        for (text, interval) in cases {
            assert_eq!(RawStatus::from_text(text), Ok(RawStatus(vec![interval])), "{text}");
        }
        for text in ["", "xx", "ok", "65535xx", "200..", "70000"] {
            assert!(RawStatus::from_text(text).is_err(), "{text}");
        }
    }
}
