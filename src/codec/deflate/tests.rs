use super::block_writer::MAX_STORED_LEN;
use super::counts::Counts;
use super::huffman::code_lengths;
use super::sizes::{MAX_DISTANCE, MAX_MATCH_LEN};
use super::tokens::{SINGLE, token};
use super::*;

/// Miri is slow, so it gets only a little of each kind.
const BRIEF: bool = cfg!(miri);

pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(super) fn noise(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

fn text(length: usize) -> Vec<u8> {
    let words = ["def ", "return ", "self.", "value", "(", "):\n    ", "length", " = ", "0x1f", "#"];
    let mut dice = Dice(7);
    let mut text = Vec::new();
    while text.len() < length {
        text.extend_from_slice(words[dice.below(10)].as_bytes());
    }
    text.truncate(length);
    text
}

fn inflate(stream: &[u8], length: usize) -> Vec<u8> {
    let mut block = vec![0; length + 1];
    let inflated = libdeflater::Decompressor::new().zlib_decompress(stream, &mut block).unwrap();
    block.truncate(inflated);
    assert!(block == miniz_oxide::inflate::decompress_to_vec_zlib(stream).unwrap());
    block
}

/// Compresses a block, and checks it with two other inflaters.
fn check_at(level: u32, block: &[u8]) -> usize {
    let mut stream = vec![1, 2, 3];
    compress(block, level, &mut stream).unwrap();
    let stream = &stream[3..];
    assert!(
        inflate(stream, block.len()) == block,
        "{} bytes do not survive a round trip at level {level}",
        block.len()
    );
    assert!(stream.len() <= block.len() + 11 + block.len() / 16_000 * 6);
    stream.len()
}

/// Checks each level, or under Miri one level of each encoder; returns the largest size.
fn check(block: &[u8]) -> usize {
    LEVELS.filter(|level| !BRIEF || [1, 6].contains(level)).map(|level| check_at(level, block)).max().unwrap()
}

fn kinds(length: usize) -> [Vec<u8>; 7] {
    let mut dice = Dice(length as u64 + 1);
    let noise = dice.noise(length);
    [
        vec![b'a'; length],
        text(length),
        noise.iter().map(|byte| b'a' + byte % 2).collect(),
        noise.iter().map(|byte| b'a' + (byte.leading_zeros() * 3) as u8).collect(),
        [&noise[..length / 2], &text(length - length / 2)].concat(),
        (0..length).map(|index| (index / 3) as u8).collect(),
        noise,
    ]
}

#[test]
fn blocks_of_every_length_come_back() {
    let lengths = (32_700..32_800).step_by(3);
    let lengths = lengths.chain(65_505..65_570).chain(98_290..98_310).chain([1_000_000, 5_000_001]);
    for (level, length) in LEVELS.cycle().zip(lengths.take(if BRIEF { 0 } else { usize::MAX })) {
        for block in kinds(length) {
            check_at(level, &block);
        }
    }
    for length in (0..=300).step_by(if BRIEF { 150 } else { 1 }) {
        for block in kinds(length) {
            check(&block);
        }
    }
}

/// Hashes of short blocks are short and collide often, so the bytes have to be compared.
#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn bytes_that_only_have_the_same_hash_are_no_copies() {
    let mut dice = Dice(11);
    for _ in 0..4000 {
        let lengths: Vec<_> = (0..12).map(|_| 3 + dice.below(8)).collect();
        let words: Vec<_> = lengths.into_iter().map(|length| dice.noise(length)).collect();
        let (kinds, length) = (3 + dice.below(10), 20 + dice.below(2000));
        let mut block = Vec::new();
        while block.len() < length {
            block.extend_from_slice(&words[dice.below(kinds)]);
            block.truncate(block.len() - dice.below(3));
        }
        check(&block);
    }
}

#[test]
fn what_does_not_compress_is_stored() {
    let mut dice = Dice(5);
    let lengths = [(0, 0), (1, 5), (65_000, 5 * 4), (1_000_000, 5 * 62)];
    for (length, headers) in lengths.into_iter().take(if BRIEF { 2 } else { 4 }) {
        assert!(check(&dice.noise(length)) <= length + 6 + headers.max(2));
    }
}

