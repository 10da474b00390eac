//! From bytes to tokens by chains of earlier occurrences, with lazy matching.

use super::chains::{BASE, Chains};
use super::sizes::{MAX_DISTANCE, MAX_MATCH_LEN, WINDOW, WORD};
use super::tokens::{Window, copy, literals, word_of};

/// How thoroughly a search looks for copies.
#[derive(Clone, Copy)]
pub(super) struct Effort {
    /// Number of places searched for a better copy.
    pub(super) depth: usize,
    /// A copy of at least this length is taken without further search.
    pub(super) nice: usize,
    /// Whether to search for copies of three bytes where they may pay off.
    pub(super) threes: bool,
}

/// Number of places searched for the first copy at a position; more than one because of hash collisions.
const FIRST_DEPTH: usize = 2;

/// A copy may be replaced by one that starts this much later.
const MAX_GAP: usize = 2;

/// When copies are rarer than one in 2 to this power bytes, the search takes larger and larger steps.
const SKIP_SHIFT: u32 = 6;

/// Maximum distance at which a copy of three bytes pays off.
const MAX_DISTANCE_OF_THREE: usize = 4096;

/// Numbers of frequent byte values at which three literals take more bits than a copy; with more, the data is
/// noise without copies.
const COMMON_IN_BINARY: std::ops::Range<usize> = 90..185;

/// In shorter blocks, short copies always pay off, since the fixed codes are likely to be used.
const FEW_BYTES: usize = 512;

/// A copy of `length` bytes from `source` to `at`.
#[derive(Clone, Copy)]
struct Copy {
    at: usize,
    source: usize,
    length: usize,
}

impl Copy {
    fn new(at: usize, source: usize, end: usize) -> Self {
        Self { at, source, length: end.saturating_sub(at).min(MAX_MATCH_LEN) }
    }

    fn end(&self) -> usize {
        self.at + self.length
    }

    fn distance_bits(&self) -> i32 {
        (self.at - self.source).ilog2() as i32
    }

    /// Returns by how many quarters of a byte `other`, which starts no earlier, is better.
    #[inline]
    fn gain(&self, other: &Self) -> i32 {
        let gap = (other.at - self.at) as i32;
        let more = other.end() as i32 - self.end() as i32;
        4 * more - 8 * gap + 2 * i32::from(gap > 0) + self.distance_bits() - other.distance_bits()
    }
}

/// The state of a search.
struct Search<'a> {
    window: &'a Window,
    links: &'a [u16; WINDOW],
    /// Number of bytes that are hashed together.
    gram: usize,
    /// Mask of the bits of a word that belong to these bytes.
    gram_bits: u64,
    threes: Option<&'a [u16; WINDOW]>,
    to: usize,
    effort: Effort,
}

impl Chains {
    /// Turns the bytes of the window between `from` and `to` into tokens, and returns their number.
    pub(super) fn tokenize(
        &mut self,
        from: usize,
        to: usize,
        mut effort: Effort,
        tokens: &mut [u32],
    ) -> usize {
        let common = self.common_bytes(from, to);
        let gram = match common {
            _ if to - from < FEW_BYTES => 4,
            0..8 => 8,
            8..10 => 7,
            10..16 => 6,
            16..45 => 5,
            _ => 4,
        };
        self.link(to, gram);
        let with_threes = effort.threes && COMMON_IN_BINARY.contains(&common);
        if with_threes {
            self.link_threes(to);
            // The time that this takes is saved by a shorter search for longer copies.
            effort.depth = effort.depth.div_ceil(2);
        }
        let threes = with_threes.then_some(&*self.threes);
        let gram_bits = u64::MAX >> (u64::BITS as usize - 8 * gram);
        Search { window: &self.window, links: &self.links, gram, gram_bits, threes, to, effort }
            .tokenize(from, tokens)
    }
}

