//! Words from a fixed list, and values that are either a word or a map.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::RawDuration;

/// Names of executors.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names are k6's; `Executor` defines them")]
pub enum RawExecutor {
    ConstantVus,
    PerVuIterations,
    SharedIterations,
    ConstantArrivalRate,
    RampingVus,
    RampingArrivalRate,
    ExternallyControlled,
}

impl RawExecutor {
    /// The name in plan files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConstantVus => "constant-vus",
            Self::PerVuIterations => "per-vu-iterations",
            Self::SharedIterations => "shared-iterations",
            Self::ConstantArrivalRate => "constant-arrival-rate",
            Self::RampingVus => "ramping-vus",
            Self::RampingArrivalRate => "ramping-arrival-rate",
            Self::ExternallyControlled => "externally-controlled",
        }
    }
}

/// How the workflows before must have ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "`When` defines them")]
pub enum RawWhen {
    Ok,
    Always,
    Failed,
}

/// Which workflow gets cores first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "`Priority` defines them")]
pub enum RawPriority {
    Auto,
    Low,
    Normal,
    High,
    Exclusive,
}

/// Which row an iteration gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "`RowOrder` defines them")]
pub enum RawOrder {
    Sequential,
    Random,
}

/// What happens to the load of a lost worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "`OnWorkerLoss` defines them")]
pub enum RawWorkerLoss {
    Replace,
    Shrink,
    Abort,
}

/// `finish`, or `{stop_after: 30s}`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "`OnGateLoss` defines them")]
pub enum RawGateLoss {
    Finish,
    StopAfter(Duration),
}

/// One name, or a list of names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RawNames(pub Vec<String>);

/// `p(95)<200`, or `{threshold: "p(95)<200", abort_on_fail: true}`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RawThreshold {
    /// The expression.
    pub expression: String,
    /// End the job as soon as it fails.
    pub abort_on_fail: bool,
}

/// Something known by name that is not built: whatever it holds is read past.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unbuilt;

impl<'de> Deserialize<'de> for Unbuilt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl Serialize for Unbuilt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(true)
    }
}

impl<'de> Deserialize<'de> for RawGateLoss {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GateLoss)
    }
}

struct GateLoss;

impl<'de> Visitor<'de> for GateLoss {
    type Value = RawGateLoss;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`finish` or `{stop_after: 30s}`")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<RawGateLoss, E> {
        match text {
            "finish" => Ok(RawGateLoss::Finish),
            _ => Err(E::custom(format_args!("`{text}` is not `finish` or `{{stop_after: 30s}}`"))),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut source: A) -> Result<RawGateLoss, A::Error> {
        let mut after = None;
        while let Some(name) = source.next_key::<String>()? {
            match name.as_str() {
                "stop_after" | "stopAfter" if after.is_some() => {
                    return Err(A::Error::duplicate_field("stop_after"));
                }
                "stop_after" | "stopAfter" => after = Some(source.next_value::<RawDuration>()?),
                _ => return Err(A::Error::unknown_field(&name, &["stop_after"])),
            }
        }
        let RawDuration(span) = after.ok_or_else(|| A::Error::missing_field("stop_after"))?;
        Ok(RawGateLoss::StopAfter(span))
    }
}

impl Serialize for RawGateLoss {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Finish => serializer.serialize_str("finish"),
            Self::StopAfter(span) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("stop_after", &RawDuration(*span))?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for RawNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Names)
    }
}

struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = RawNames;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name or a list of names")
    }

    fn visit_str<E>(self, name: &str) -> Result<RawNames, E> {
        Ok(RawNames(vec![name.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut source: A) -> Result<RawNames, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = source.next_element()? {
            names.push(name);
        }
        Ok(RawNames(names))
    }
}

impl Serialize for RawNames {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawThreshold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Threshold)
    }
}

struct Threshold;

impl<'de> Visitor<'de> for Threshold {
    type Value = RawThreshold;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an expression like `p(95)<200` or `{threshold: \"p(95)<200\"}`")
    }

    fn visit_str<E>(self, text: &str) -> Result<RawThreshold, E> {
        Ok(RawThreshold { expression: text.to_owned(), abort_on_fail: false })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut source: A) -> Result<RawThreshold, A::Error> {
        const FIELDS: &[&str] = &["threshold", "abort_on_fail"];
        let (mut expression, mut abort) = (None, None);
        while let Some(name) = source.next_key::<String>()? {
            match name.as_str() {
                "threshold" if expression.is_none() => expression = Some(source.next_value()?),
                "abort_on_fail" | "abortOnFail" if abort.is_none() => {
                    abort = Some(source.next_value()?);
                }
                "threshold" => return Err(A::Error::duplicate_field("threshold")),
                "abort_on_fail" | "abortOnFail" => {
                    return Err(A::Error::duplicate_field("abort_on_fail"));
                }
                "delay_abort_eval" | "delayAbortEval" => {
                    return Err(A::Error::custom(format_args!("`{name}` is not built yet")));
                }
                _ => return Err(A::Error::unknown_field(&name, FIELDS)),
            }
        }
        let expression = expression.ok_or_else(|| A::Error::missing_field("threshold"))?;
        Ok(RawThreshold { expression, abort_on_fail: abort.unwrap_or(false) })
    }
}

impl Serialize for RawThreshold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !self.abort_on_fail {
            return serializer.serialize_str(&self.expression);
        }
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("threshold", &self.expression)?;
        map.serialize_entry("abort_on_fail", &self.abort_on_fail)?;
        map.end()
    }
}
