//! Little-endian fields taken off the front of a slice, for the byte formats written by hand.

/// Takes `N` bytes, or leaves `bytes` alone when there are fewer.
pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (field, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*field)
}

pub(crate) fn take_u16(bytes: &mut &[u8]) -> Option<u16> {
    take(bytes).map(u16::from_le_bytes)
}

pub(crate) fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    take(bytes).map(u32::from_le_bytes)
}

pub(crate) fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    take(bytes).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_off_in_order_and_a_short_slice_is_left_alone() {
        let mut bytes: &[u8] = &[1, 0, 2, 0, 0, 0, 9];
        assert_eq!(take_u16(&mut bytes), Some(1));
        assert_eq!(take_u32(&mut bytes), Some(2));
        assert_eq!(take_u64(&mut bytes), None);
        assert_eq!(bytes, [9]);
    }
}
