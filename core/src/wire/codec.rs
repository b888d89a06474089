//! The encoding of messages and records. The only file that names bincode.
//!
//! Integers are variable-length, fields are in order, nothing is self-describing. Both directions
//! are bounded. Decoding bincode counts every value by its size in memory, at most 16 times its
//! size in bytes, against a limit that is fixed at compile time; the limit is chosen by the length
//! of the input, so that a few hostile bytes cannot ask for much and no honest input is refused.
//! Collections must be the bounded ones of [`crate::bounded`], and no recursive type may be
//! encoded: there is no limit on depth.

use bincode::config::{self, Config};
use bincode::enc::write::Writer;
use bincode::error::{DecodeError, EncodeError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest encoding that is written or read, in bytes.
pub const MAX: usize = 64 << 20;

/// Why a value was not encoded, or bytes were not decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The encoding would be longer than `max` bytes, or the input is.
    #[error("more than {max} bytes")]
    TooLarge {
        /// The bound that applied.
        max: usize,
    },
    /// The input ends inside a value.
    #[error("the input ends {missing} or more bytes early")]
    Truncated {
        /// How many bytes the value at the end lacks at least.
        missing: usize,
    },
    /// A length in the input asks for more memory than an input this long can need.
    #[error("a length prefix is out of proportion to the input")]
    Disproportionate,
    /// `left` bytes follow the value.
    #[error("{left} bytes follow the value")]
    Trailing {
        /// How many bytes follow.
        left: usize,
    },
    /// The bytes do not stand for a value of the type, or the value cannot be encoded.
    #[error("{0}")]
    Invalid(String),
}

/// The encoding of `value`, at most `max` and never more than [`MAX`] bytes.
///
/// # Errors
/// [`CodecError::TooLarge`] or [`CodecError::Invalid`].
pub fn encode<T: Serialize + ?Sized>(value: &T, max: usize) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    encode_into(value, &mut out, max)?;
    Ok(out)
}

/// Appends the encoding of `value` to `out`: at most `max` and never more than [`MAX`] bytes.
///
/// # Errors
/// [`CodecError::TooLarge`] or [`CodecError::Invalid`]; `out` is as it was.
pub fn encode_into<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
    max: usize,
) -> Result<(), CodecError> {
    let max = max.min(MAX);
    let start = out.len();
    let mut capped = Capped { out, left: max, full: false };
    let encoded = bincode::serde::encode_into_writer(value, &mut capped, config::standard());
    let full = capped.full;
    encoded.map_err(|error| {
        out.truncate(start);
        if full { CodecError::TooLarge { max } } else { refused_value(error) }
    })
}

/// How many bytes the encoding of `value` has; [`usize::MAX`] of one that cannot be encoded.
pub fn length<T: Serialize + ?Sized>(value: &T) -> usize {
    let mut counted = Counted(0);
    match bincode::serde::encode_into_writer(value, &mut counted, config::standard()) {
        Ok(()) => counted.0,
        Err(_) => usize::MAX,
    }
}

/// The value that exactly `bytes` stands for.
///
/// # Errors
/// Any [`CodecError`]; nothing of the value is kept.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    const KIB: usize = 1 << 10;
    const MIB: usize = 1 << 20;
    let standard = config::standard();
    if bytes.len() <= 4 * KIB {
        decode_with(bytes, standard.with_limit::<{ 64 * KIB }>())
    } else if bytes.len() <= 64 * KIB {
        decode_with(bytes, standard.with_limit::<MIB>())
    } else if bytes.len() <= MIB {
        decode_with(bytes, standard.with_limit::<{ 16 * MIB }>())
    } else if bytes.len() <= MAX {
        decode_with(bytes, standard.with_limit::<{ 16 * MAX }>())
    } else {
        Err(CodecError::TooLarge { max: MAX })
    }
}

/// The value that `bytes` begin with; what follows is of no interest.
///
/// # Errors
/// Any [`CodecError`]; nothing of the value is kept.
pub fn decode_prefix<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let standard = config::standard().with_limit::<{ 64 << 10 }>();
    let (value, _) =
        bincode::serde::borrow_decode_from_slice(bytes, standard).map_err(refused_bytes)?;
    Ok(value)
}

/// Which variant of an enum `bytes` begin with, whether the enum has it or not.
pub fn variant(bytes: &[u8]) -> Option<u32> {
    let standard = config::standard().with_limit::<64>();
    let (variant, _) = bincode::serde::decode_from_slice(bytes, standard).ok()?;
    Some(variant)
}

