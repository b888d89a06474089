use super::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Serialize)]
enum Shape {
    Unit,
    New(u16),
    Pair(u8, i32),
    Named { id: u64, name: &'static str },
}

#[derive(Serialize)]
struct Sample {
    shapes: Vec<Shape>,
    index: BTreeMap<u32, Option<bool>>,
    wide: u128,
    tuple: (i64, char, ()),
}

fn sample() -> Sample {
    Sample {
        shapes: vec![
            Shape::Unit,
            Shape::New(7),
            Shape::Pair(1, -2),
            Shape::Named { id: u64::MAX, name: "name" },
        ],
        index: BTreeMap::from([(1, None), (2, Some(true))]),
        wide: (3 << 64) | 4,
        tuple: (-1, 'x', ()),
    }
}

#[test]
fn values_are_stable() {
    let mut digest = Digest::new();
    assert_eq!(digest.finish(), EMPTY);
    digest.u8(1);
    digest.u16(2);
    digest.u32(3);
    digest.u64(4);
    digest.bool(true);
    digest.bytes(&[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    digest.str("digest");
    assert_eq!(digest.finish(), WORDS);
    assert_eq!(of(&sample()), SAMPLE);
}

const EMPTY: u64 = 0x8B85_9AEF_FA59_A4FC;
const WORDS: u64 = 0xE86D_17C0_3185_AD30;
const SAMPLE: u64 = 0x4934_CA7B_0F5A_72F4;

#[test]
fn serde_feeds_the_words_that_the_fields_stand_for() {
    let mut words = Digest::new();
    words.u64(4);
    for word in [0, 1, 7, 2, 1, -2_i64 as u64, 3, u64::MAX] {
        words.u64(word);
    }
    words.str("name");
    for word in [2, 1, 0, 2, 1, 1] {
        words.u64(word);
    }
    for word in [4, 3, u64::MAX, u64::from('x')] {
        words.u64(word);
    }
    assert_eq!(of(&sample()), words.finish());
}

#[test]
fn lengths_separate_neighbours_and_zeros_count() {
    assert_ne!(of(&("ab", "c")), of(&("a", "bc")));
    assert_ne!(of(&[0_u8; 3].as_slice()), of(&[0_u8; 4].as_slice()));
    let mut padded = Digest::new();
    padded.bytes(&[1, 0]);
    let mut short = Digest::new();
    short.bytes(&[1]);
    assert_ne!(padded.finish(), short.finish());
    assert_ne!(of(&None::<u8>), of(&Some(0_u8)));
}

#[test]
fn single_bits_and_small_words_do_not_collide() {
    let mut seen = BTreeSet::new();
    for first in 0..256_u64 {
        for second in 0..256_u64 {
            assert!(seen.insert(of(&(first, second))));
        }
    }
    for first in 0..64 {
        for second in 8..64 {
            assert!(seen.insert(of(&(1_u64 << first, 1_u64 << second, 1_u8))));
        }
    }
}

#[test]
fn every_input_bit_reaches_about_half_of_the_output() {
    let mut flipped = 0;
    for bit in 0..64 {
        let base = 0x0123_4567_89AB_CDEF_u64;
        flipped += (of(&base) ^ of(&(base ^ (1 << bit)))).count_ones();
    }
    assert!((64 * 28..64 * 36).contains(&flipped), "{flipped}");
}

#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "not digestible: a float"))]
fn a_float_is_a_defect_of_the_caller() {
    assert_ne!(of(&1.5_f64), of(&()));
}
