//! An ordered map of at most `N` entries.

use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, btree_map};

use super::TooMany;

/// An ordered map of at most `N` entries. Reads through the map it derefs to.
///
/// Decoding requires strictly ascending keys: every map has one encoding.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BoundedMap<K, V, const N: usize>(BTreeMap<K, V>);

impl<K: Ord, V, const N: usize> BoundedMap<K, V, N> {
    /// The cap.
    pub const MAX: usize = N;

    /// Empty, without an allocation.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Sets the value of `key` and returns the one it had.
    ///
    /// # Errors
    /// The entry, when it is new and `N` are held; the map is unchanged.
    pub fn insert(&mut self, key: K, value: V) -> Result<Option<V>, (K, V)> {
        if self.0.len() >= N && !self.0.contains_key(&key) {
            return Err((key, value));
        }
        Ok(self.0.insert(key, value))
    }

    /// The value of `key`, to be edited in place.
    pub fn value_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.get_mut(key)
    }

    /// Removes `key` and returns its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.0.remove(key)
    }

    /// Removes and returns the entry with the lowest key.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        self.0.pop_first()
    }

    /// Keeps the entries for which `keep` holds.
    pub fn retain(&mut self, keep: impl FnMut(&K, &mut V) -> bool) {
        self.0.retain(keep);
    }

    /// Every entry in the order of the keys, values to be edited in place.
    pub fn iter_mut(&mut self) -> btree_map::IterMut<'_, K, V> {
        self.0.iter_mut()
    }

    /// Whether one more key would be refused.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.len() >= N
    }

    /// The entries as a plain map.
    #[must_use]
    pub fn into_map(self) -> BTreeMap<K, V> {
        self.0
    }
}

impl<K, V, const N: usize> TryFrom<BTreeMap<K, V>> for BoundedMap<K, V, N> {
    type Error = TooMany;

    fn try_from(entries: BTreeMap<K, V>) -> Result<Self, TooMany> {
        if entries.len() > N {
            return Err(TooMany { found: entries.len(), max: N });
        }
        Ok(Self(entries))
    }
}

impl<K: Ord, V, const N: usize> Default for BoundedMap<K, V, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: fmt::Debug, V: fmt::Debug, const N: usize> fmt::Debug for BoundedMap<K, V, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<K, V, const N: usize> Deref for BoundedMap<K, V, N> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &BTreeMap<K, V> {
        &self.0
    }
}

impl<K, V, const N: usize> IntoIterator for BoundedMap<K, V, N> {
    type Item = (K, V);
    type IntoIter = btree_map::IntoIter<K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, K, V, const N: usize> IntoIterator for &'a BoundedMap<K, V, N> {
    type Item = (&'a K, &'a V);
    type IntoIter = btree_map::Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<K: Serialize, V: Serialize, const N: usize> Serialize for BoundedMap<K, V, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, K, V, const N: usize> Deserialize<'de> for BoundedMap<K, V, N>
where
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

struct Entries<K, V, const N: usize>(PhantomData<(K, V)>);

impl<'de, K, V, const N: usize> Visitor<'de> for Entries<K, V, N>
where
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    type Value = BoundedMap<K, V, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {N} entries in ascending order")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut source: A) -> Result<Self::Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((key, value)) = source.next_entry()? {
            if entries.len() >= N {
                return Err(A::Error::custom(TooMany { found: N.saturating_add(1), max: N }));
            }
            if entries.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(A::Error::custom("keys do not ascend"));
            }
            entries.insert(key, value);
        }
        Ok(BoundedMap(entries))
    }
}
