//! Datacenters: a number, names, or names with weights.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use super::RawMap;

/// `3`, `[east, west]`, or `{east: 3, west: 1}`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RawDatacenters {
    /// So many, whichever.
    Count(u64),
    /// These, in equal shares.
    Names(Vec<String>),
    /// These, with their weights.
    Weights(RawMap<u32>),
}

impl<'de> Deserialize<'de> for RawDatacenters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Forms)
    }
}

struct Forms;

impl<'de> Visitor<'de> for Forms {
    type Value = RawDatacenters;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a list of names or a map of names to weights")
    }

    fn visit_u64<E>(self, count: u64) -> Result<RawDatacenters, E> {
        Ok(RawDatacenters::Count(count))
    }

    fn visit_i64<E: serde::de::Error>(self, count: i64) -> Result<RawDatacenters, E> {
        let refused = |_| E::custom(format_args!("{count} datacenters cannot be"));
        u64::try_from(count).map(RawDatacenters::Count).map_err(refused)
    }

    fn visit_f64<E: serde::de::Error>(self, count: f64) -> Result<RawDatacenters, E> {
        Err(E::custom(format_args!("{count} datacenters cannot be")))
    }

    fn visit_str<E>(self, name: &str) -> Result<RawDatacenters, E> {
        Ok(RawDatacenters::Names(vec![name.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut source: A) -> Result<RawDatacenters, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = source.next_element()? {
            names.push(name);
        }
        if names.is_empty() {
            return Err(A::Error::custom("at least one datacenter is needed"));
        }
        Ok(RawDatacenters::Names(names))
    }

    fn visit_map<A: MapAccess<'de>>(self, source: A) -> Result<RawDatacenters, A::Error> {
        let weights = RawMap::deserialize(MapAccessDeserializer::new(source))?;
        Ok(RawDatacenters::Weights(weights))
    }
}

impl Serialize for RawDatacenters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u64(*count),
            Self::Names(names) => names.serialize(serializer),
            Self::Weights(weights) => weights.serialize(serializer),
        }
    }
}
