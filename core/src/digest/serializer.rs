//! Feeds a [`Digest`] straight from serde, without a buffer in between.
//!
//! Refuses what has no fixed width or no known length: floats and sequences or maps that do not
//! announce their length.

use core::fmt;
use serde::ser::{self, Serialize};

use super::Digest;

/// Why a value cannot be digested.
#[derive(Debug)]
pub(super) struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self(reason.to_string())
    }
}

type Fed = Result<(), Refused>;

/// A serde serializer whose output is the state of a digest.
pub(super) struct Feeder<'a>(pub(super) &'a mut Digest);

impl Feeder<'_> {
    fn length(&mut self, len: Option<usize>) -> Fed {
        let len = len.ok_or_else(|| Refused("a length that is not known".into()))?;
        self.0.u64(len as u64);
        Ok(())
    }
}

macro_rules! feed_integers {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, v: $type) -> Fed {
            self.0.u64(v as u64);
            Ok(())
        })*
    };
}

impl ser::Serializer for Feeder<'_> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    feed_integers! {
        serialize_bool: bool, serialize_char: char,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64
    }

    fn serialize_u128(self, v: u128) -> Fed {
        self.0.u64(v as u64);
        self.0.u64((v >> 64) as u64);
        Ok(())
    }

    fn serialize_i128(self, v: i128) -> Fed {
        self.serialize_u128(v as u128)
    }

    fn serialize_f32(self, _: f32) -> Fed {
        Err(Refused("a float".into()))
    }

    fn serialize_f64(self, _: f64) -> Fed {
        Err(Refused("a float".into()))
    }

    fn serialize_str(self, v: &str) -> Fed {
        self.0.str(v);
        Ok(())
    }

    fn serialize_bytes(self, v: &[u8]) -> Fed {
        self.0.bytes(v);
        Ok(())
    }

    fn serialize_none(self) -> Fed {
        self.serialize_bool(false)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Fed {
        self.0.bool(true);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Fed {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Fed {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Fed {
        self.serialize_u32(index)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Fed {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Fed {
        self.0.u32(index);
        value.serialize(self)
    }

    fn serialize_seq(mut self, len: Option<usize>) -> Result<Self, Refused> {
        self.length(len)?;
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Refused> {
        self.0.u32(index);
        Ok(self)
    }

    fn serialize_map(mut self, len: Option<usize>) -> Result<Self, Refused> {
        self.length(len)?;
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Refused> {
        self.0.u32(index);
        Ok(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

macro_rules! feed_parts {
    ($($trait:ident::$method:ident),*) => {
        $(impl ser::$trait for Feeder<'_> {
            type Ok = ();
            type Error = Refused;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Fed {
                value.serialize(Feeder(self.0))
            }

            fn end(self) -> Fed {
                Ok(())
            }
        })*
    };
}

feed_parts!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

macro_rules! feed_fields {
    ($($trait:ident),*) => {
        $(impl ser::$trait for Feeder<'_> {
            type Ok = ();
            type Error = Refused;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, v: &T) -> Fed {
                v.serialize(Feeder(self.0))
            }

            fn end(self) -> Fed {
                Ok(())
            }
        })*
    };
}

feed_fields!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Feeder<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Fed {
        key.serialize(Feeder(self.0))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Fed {
        value.serialize(Feeder(self.0))
    }

    fn end(self) -> Fed {
        Ok(())
    }
}
