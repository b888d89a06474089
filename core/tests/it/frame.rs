//! Frames survive any cutting of the stream, and no flipped bit survives the reader.

use hyperscale_core::wire::frame::{FrameError, FrameReader, HEADER_LEN, encode_frame};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

type Sent = Vec<(u8, Vec<u8>)>;

fn sent() -> impl Strategy<Value = Sent> {
    vec((any::<u8>(), vec(any::<u8>(), 0..200)), 1..6)
}

fn encode(frames: &Sent) -> Vec<u8> {
    let mut stream = Vec::new();
    for (class, payload) in frames {
        encode_frame(*class, payload, &mut stream).unwrap();
    }
    stream
}

/// Everything a reader gives for `stream` cut at `cuts`, and the error that ended it.
fn read(stream: &[u8], cuts: &[Index]) -> (Sent, Option<FrameError>) {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    cuts.push(stream.len());
    cuts.sort_unstable();
    let mut reader = FrameReader::new();
    let (mut received, mut from) = (Vec::new(), 0);
    for to in cuts {
        reader.push(&stream[from..to]);
        from = to;
        loop {
            match reader.next_frame() {
                Ok(Some(frame)) => received.push((frame.class, frame.payload.to_vec())),
                Ok(None) => break,
                Err(error) => return (received, Some(error)),
            }
        }
    }
    (received, None)
}

proptest! {
    #[test]
    fn any_cutting_gives_the_same_frames(frames in sent(), cuts in vec(any::<Index>(), 0..20)) {
        prop_assert_eq!(read(&encode(&frames), &cuts), (frames, None));
    }

    #[test]
    fn a_flipped_bit_ends_the_stream_before_the_frame_it_is_in(
        frames in sent(),
        cuts in vec(any::<Index>(), 0..6),
        bit in any::<Index>(),
    ) {
        let mut stream = encode(&frames);
        let bit = bit.index(stream.len() * 8);
        stream[bit / 8] ^= 1 << (bit % 8);
        let mut end = 0;
        let whole = frames.iter().take_while(|(_, payload)| {
            end += HEADER_LEN + payload.len();
            end <= bit / 8
        });
        let whole: Vec<_> = whole.cloned().collect();
        // No error means that a longer length is still being awaited.
        prop_assert_eq!(read(&stream, &cuts).0, whole);
    }

    #[test]
    fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..400), magic in any::<bool>()) {
        let mut stream = if magic { b"HYS1\x01\x00".to_vec() } else { Vec::new() };
        stream.extend(bytes);
        let (received, _) = read(&stream, &[]);
        prop_assert!(received.iter().map(|(_, payload)| payload.len()).sum::<usize>() <= 400);
    }
}
