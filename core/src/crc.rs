//! CRC-32C (Castagnoli, reflected, initial value and final xor all ones), eight bytes at a time.
//!
//! Guards frames and journal records against accidents. It is no protection against forgery.

const POLYNOMIAL: u32 = 0x82F6_3B78;

type Table = [u32; 256];

const TABLES: [Table; 8] = build_tables();

#[expect(clippy::indexing_slicing, reason = "evaluated while compiling")]
const fn build_tables() -> [Table; 8] {
    let mut tables = [[0_u32; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let previous = tables[table - 1][byte];
            tables[table][byte] = (previous >> 8) ^ tables[0][(previous & 0xFF) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
}

/// The checksum of `bytes`.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c_append(0, bytes)
}

/// The checksum of everything that gave `crc`, followed by `bytes`. Start with 0.
#[must_use]
pub fn crc32c_append(crc: u32, bytes: &[u8]) -> u32 {
    let [t0, t1, t2, t3, t4, t5, t6, t7] = &TABLES;
    let mut crc = !crc;
    let (chunks, tail) = bytes.as_chunks::<8>();
    for &[a, b, c, d, e, f, g, h] in chunks {
        let [p, q, r, s] = (crc ^ u32::from_le_bytes([a, b, c, d])).to_le_bytes();
        crc = entry(t7, p) ^ entry(t6, q) ^ entry(t5, r) ^ entry(t4, s);
        crc ^= entry(t3, e) ^ entry(t2, f) ^ entry(t1, g) ^ entry(t0, h);
    }
    for &byte in tail {
        let [low, ..] = crc.to_le_bytes();
        crc = (crc >> 8) ^ entry(t0, low ^ byte);
    }
    !crc
}

#[inline]
fn entry(table: &Table, byte: u8) -> u32 {
    // A byte is always inside 256 entries, and the optimiser knows it.
    table.get(usize::from(byte)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bit_by_bit(bytes: &[u8]) -> u32 {
        let mut crc = !0_u32;
        for &byte in bytes {
            crc ^= u32::from(byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            }
        }
        !crc
    }

    #[test]
    fn published_vectors() {
        assert_eq!(crc32c(b""), 0);
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        // RFC 3720, appendix B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
        let ascending: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&ascending), 0x46DD_794E);
    }

    #[test]
    fn every_length_and_split_agrees_with_the_definition() {
        let bytes: Vec<u8> = (0..70_u8).map(|i| i.wrapping_mul(37) ^ 0x5A).collect();
        for end in 0..=bytes.len() {
            let whole = bit_by_bit(&bytes[..end]);
            assert_eq!(crc32c(&bytes[..end]), whole);
            for middle in 0..=end {
                let first = crc32c(&bytes[..middle]);
                assert_eq!(crc32c_append(first, &bytes[middle..end]), whole);
            }
        }
    }
}
