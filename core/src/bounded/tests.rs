use super::*;
use crate::wire::codec::{decode, encode};
use serde::Deserialize;
use serde::de::value::{Error, SeqDeserializer};
use std::collections::BTreeMap;

#[test]
fn vec_hands_back_what_does_not_fit() {
    let mut items = BoundedVec::<u8, 2>::new();
    assert_eq!(items.push(1), Ok(()));
    assert_eq!(items.push(2), Ok(()));
    assert_eq!(items.push(3), Err(3));
    assert_eq!(*items, [1, 2]);
    items.reverse();
    assert_eq!(items.into_vec(), [2, 1]);
    let refused = BoundedVec::<u8, 2>::try_from(vec![1, 2, 3]);
    assert_eq!(refused, Err(TooMany { found: 3, max: 2 }));
}

#[test]
fn vec_decodes_up_to_its_cap_and_no_further() {
    let full = BoundedVec::<u16, 3>::try_from(vec![1, 2, 300]).unwrap();
    let bytes = encode(&full, 100).unwrap();
    assert_eq!(decode::<BoundedVec<u16, 3>>(&bytes), Ok(full));
    let error = decode::<BoundedVec<u16, 2>>(&bytes).unwrap_err();
    assert!(error.to_string().contains("3 elements where at most 2"), "{error}");
}

#[test]
fn vec_allocates_by_what_it_received_not_by_what_was_announced() {
    struct Announcing(u8);
    impl Iterator for Announcing {
        type Item = u8;
        fn next(&mut self) -> Option<u8> {
            self.0 = self.0.checked_sub(1)?;
            Some(self.0)
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (1 << 20, Some(1 << 20))
        }
    }
    let source = SeqDeserializer::<_, Error>::new(Announcing(3));
    let items = BoundedVec::<u8, { 1 << 20 }>::deserialize(source).unwrap();
    assert_eq!(*items, [2, 1, 0]);
    assert!(items.into_vec().capacity() <= 16);
}

#[test]
fn string_is_capped_in_bytes_and_cut_between_characters() {
    assert!(BoundedString::<3>::try_from("äb").is_ok());
    let refused = BoundedString::<3>::try_from("ääb".to_owned());
    assert_eq!(refused, Err(TooMany { found: 5, max: 3 }));
    assert_eq!(BoundedString::<3>::truncated("ää").as_str(), "ä");
    assert_eq!(BoundedString::<3>::truncated("abc").into_string(), "abc");
}

#[test]
fn string_decodes_up_to_its_cap_and_no_further() {
    let bytes = encode(&"four", 100).unwrap();
    assert_eq!(&*decode::<BoundedString<4>>(&bytes).unwrap(), "four");
    let error = decode::<BoundedString<3>>(&bytes).unwrap_err();
    assert!(error.to_string().contains("at most 3"), "{error}");
    assert!(decode::<BoundedString<4>>(&[2, 0xC3, 0x28]).is_err());
}

#[test]
fn map_replaces_at_its_cap_but_takes_no_new_key() {
    let mut map = BoundedMap::<u8, char, 2>::new();
    assert_eq!(map.insert(1, 'a'), Ok(None));
    assert_eq!(map.insert(2, 'b'), Ok(None));
    assert!(map.is_full());
    assert_eq!(map.insert(3, 'c'), Err((3, 'c')));
    assert_eq!(map.insert(2, 'd'), Ok(Some('b')));
    *map.value_mut(&1).unwrap() = 'e';
    assert_eq!(map.iter().collect::<Vec<_>>(), [(&1, &'e'), (&2, &'d')]);
    assert_eq!(map.remove(&1), Some('e'));
}

#[test]
fn map_decodes_only_its_one_encoding() {
    let map = BoundedMap::<u8, u8, 2>::try_from(BTreeMap::from([(1, 10), (2, 20)])).unwrap();
    let bytes = encode(&map, 100).unwrap();
    assert_eq!(bytes, [2, 1, 10, 2, 20]);
    assert_eq!(decode(&bytes), Ok(map));
    for wrong in [[2, 2, 20, 1, 10], [2, 1, 10, 1, 10]] {
        let error = decode::<BoundedMap<u8, u8, 2>>(&wrong).unwrap_err();
        assert!(error.to_string().contains("ascend"), "{error}");
    }
    assert!(decode::<BoundedMap<u8, u8, 1>>(&bytes).is_err());
}

#[test]
fn queue_is_first_in_first_out_and_refuses_at_its_cap() {
    let mut queue = BoundedQueue::new(2);
    assert_eq!(queue.push_back('a'), Ok(()));
    assert_eq!(queue.push_back('b'), Ok(()));
    assert_eq!(queue.push_back('c'), Err('c'));
    assert_eq!(queue.pop_front(), Some('a'));
    assert_eq!(queue.push_back('c'), Ok(()));
    assert_eq!(queue.iter().copied().collect::<String>(), "bc");
    assert_eq!((queue.front(), queue.back()), (Some(&'b'), Some(&'c')));
    assert_eq!(BoundedQueue::new(0).push_back(1), Err(1));
}
