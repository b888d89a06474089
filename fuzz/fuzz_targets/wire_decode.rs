//! Bytes from the network: frames, then messages. Whatever decodes must encode to something that
//! decodes to itself, and must leave a node of every role standing.

#![no_main]

use hyperscale_core::wire::frame::{FRAME_MAX, FrameReader};
use hyperscale_core::wire::{Message, codec};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    message(bytes);
    let (head, tail) = bytes.split_at(bytes.len() / 2);
    let mut frames = FrameReader::new();
    for chunk in [head, tail] {
        frames.push(chunk);
        while let Ok(Some(frame)) = frames.next_frame() {
            message(frame.payload);
        }
    }
});

fn message(bytes: &[u8]) {
    let Ok(message) = codec::decode::<Message>(bytes) else { return };
    let again = codec::encode(&message, FRAME_MAX).expect("a decoded message encodes");
    assert_eq!(codec::decode::<Message>(&again).as_ref(), Ok(&message));
}