impl Search<'_> {
    #[inline(never)]
    fn tokenize(&self, from: usize, tokens: &mut [u32]) -> usize {
        let (mut at, mut done, mut count) = (from, from, 0);
        while at + self.gram <= self.to {
            let step = 1 + ((at - done) >> SKIP_SHIFT);
            let Some(mut copied) = self.first(at) else {
                at += step;
                continue;
            };
            if step > 1 {
                copied = self.sooner(copied, done);
            }
            copied = self.better(copied);
            count += literals(self.window, done, copied.at, &mut tokens[count..]);
            tokens[count] = copy(copied.length, copied.at - copied.source);
            count += 1;
            at = copied.end();
            done = at;
        }
        count + literals(self.window, done, self.to, &mut tokens[count..])
    }

    /// Finds the nearest copy at a position.
    #[inline]
    fn first(&self, at: usize) -> Option<Copy> {
        self.first_linked(at).or_else(|| self.threes.and_then(|threes| self.first_of_three(at, threes)))
    }

    #[inline]
    fn first_linked(&self, at: usize) -> Option<Copy> {
        let here = word_of(self.window, at % WINDOW);
        let mut source = usize::from(self.links[at % WINDOW]);
        for _ in 0..FIRST_DEPTH {
            if source == 0 || at - source > MAX_DISTANCE {
                break;
            }
            let differing = word_of(self.window, source) ^ here;
            if differing & self.gram_bits == 0 {
                return Some(Copy::new(at, source, self.end(at, source, differing)));
            }
            source = usize::from(self.links[source]);
        }
        None
    }

    /// Finds the nearest copy of three bytes at a position, unless there is a longer one at the next position.
    #[inline]
    fn first_of_three(&self, at: usize, threes: &[u16; WINDOW]) -> Option<Copy> {
        let source = usize::from(threes[at % WINDOW]);
        let differing = word_of(self.window, source) ^ word_of(self.window, at % WINDOW);
        let is_copy = source > 0 && at - source <= MAX_DISTANCE_OF_THREE && differing << 40 == 0;
        (is_copy && self.first_linked(at + 1).is_none()).then(|| Copy::new(at, source, at + 3))
    }

    /// Returns a longer copy to take instead, which may start a little later.
    ///
    /// A longer copy contains the byte after this one and the bytes before that. Only places where these
    /// bytes occurred earlier have to be examined; usually there are none, or few.
    #[inline]
    fn better(&self, mut best: Copy) -> Copy {
        let mut tries = self.effort.depth;
        'longer: while best.length < self.effort.nice && best.end() < self.to {
            let gram = best.end() + 1 - self.gram;
            let (before, ahead) =
                (word_of(self.window, (gram - WORD) % WINDOW), word_of(self.window, gram % WINDOW));
            let mask = last_bytes((gram - best.at).saturating_sub(MAX_GAP));
            let (mut later, mut gain_of_later) = (best, 0);
            let mut candidate = usize::from(self.links[gram % WINDOW]);
            while candidate != 0 && gram - candidate <= MAX_DISTANCE && tries > 0 {
                tries -= 1;
                let differing_before = word_of(self.window, candidate - WORD) ^ before;
                let differing = word_of(self.window, candidate) ^ ahead;
                // The first test is the one that usually fails; the second fails only because of hash collisions.
                if differing_before & mask == 0 && differing & self.gram_bits == 0 {
                    let start = self.start(gram, candidate, differing_before, best.at);
                    let end = self.end(gram, candidate, differing);
                    let other = Copy::new(start, candidate - (gram - start), end);
                    let gain = best.gain(&other);
                    if start == best.at && gain > 0 {
                        best = other;
                        continue 'longer;
                    }
                    if gain > gain_of_later && start - best.at <= MAX_GAP {
                        (later, gain_of_later) = (other, gain);
                    }
                }
                candidate = usize::from(self.links[candidate]);
            }
            if gain_of_later == 0 {
                break;
            }
            best = later;
            tries = self.effort.depth;
        }
        best
    }

    /// Extends a copy backwards, to `least` at most.
    fn sooner(&self, found: Copy, least: usize) -> Copy {
        let Copy { at, source, .. } = found;
        let differing = word_of(self.window, source - WORD) ^ word_of(self.window, (at - WORD) % WINDOW);
        let start = self.start(at, source, differing, least);
        Copy::new(start, source - (at - start), found.end())
    }

    /// Returns where equal bytes at `source` and `at` end; `differing` are the bits in which their first
    /// words differ.
    #[inline]
    fn end(&self, mut at: usize, mut source: usize, mut differing: u64) -> usize {
        let most = self.to.min(at + MAX_MATCH_LEN);
        while differing == 0 && at < most {
            at += WORD;
            source += WORD;
            differing = word_of(self.window, source % WINDOW) ^ word_of(self.window, at % WINDOW);
        }
        self.to.min(at + (differing.trailing_zeros() / u8::BITS) as usize)
    }

    /// Returns where equal bytes before `source` and `at` start, at `least` or later; `differing` are the
    /// bits in which the words before them differ.
    #[inline]
    fn start(&self, at: usize, source: usize, mut differing: u64, least: usize) -> usize {
        let most = (at - least).min(source - BASE);
        let mut same = 0;
        while differing == 0 && same + WORD < most {
            same += WORD;
            differing = word_of(self.window, source - same - WORD)
                ^ word_of(self.window, (at - same - WORD) % WINDOW);
        }
        same += (differing.swap_bytes().trailing_zeros() / u8::BITS) as usize;
        at - same.min(most)
    }
}

