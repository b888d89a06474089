//! What a process draws from the system once at its start.

use hyperscale_core::ids::{Boot, BootId, DiskId};
use rustix::rand::{GetRandomFlags, getrandom};

/// A new life without a disk: its id and the entropy of all its random streams.
///
/// # Panics
/// When the kernel gives no entropy, which it does from early boot on.
pub fn draw() -> Boot {
    Boot { id: BootId::new(entropy()), entropy: entropy(), disk: DiskId::new(0) }
}

/// 64 random bits from the kernel.
///
/// # Panics
/// As [`draw`].
pub fn entropy() -> u64 {
    let mut bytes = [0; 8];
    let filled = getrandom(&mut bytes[..], GetRandomFlags::empty());
    assert_eq!(filled, Ok(bytes.len()), "the kernel gives entropy");
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_lives_differ() {
        assert_ne!(draw().id, draw().id);
    }
}
