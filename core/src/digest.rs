//! Our own 64-bit digest: the same on every machine, build and version.
//!
//! Used for trace hashes and for comparing states; not against an adversary. Every value is
//! widened to one 64-bit word `w` and chained by one folded multiplication,
//! `state = fold((state ^ w) * K)`, where `fold` xors the two halves of the 128-bit product.
//! Variable-length values are preceded by their length, so `("ab", "c")` and `("a", "bc")` differ.
//! There is no `usize` and no float: a float is a defect of the caller.
//!
//! [`of`] feeds any serialisable value without encoding it. Types are not marked: the digest of a
//! value is comparable only with digests of the same type.

use serde::Serialize;

mod serializer;

use serializer::Feeder;

const START: u64 = 0x9E37_79B9_7F4A_7C15;
const FACTOR: u64 = 0xA076_1D64_78BD_642F;
const LAST: u64 = 0xE703_7ED1_A0B4_28DB;
/// Fed in place of what cannot be digested.
const REFUSED: u64 = 0x8EBC_6AF0_9C88_C6E3;

/// A running digest.
#[derive(Clone, Debug)]
pub struct Digest(u64);

impl Digest {
    /// Nothing fed yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(START)
    }

    /// Feeds one byte as a word of its own.
    #[inline]
    pub fn u8(&mut self, value: u8) {
        self.u64(u64::from(value));
    }

    /// Feeds a `u16` as a word of its own.
    #[inline]
    pub fn u16(&mut self, value: u16) {
        self.u64(u64::from(value));
    }

    /// Feeds a `u32` as a word of its own.
    #[inline]
    pub fn u32(&mut self, value: u32) {
        self.u64(u64::from(value));
    }

    /// Feeds one word.
    #[inline]
    pub fn u64(&mut self, value: u64) {
        self.0 = fold(self.0 ^ value, FACTOR);
    }

    /// Feeds 0 or 1.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.u64(u64::from(value));
    }

    /// Feeds the length, then the bytes by eights, the last word padded with zeros.
    pub fn bytes(&mut self, value: &[u8]) {
        self.u64(value.len() as u64);
        let (chunks, tail) = value.as_chunks::<8>();
        for chunk in chunks {
            self.u64(u64::from_le_bytes(*chunk));
        }
        if !tail.is_empty() {
            let mut last = [0; 8];
            for (to, from) in last.iter_mut().zip(tail) {
                *to = *from;
            }
            self.u64(u64::from_le_bytes(last));
        }
    }

    /// Feeds the UTF-8 bytes of `value` as [`Digest::bytes`] does.
    pub fn str(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    /// Feeds every field of `value` in the order in which it serialises.
    ///
    /// A float, a sequence of unknown length or an error of the type's own `Serialize` feeds a
    /// marker, ends the value there and fails a debug assertion.
    pub fn value<T: Serialize + ?Sized>(&mut self, value: &T) {
        if let Err(refused) = value.serialize(Feeder(self)) {
            self.u64(REFUSED);
            debug_assert!(false, "not digestible: {refused}");
        }
    }

    /// The digest of everything fed so far.
    #[must_use]
    pub fn finish(&self) -> u64 {
        fold(self.0 ^ LAST, START)
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

/// The digest of one value; see [`Digest::value`].
pub fn of<T: Serialize + ?Sized>(value: &T) -> u64 {
    let mut digest = Digest::new();
    digest.value(value);
    digest.finish()
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests;
