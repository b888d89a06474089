//! Versions of the protocol, and what nodes of different minors say to each other.
//!
//! Every frame names the version in whose form its payload is ([`super::frame`] is the one place).
//! Majors must be equal. A newer node says to an older one what that one knows in the older one's
//! form ([`say`]); a kind that the older one does not know goes out as it is, and the older one
//! ignores and counts it ([`Heard::Unknown`]). So nothing that a newer minor adds can end a
//! connection or change a state (`compatible-only`), while bytes of an equal or older minor that
//! do not stand for a message are damage. What both sides may rely on are the [`Features`] that
//! both have.
//!
//! Entries of a group's log are no business of this module: all members read all of them, so a
//! group's members are upgraded before anything new is submitted to it.

use super::codec::{self, CodecError};
use super::{Message, v1_0};

/// Version of what frames carry: equal majors understand each other.
pub const VERSION: Version = Version { major: 1, minor: 1 };

/// A protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Must match for anything to be understood.
    pub major: u16,
    /// Tells which optional parts the sender knows.
    pub minor: u16,
}

impl core::fmt::Display for Version {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Something that a node of some minor can do and an older one cannot. Bits are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Jobs, parts, runs, confirmations: everything that the first minor has.
    Base,
    /// Totals say for how long the load generator was at its limit.
    Saturation,
}

impl Feature {
    /// All of them.
    pub const ALL: [Feature; 2] = [Feature::Base, Feature::Saturation];

    /// The minor that brought it.
    pub const fn since(self) -> u16 {
        match self {
            Self::Base => 0,
            Self::Saturation => 1,
        }
    }

    /// What operators see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Saturation => "saturation",
        }
    }
}

/// A set of features, as it travels in a greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Features(u64);

impl Features {
    /// Everything that a minor brought or had.
    pub fn of_minor(minor: u16) -> Self {
        let known = Feature::ALL.into_iter().filter(|feature| feature.since() <= minor);
        Self(known.fold(0, |bits, feature| bits | 1 << feature as u64))
    }

    /// What both sides have. A bit that is not known here falls away.
    #[must_use]
    pub const fn shared(self, theirs: Self) -> Self {
        Self(self.0 & theirs.0)
    }

    /// Whether a feature is in it.
    pub const fn has(self, feature: Feature) -> bool {
        self.0 & 1 << feature as u64 != 0
    }
}

impl core::fmt::Display for Features {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let names = Feature::ALL.into_iter().filter(|feature| self.has(*feature));
        f.write_str(&names.map(Feature::name).collect::<Vec<_>>().join(","))
    }
}

/// A message in the form of some minor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The minor in whose form the payload is.
    pub minor: u16,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// What a payload says.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// Something that is understood.
    Message(Box<Message>),
    /// A kind, or a content of a kind, that a newer minor brought. It changes nothing.
    Unknown,
}

/// A message for a peer of `minor`.
///
/// # Errors
/// See [`codec::encode`].
pub fn say(msg: &Message, minor: u16, max: usize) -> Result<Said, CodecError> {
    if minor == 0
        && let Some(older) = v1_0::Message::of(msg)
    {
        return Ok(Said { minor, payload: codec::encode(&older, max)? });
    }
    Ok(Said { minor: VERSION.minor, payload: codec::encode(msg, max)? })
}

/// What a payload in the form of `minor` says to a node of the minor `mine`.
///
/// # Errors
/// When the bytes are damage: they are in a form that is known here and do not stand for a message.
pub fn hear(payload: &[u8], minor: u16, mine: u16) -> Result<Heard, CodecError> {
    let is_newer = minor > mine;
    if is_newer && codec::variant(payload).is_some_and(|kind| kind >= kinds(mine)) {
        return Ok(Heard::Unknown);
    }
    let decoded = if minor.min(mine) == 0 {
        codec::decode::<v1_0::Message>(payload).map(Message::from)
    } else {
        codec::decode::<Message>(payload)
    };
    match decoded {
        Ok(msg) => Ok(Heard::Message(Box::new(msg))),
        Err(_) if is_newer => Ok(Heard::Unknown),
        Err(error) => Err(error),
    }
}

/// How many kinds of messages a minor has.
const fn kinds(minor: u16) -> u32 {
    if minor == 0 { v1_0::Message::KINDS } else { Message::KINDS }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::FRAME_MAX;
    use crate::wire::{Capacity, Probe};

    const MINE: u16 = VERSION.minor;

    fn capacity() -> Message {
        Message::from(Capacity { workers: 3, cores: 12, free: 5, ..Capacity::default() })
    }

    #[test]
    fn every_pair_of_minors_understands_what_both_know() {
        for (speaker, hearer) in [(0, 0), (0, MINE), (MINE, 0), (MINE, MINE)] {
            let said = say(&capacity(), hearer.min(speaker), FRAME_MAX).unwrap();
            let heard = hear(&said.payload, said.minor, hearer).unwrap();
            assert_eq!(heard, Heard::Message(Box::new(capacity())), "{speaker} -> {hearer}");
        }
    }

    #[test]
    fn a_kind_of_a_newer_minor_is_unknown_and_of_an_equal_one_damage() {
        let unknown = [Message::KINDS as u8, 1, 2, 3];
        assert_eq!(hear(&unknown, MINE + 1, MINE), Ok(Heard::Unknown));
        assert!(hear(&unknown, MINE, MINE).is_err());
        assert!(hear(&unknown, 0, MINE).is_err());
        let huge = [252, 255, 255, 255, 255];
        assert_eq!(hear(&huge, MINE + 1, MINE), Ok(Heard::Unknown));
    }

    #[test]
    fn a_known_kind_with_a_newer_content_is_unknown_too() {
        let mut said = say(&Message::from(Probe { number: 5 }), MINE, FRAME_MAX).unwrap().payload;
        said.extend([7, 7]);
        assert_eq!(hear(&said, MINE + 1, MINE), Ok(Heard::Unknown));
        assert!(hear(&said, MINE, MINE).is_err());
        assert_eq!(hear(&[], MINE + 1, MINE), Ok(Heard::Unknown));
    }

    #[test]
    fn features_are_those_of_both_sides() {
        let (older, newer) = (Features::of_minor(0), Features::of_minor(MINE));
        assert!(older.has(Feature::Base) && !older.has(Feature::Saturation));
        assert!(newer.has(Feature::Saturation));
        assert_eq!(newer.shared(older), older);
        let beyond = Features(u64::MAX);
        assert_eq!(newer.shared(beyond), newer);
        assert_eq!(newer.to_string(), "base,saturation");
        assert_eq!(VERSION.to_string(), format!("1.{MINE}"));
    }
}