/// Returns a mask of the last `count` bytes of a word.
fn last_bytes(count: usize) -> u64 {
    !u64::MAX.checked_shr(u8::BITS * count.min(WORD) as u32).unwrap_or(0)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::tests::{Dice, start_of};
    use super::super::tokens::{HALF, LITERAL_TOKENS, SINGLE, first_of, second_of};
    use super::*;

    const EFFORT: Effort = Effort { depth: 8, nice: 65, threes: true };

    /// Tokenizes bytes into (length, distance) for copies and (byte, 0) for literals.
    fn tokens_of(bytes: &[u8]) -> Vec<(usize, usize)> {
        let mut chains = Chains::new().unwrap();
        let from = chains.clear();
        let to = from + bytes.len();
        chains.window[from..to].copy_from_slice(bytes);
        let mut tokens = vec![0; bytes.len() + 2 * LITERAL_TOKENS];
        let count = chains.tokenize(from, to, EFFORT, &mut tokens);
        let plain = tokens[..count].iter().flat_map(|&token| {
            let (first, second) = (first_of(token), second_of(token));
            if first >= HALF / 2 {
                vec![(first - 253, start_of(second as u32 - 256) + 1 + (token >> 18) as usize)]
            } else if second == SINGLE as usize {
                vec![(first, 0)]
            } else {
                vec![(first, 0), (second, 0)]
            }
        });
        plain.collect()
    }

    fn last_of<const N: usize>(bytes: &[u8]) -> [(usize, usize); N] {
        *tokens_of(bytes).last_chunk().unwrap()
    }

    fn literal(byte: u8) -> (usize, usize) {
        (byte.into(), 0)
    }

    /// Noise with copies in it, so that no search starts to take larger steps.
    fn filler(length: usize) -> Vec<u8> {
        let mut noise = Dice(6).noise(length);
        for place in noise.chunks_exact_mut(20) {
            place[..6].copy_from_slice(b"012345");
        }
        noise
    }

    #[test]
    fn the_nearest_of_the_longest_copies_is_taken() {
        assert_eq!(last_of(b"abcdefgh-abcdefgh+abcdeXYZ*abcdefgh"), [(8, 18)]);
        assert_eq!(last_of(b"abcdefgh-abcdXYZW+abcdefgh"), [(8, 18)]);
        // One more byte does not make up for a distance of five more bits, but two bytes do.
        let far = [b"abcdefgh", &filler(300)[..], b"abcdefg+.abcdefgh"].concat();
        assert_eq!(last_of(&far), [(7, 9), literal(b'h')]);
        let far = [b"abcdefghi", &filler(300)[..], b"abcdefg+.abcdefghi"].concat();
        assert_eq!(last_of(&far), [(9, 318)]);
    }

    #[test]
    fn a_copy_waits_for_one_that_starts_a_little_later() {
        assert_eq!(last_of(b"abcd+bcdefghijk*abcdefghijk"), [literal(b'a'), (10, 12)]);
        assert_eq!(last_of(b"abcde+cdefghijk*abcdefghijk"), [literal(b'a'), literal(b'b'), (9, 12)]);
        // A copy that starts even later does not save the bytes before it.
        assert_eq!(last_of(b"abcdef+defghijk*abcdefghijk"), [(6, 16), (5, 12)]);
        let late = [
            &b"abcdefghijklmnopqr+ghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRST"[..],
            b"*abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRST",
        ];
        assert_eq!(last_of(&late.concat()), [(18, 60), (28, 47)]);
    }

    #[test]
    fn copies_behind_long_noise_are_taken_whole() {
        let marker = Dice(3).noise(64);
        for length in if cfg!(miri) { vec![4000] } else { (1..20).chain(4000..4010).collect() } {
            let block = [&marker[..], &Dice(5).noise(length), &marker].concat();
            assert_eq!(last_of(&block), [(64, 64 + length)]);
        }
    }

    #[test]
    fn three_bytes_are_copied_where_bytes_are_of_many_kinds_and_those_near() {
        let three = b"\xf1\xf2\xf3";
        let noise = |kinds: u8, length| -> Vec<u8> {
            Dice(2).noise(length).iter().map(|byte| byte % kinds).collect()
        };
        let after = |distance: usize, kinds| {
            let between = noise(kinds, distance - 3);
            last_of::<2>(&[three, &between[..], &filler(40), three, b"!"].concat())[0]
        };
        assert_eq!(after(4000, 120), (3, 4040));
        assert_eq!(after(4000, 60), literal(0xf3));
        assert_eq!(after(4080, 120), literal(0xf3));
    }

    #[test]
    fn short_copies_are_left_where_literals_are_cheap() {
        let letters: Vec<u8> = Dice(9).noise(2000).iter().map(|byte| b'a' + byte % 4).collect();
        assert!(tokens_of(&letters).iter().all(|&(length, distance)| distance == 0 || length >= 8));
    }
}