#[test]
fn what_compresses_well_becomes_small() {
    assert!(check(b"abcabcabcabcabcabcabcabcabc") < 16);
    assert!(check(&Dice(9).noise(1000).repeat(if BRIEF { 3 } else { 32 })) < 1500);
    if !BRIEF {
        assert!(check(&vec![b'x'; 1_000_000]) < 2000);
        assert!(check(&text(32_768)) < 32_768 / 3);
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn copies_reach_as_far_back_as_they_may_and_no_farther() {
    let marker = Dice(3).noise(64);
    for start in [0, 1, 20_000, 32_768, 33_000, 65_000, 70_000, 131_000] {
        let size = |distance: usize| {
            check(&[&vec![0; start], &marker, &vec![0; distance - 64], &marker[..]].concat())
        };
        let near = size(30_000);
        assert!(size(32_768) < near + 20);
        assert!(size(32_769) > near + 50);
        assert!(size(32_770) > near + 50);
        assert!(size(65_536) > near + 50);
        assert!(size(65_600) > near + 50);
    }
}

#[test]
fn nothing_outlasts_a_block() {
    let streams = || {
        kinds(if BRIEF { 400 } else { 40_000 }).map(|block| {
            [1, 6].map(|level| {
                let mut stream = Vec::new();
                compress(&block, level, &mut stream).unwrap();
                stream
            })
        })
    };
    let first = streams();
    check(&text(if BRIEF { 2000 } else { 200_000 }));
    assert!(first == streams());
}

/// Returns what `write` makes of bytes, after checking that it inflates to them.
fn written(bytes: &[u8], write: impl Fn(&mut BitWriter)) -> Vec<u8> {
    let mut out = STREAM_HEADER.to_vec();
    let pending = Pending { bits: 0, count: 0, at: 0 };
    out.reserve(bytes.len() + 100);
    let mut writer = BitWriter { out: &mut out, buffer: [0; BUFFER + WORD], pending };
    write(&mut writer);
    writer.align();
    writer.flush();
    out.extend_from_slice(&libdeflater::adler32(bytes).to_be_bytes());
    assert!(inflate(&out, bytes.len()) == bytes);
    out
}

fn write(tokens: &[u32], bytes: &[u8]) -> Vec<u8> {
    written(bytes, |writer| writer.write_block(bytes, tokens, &Counts::of(tokens), true).unwrap())
}

#[test]
fn stored_bytes_can_be_many() {
    let lengths = [1, 65_535, 65_536, 131_070, 131_071, 200_000];
    for length in lengths.into_iter().take(if BRIEF { 1 } else { 6 }) {
        let noise = Dice(2).noise(length);
        let stored = written(&noise, |writer| writer.store(&noise, true));
        assert_eq!(stored.len(), length + 6 + 5 * length.div_ceil(MAX_STORED_LEN));
    }
}

fn copy(tokens: &mut Vec<u32>, bytes: &mut Vec<u8>, length: usize, distance: usize) {
    let symbol = (0..30).rfind(|symbol| distance > start_of(*symbol)).unwrap();
    let extra = (distance - 1 - start_of(symbol)) as u32;
    tokens.push(token(length as u32 + 253, 256 + symbol, extra));
    for _ in 0..length {
        bytes.push(bytes[bytes.len() - distance]);
    }
}

/// Returns the smallest distance of a symbol, minus 1.
pub(super) fn start_of(symbol: u32) -> usize {
    if symbol < 2 { symbol as usize } else { (2 + symbol as usize % 2) << (symbol / 2 - 1) }
}

#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn every_length_and_distance_can_be_written() {
    let mut dice = Dice(1);
    let noise = dice.noise(MAX_DISTANCE);
    let literals: Vec<u32> = noise.iter().map(|byte| token((*byte).into(), SINGLE, 0)).collect();
    // Each kind of copy alone, which uses the fixed codes, and all together.
    let (mut tokens, mut bytes) = (literals.clone(), noise.clone());
    for length in 3..=MAX_MATCH_LEN {
        for symbol in [0, length as u32 % 30] {
            copy(&mut tokens, &mut bytes, length, start_of(symbol) + 1);
            let mut alone = (vec![token(b'x'.into(), SINGLE, 0)], vec![b'x']);
            copy(&mut alone.0, &mut alone.1, length, 1);
            assert_eq!(write(&alone.0, &alone.1)[2] & 7, 3);
        }
    }
    for symbol in 0..30 {
        for distance in [start_of(symbol) + 1, start_of(symbol + 1)] {
            copy(&mut tokens, &mut bytes, 3 + dice.below(256), distance);
        }
    }
    copy(&mut tokens, &mut bytes, MAX_MATCH_LEN, MAX_DISTANCE);
    write(&tokens, &bytes);
}

#[test]
fn codes_are_never_too_long() {
    for (used, longest) in [(19, 7), (25, 15), (2, 15), (3, 15), (16, 15), (17, 15), (22, 15)] {
        let mut frequencies = [0; 288];
        let (mut a, mut b) = (1, 1);
        for frequency in frequencies.iter_mut().step_by(7).take(used) {
            *frequency = a;
            (a, b) = (b, a + b);
        }
        let lengths = code_lengths(&frequencies, longest);
        let room: usize = lengths.iter().filter(|l| **l > 0).map(|l| 1 << (longest - usize::from(*l))).sum();
        assert_eq!(room, 1 << longest);
        assert_eq!(lengths.iter().filter(|length| **length > 0).count(), used);
        assert!(lengths.iter().all(|length| usize::from(*length) <= longest));
        for (some, other) in frequencies.iter().zip(&lengths).zip(frequencies.iter().zip(&lengths).skip(7)) {
            assert!(some.0 >= other.0 || some.1 >= other.1 || *other.1 == 0);
        }
    }
    // Literals alone; together with the end symbol, their frequencies are Fibonacci numbers.
    let mut bytes = Vec::new();
    let (mut a, mut b) = (1, 2);
    for byte in 0..if BRIEF { 7 } else { 19 } {
        bytes.extend(std::iter::repeat_n(byte * 5, a));
        (a, b) = (b, a + b);
    }
    let pairs = bytes.chunks_exact(2).map(|pair| token(pair[0].into(), pair[1].into(), 0));
    let tokens: Vec<u32> = pairs.chain([token(bytes[bytes.len() - 1].into(), SINGLE, 0)]).collect();
    assert_eq!(bytes.len() % 2, 1);
    assert_eq!(write(&tokens, &bytes)[2] & 7, 5);
}

#[test]
fn codes_of_one_symbol_or_none_are_complete() {
    assert_eq!(code_lengths(&[0; 30], 15)[..3], [1, 1, 0]);
    assert_eq!(code_lengths(&[9, 0, 0], 15), [1, 1, 0]);
    assert_eq!(code_lengths(&[0, 0, 9], 15), [1, 0, 1]);
    for symbol in (0..12).step_by(if BRIEF { 11 } else { 1 }) {
        // A single distance, frequent enough for dynamic codes.
        let (mut tokens, mut bytes) = (Vec::new(), Vec::new());
        for byte in 0..64 {
            tokens.push(token(byte, SINGLE, 0));
            bytes.push(byte as u8);
        }
        for _ in 0..if BRIEF { 100 } else { 300 } {
            copy(&mut tokens, &mut bytes, 9, start_of(symbol) + 1);
        }
        assert_eq!(write(&tokens, &bytes)[2] & 7, 5);
    }
    // No distance.
    let noise: Vec<u8> = Dice(8).noise(if BRIEF { 900 } else { 9000 }).iter().map(|byte| byte % 50).collect();
    let tokens: Vec<u32> = noise.iter().map(|byte| token((*byte).into(), SINGLE, 0)).collect();
    assert_eq!(write(&tokens, &noise)[2] & 7, 5);
}

#[test]
fn whatever_is_compressed_comes_back() {
    let usual = if BRIEF { 8 } else { 20_000 };
    let cases = std::env::var("DEFLATE_CASES").map_or(usual, |cases| cases.parse().unwrap());
    let seed = std::env::var("DEFLATE_SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ seed);
    for case in 0..cases {
        let length = match case / 8 % 64 {
            _ if BRIEF => dice.below(300),
            0 => dice.below(150_000),
            1..8 => dice.below(5000),
            _ => dice.below(400),
        };
        let letters = [2, 4, 20, 100, 256][dice.below(5)];
        let longest = [4, 12, 40, 600][dice.below(4)];
        let farthest = [3, 40, 5000, 70_000][dice.below(4)];
        let mut block = Vec::new();
        while block.len() < length {
            let more = 1 + dice.below(longest);
            if block.is_empty() || dice.below(2) == 0 {
                block.extend((0..more).map(|_| dice.below(letters) as u8));
            } else {
                let distance = 1 + dice.below(farthest.min(block.len()));
                for _ in 0..more {
                    block.push(block[block.len() - distance]);
                }
            }
        }
        block.truncate(length);
        check_at(1 + case % 8, &block);
    }
}

/// The source code of the encoder, as an example of text.
fn source() -> Vec<u8> {
    let parts = [
        include_str!("huffman.rs"),
        include_str!("block_writer.rs"),
        include_str!("groups.rs"),
        include_str!("tests.rs"),
    ];
    parts.concat().as_bytes()[..32_768].to_vec()
}

#[test]
#[cfg_attr(miri, ignore = "compares with libdeflate")]
fn text_becomes_smaller_from_level_to_level_and_no_larger_than_by_libdeflate() {
    let source = source();
    let mut before = usize::MAX;
    for level in LEVELS {
        let mut compressor =
            libdeflater::Compressor::new(libdeflater::CompressionLvl::new(level as i32).unwrap());
        let mut room = vec![0; 40_000];
        let theirs = compressor.zlib_compress(&source, &mut room).unwrap();
        let own = check_at(level, &source);
        assert!(own < before, "level {level} makes {own} bytes, the one before {before}");
        let most = if level == 1 { 1060 } else { 1010 };
        assert!(own * 1000 <= theirs * most, "level {level} makes {own} bytes, libdeflate {theirs}");
        before = own;
    }
}

#[test]
fn parts_that_are_unlike_get_codes_of_their_own() {
    let noise = Dice(4).noise(32_768);
    let (some, other) = noise.split_at(16_384);
    let block: Vec<u8> =
        some.iter().map(|byte| byte % 16).chain(other.iter().map(|byte| 64 + byte % 64)).collect();
    // Four bits for each byte of the first half, and six for each of the second; with the same codes it would be five
    // and seven.
    for level in if BRIEF { 6..=6 } else { LEVELS } {
        assert!(check_at(level, &block) < 8192 + 12_288 + 1200);
    }
}

/// Compresses rows, and checks them with two other inflaters.
fn check_rows(block: &[u8], row: usize) -> usize {
    let mut stream = Vec::new();
    compress_rows(block, row, &mut stream).unwrap();
    assert!(inflate(&stream, block.len()) == block, "{} bytes in rows of {row}", block.len());
    stream.len()
}

#[test]
fn rows_of_every_kind_come_back() {
    for row in [1, 2, 3, 4, 11, 12, 13, 258] {
        for length in [0, 1, 2, 11, 12, 13, 24, 300, 12_289, 70_000] {
            for block in kinds(length).iter().filter(|_| !BRIEF || length < 100) {
                assert!(check_rows(block, row) < length + 50 + length / 1000);
            }
        }
    }
}

/// Returns index nodes as 1,024 records of about 90 bytes produce them.
#[test]
fn rows_that_repeat_take_less_room_than_by_chains() {
    let mut dice = Dice(3);
    let (mut nodes, mut frame, mut offset) = (Vec::new(), 4096_u64, 0_u32);
    for _ in 0..1024 {
        nodes.extend_from_slice(&[&frame.to_be_bytes()[..], &offset.to_be_bytes()].concat());
        offset += 40 + dice.below(100) as u32;
        if offset > 32_768 {
            (frame, offset) = (frame + 9000 + dice.below(1000) as u64, 0);
        }
    }
    let mut by_chains = Vec::new();
    compress(&nodes, 8, &mut by_chains).unwrap();
    let size = check_rows(&nodes, 12);
    assert!(size < by_chains.len() && size < 2400, "{size} and {}", by_chains.len());
}
