//! A JSON body as it is written in the plan.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use super::RawMap;

/// A JSON value. Recursive: it never crosses the wire or the journal, and whoever deserialises it
/// bounds the depth.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RawJson {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Zero or a positive whole number.
    Natural(u64),
    /// A negative whole number.
    Negative(i64),
    /// Any other finite number, in JSON's notation.
    Decimal(String),
    /// A string, which may hold templates.
    Text(String),
    /// An array.
    List(Vec<RawJson>),
    /// An object in the order of the file.
    Object(RawMap<RawJson>),
}

impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Natural(value) => serializer.serialize_u64(*value),
            Self::Negative(value) => serializer.serialize_i64(*value),
            Self::Decimal(digits) => {
                serializer.serialize_f64(digits.parse().map_err(serde::ser::Error::custom)?)
            }
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => items.serialize(serializer),
            Self::Object(members) => members.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyJson)
    }
}

struct AnyJson;

impl<'de> Visitor<'de> for AnyJson {
    type Value = RawJson;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<RawJson, E> {
        Ok(RawJson::Null)
    }

    fn visit_none<E>(self) -> Result<RawJson, E> {
        Ok(RawJson::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<RawJson, D::Error> {
        RawJson::deserialize(inner)
    }

    fn visit_bool<E>(self, value: bool) -> Result<RawJson, E> {
        Ok(RawJson::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<RawJson, E> {
        Ok(RawJson::Natural(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<RawJson, E> {
        Ok(u64::try_from(value).map_or(RawJson::Negative(value), RawJson::Natural))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<RawJson, E> {
        if value.is_finite() {
            Ok(RawJson::Decimal(format!("{value:?}")))
        } else {
            Err(E::custom("JSON has only finite numbers"))
        }
    }

    fn visit_str<E>(self, text: &str) -> Result<RawJson, E> {
        Ok(RawJson::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<RawJson, E> {
        Ok(RawJson::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut source: A) -> Result<RawJson, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = source.next_element()? {
            items.push(item);
        }
        Ok(RawJson::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, source: A) -> Result<RawJson, A::Error> {
        let members = serde::de::value::MapAccessDeserializer::new(source);
        RawMap::deserialize(members).map(RawJson::Object)
    }
}
