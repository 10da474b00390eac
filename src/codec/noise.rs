//! Detecting incompressible blocks without compressing them.

/// Shorter blocks are always compressed.
pub(super) const MIN_NOISE_LEN: usize = 4096;

/// Number of samples of a block that show whether all byte values are equally frequent.
const SAMPLES: usize = 16;

const BYTES_OF_A_SAMPLE: usize = 64;

/// The squares of the counts of 1024 random bytes sum to 5116 on average, and almost certainly to less than
/// this; the sum is greater for bytes that hold half a bit less information each.
const MAX_SQUARES_OF_NOISE: u32 = 6000;

/// Number of bytes of apparent noise that are searched for repetitions.
const PROBE: usize = 8192;

/// Distance between the positions at which repetitions are searched for.
const STRIDE: usize = 8;

/// If repetitions start at more than one in this many positions, compression is worthwhile.
const POSITIONS_OF_NOISE: usize = 100;

const HASH_BITS: u32 = 12;

/// 2^64 divided by the golden ratio, which spreads what it multiplies over the upper bits.
const HASH_FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

/// Returns whether compression would save nothing: in samples from the whole block, all bytes are about equally
/// frequent, and hardly anything in its middle is repeated.
pub(super) fn is_noise(block: &[u8]) -> bool {
    if block.len() < MIN_NOISE_LEN {
        return false;
    }
    let mut counts = [0_u32; 256];
    for part in block.chunks_exact(block.len() / SAMPLES) {
        // The first part may start with an index node, which is not noise.
        for &byte in &part[part.len() / 2..][..BYTES_OF_A_SAMPLE] {
            counts[usize::from(byte)] += 1;
        }
    }
    if counts.iter().map(|count| count * count).sum::<u32>() > MAX_SQUARES_OF_NOISE {
        return false;
    }
    let length = block.len().min(PROBE);
    repeats(&block[(block.len() - length) / 2..][..length]) * POSITIONS_OF_NOISE <= length / STRIDE
}

/// Returns the number of examined positions whose eight bytes also occur earlier in `bytes`.
fn repeats(bytes: &[u8]) -> usize {
    let mut seen = [0; 1 << HASH_BITS];
    let mut found = 0;
    for (at, word) in bytes.windows(size_of::<u64>()).enumerate() {
        let word = word.iter().fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
        // The upper half distinguishes words well enough; its upper bits select the slot.
        let hash = word.wrapping_mul(HASH_FACTOR) >> u32::BITS;
        let hash = u32::try_from(hash).unwrap_or_default();
        let last = &mut seen[(hash >> (u32::BITS - HASH_BITS)) as usize];
        found += usize::from(at % STRIDE == 0 && *last == hash);
        *last = hash;
    }
    found
}