fn decode_with<T: DeserializeOwned>(bytes: &[u8], config: impl Config) -> Result<T, CodecError> {
    // Borrowing from the input lets bounded strings be checked before they are copied.
    let (value, used) =
        bincode::serde::borrow_decode_from_slice(bytes, config).map_err(refused_bytes)?;
    match bytes.len().saturating_sub(used) {
        0 => Ok(value),
        left => Err(CodecError::Trailing { left }),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's list of errors is open")]
fn refused_value(error: EncodeError) -> CodecError {
    CodecError::Invalid(match error {
        EncodeError::OtherString(reason) => reason,
        other => other.to_string(),
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's list of errors is open")]
fn refused_bytes(error: DecodeError) -> CodecError {
    match error {
        DecodeError::UnexpectedEnd { additional } => CodecError::Truncated { missing: additional },
        DecodeError::LimitExceeded => CodecError::Disproportionate,
        DecodeError::OtherString(reason) => CodecError::Invalid(reason),
        other => CodecError::Invalid(other.to_string()),
    }
}

struct Capped<'a> {
    out: &'a mut Vec<u8>,
    left: usize,
    full: bool,
}

impl Writer for Capped<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        let Some(left) = self.left.checked_sub(bytes.len()) else {
            self.full = true;
            return Err(EncodeError::UnexpectedEnd);
        };
        self.left = left;
        self.out.extend_from_slice(bytes);
        Ok(())
    }
}

struct Counted(usize);

impl Writer for Counted {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounded::{BoundedString, BoundedVec};
    use serde::Deserialize;
    use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
    use std::collections::BTreeMap;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Sample {
        Empty,
        Full { id: u64, name: BoundedString<8>, items: BoundedVec<Option<i32>, 4> },
    }

    fn sample() -> Sample {
        Sample::Full {
            id: u64::MAX,
            name: "name".try_into().unwrap(),
            items: vec![Some(-3), None].try_into().unwrap(),
        }
    }

    #[test]
    fn values_come_back_and_every_cut_is_refused() {
        let bytes = encode(&sample(), MAX).unwrap();
        assert_eq!(decode::<Sample>(&bytes), Ok(sample()));
        for end in 0..bytes.len() {
            assert!(decode::<Sample>(&bytes[..end]).is_err());
        }
        assert_eq!(decode::<Sample>(&encode(&Sample::Empty, 1).unwrap()), Ok(Sample::Empty));
    }

    #[test]
    fn encoding_is_stable() {
        let bytes = encode(&sample(), MAX).unwrap();
        let mut expected = vec![1, 253];
        expected.extend([0xFF; 8]);
        expected.extend(b"\x04name\x02\x01\x05\x00");
        assert_eq!(bytes, expected);
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut bytes = encode(&sample(), MAX).unwrap();
        bytes.extend([0, 0]);
        assert_eq!(decode::<Sample>(&bytes), Err(CodecError::Trailing { left: 2 }));
    }

    #[test]
    fn size_is_checked_when_encoding_and_the_buffer_is_restored() {
        let exact = encode(&sample(), MAX).unwrap().len();
        let mut out = vec![7];
        let refused = encode_into(&sample(), &mut out, exact - 1);
        assert_eq!(refused, Err(CodecError::TooLarge { max: exact - 1 }));
        assert_eq!(out, [7]);
        assert_eq!(encode_into(&sample(), &mut out, exact), Ok(()));
        assert_eq!(length(&sample()), exact);
        assert_eq!(out.len(), exact + 1);
        let above = vec![0_u8; MAX + 1];
        assert_eq!(encode(&above, usize::MAX), Err(CodecError::TooLarge { max: MAX }));
        assert_eq!(decode::<u8>(&above), Err(CodecError::TooLarge { max: MAX }));
    }

    #[test]
    fn ten_hostile_bytes_for_a_string_are_refused_before_memory_is_asked_for() {
        let hostile = [253, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, b'x'];
        assert_eq!(decode::<String>(&hostile), Err(CodecError::Disproportionate));
        assert!(decode::<BoundedString<8>>(&hostile).is_err());
        // A prefix under the limit still finds no bytes behind it.
        assert!(matches!(decode::<String>(&[250, b'x']), Err(CodecError::Truncated { .. })));
    }

    #[test]
    fn a_long_length_prefix_does_not_reserve_memory() {
        // Announces 2^40 elements and holds two: element by element it ends at the third.
        let hostile = [253, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2];
        let refused = decode::<BoundedVec<u64, { 1 << 30 }>>(&hostile);
        assert!(matches!(refused, Err(CodecError::Truncated { .. })), "{refused:?}");
    }

    #[test]
    fn small_numbers_in_bulk_are_not_mistaken_for_an_attack() {
        // Each takes one byte on the wire and counts sixteen against the limit.
        type Bulk = BoundedVec<u128, 3_000_000>;
        for count in [4_000, 60_000, 1_000_000, 3_000_000] {
            let bulk = Bulk::try_from(vec![1; count]).unwrap();
            let bytes = encode(&bulk, MAX).unwrap();
            assert_eq!(decode::<Bulk>(&bytes).map(|bulk| bulk.len()), Ok(count));
        }
    }

    #[test]
    fn reasons_of_a_type_reach_the_caller() {
        struct Never;
        impl<'de> Deserialize<'de> for Never {
            fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
                struct Refuse;
                impl<'de> Visitor<'de> for Refuse {
                    type Value = Never;
                    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                        f.write_str("nothing")
                    }
                    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Never, A::Error> {
                        Err(A::Error::custom("weights must sum to one"))
                    }
                }
                source.deserialize_seq(Refuse)
            }
        }
        let refused = decode::<Never>(&[0]).map(|_| ());
        assert_eq!(refused, Err(CodecError::Invalid("weights must sum to one".into())));
        let unknown = decode::<Sample>(&[9]).unwrap_err();
        assert!(unknown.to_string().contains("variant index"), "{unknown}");
        let keys: BTreeMap<u8, u8> = decode(&[0]).unwrap();
        assert!(keys.is_empty());
    }
}
