//! The frozen minor: bytes that a node of 1.0 wrote are read, and written again as they were.

use hyperscale_core::limits::FRAME_MAX;
use hyperscale_core::wire::version::{Heard, VERSION, hear, say};
use hyperscale_core::wire::{Message, codec, v1_0};

/// One message a line: its name and its bytes.
const FROZEN: &str = include_str!("golden/messages-1.0.txt");

fn frozen() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    FROZEN.lines().map(|line| {
        let (name, hex) = line.split_once(' ').unwrap();
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (name, (0..hex.len()).step_by(2).map(byte).collect())
    })
}

#[test]
fn what_the_frozen_minor_wrote_is_read_and_written_again_byte_for_byte() {
    let mut kinds = std::collections::BTreeSet::new();
    for (name, bytes) in frozen() {
        let heard =
            hear(&bytes, 0, VERSION.minor).unwrap_or_else(|error| panic!("{name}: {error}"));
        let Heard::Message(msg) = heard else { panic!("{name} is unknown") };
        let said = say(&msg, 0, FRAME_MAX).unwrap();
        assert_eq!((said.minor, &said.payload), (0, &bytes), "{name}");
        let now = say(&msg, VERSION.minor, FRAME_MAX).unwrap();
        assert_eq!(hear(&now.payload, now.minor, VERSION.minor), Ok(Heard::Message(msg)), "{name}");
        kinds.extend(codec::variant(&bytes));
    }
    assert_eq!(kinds, (0..v1_0::Message::KINDS).collect(), "every kind has a sample");
}

#[test]
fn a_cut_message_of_the_frozen_minor_is_damage() {
    for (name, bytes) in frozen() {
        let cut = &bytes[..bytes.len() - 1];
        assert!(hear(cut, 0, VERSION.minor).is_err(), "{name}");
        assert!(hear(cut, 0, 0).is_err(), "{name}");
    }
}

#[test]
fn an_older_node_ignores_what_came_after_it() {
    for kind in v1_0::Message::KINDS..v1_0::Message::KINDS + 100 {
        let payload = [u8::try_from(kind).unwrap(), 1, 2, 3];
        assert_eq!(hear(&payload, VERSION.minor, 0), Ok(Heard::Unknown));
        assert!(hear(&payload, 0, 0).is_err());
    }
}

#[test]
fn what_the_frozen_minor_cannot_say_reads_as_not_known() {
    for (_, bytes) in frozen() {
        let Ok(Heard::Message(msg)) = hear(&bytes, 0, VERSION.minor) else { continue };
        let totals = match *msg {
            Message::Report(report) => report.totals,
            Message::Final(end) => end.totals,
            _ => continue,
        };
        assert_eq!((totals.watched, totals.saturated), (0, 0));
    }
}
