//! Writing bits into a vector of bytes.

use super::sizes::WORD;

/// Size of the buffer in which written bits are collected; a header fits.
pub(super) const BUFFER: usize = 2048;

/// Bits that do not fill a byte yet, and the position in the buffer where the next byte goes.
#[derive(Clone, Copy)]
pub(super) struct Pending {
    pub(super) bits: u64,
    pub(super) count: u32,
    pub(super) at: usize,
}

impl Pending {
    /// Adds bits. Together with those already pending they must fit in 64.
    pub(super) fn add(&mut self, bits: u64, count: u32) {
        self.bits |= bits << self.count;
        self.count += count;
    }

    /// Moves whole bytes into the buffer, which leaves room for 56 bits.
    pub(super) fn spill(&mut self, buffer: &mut [u8; BUFFER + WORD]) {
        buffer[self.at % BUFFER..][..WORD].copy_from_slice(&self.bits.to_le_bytes());
        self.at += (self.count / 8) as usize;
        self.bits >>= self.count & !7;
        self.count %= 8;
    }
}

/// A code and the bits that follow it.
#[derive(Clone, Copy, Default)]
pub(super) struct Code {
    pub(super) bits: u32,
    pub(super) length: u8,
    /// The length including extra bits.
    pub(super) total: u8,
}

/// Writes deflate blocks.
pub(super) struct BitWriter<'a> {
    pub(super) out: &'a mut Vec<u8>,
    pub(super) buffer: [u8; BUFFER + WORD],
    pub(super) pending: Pending,
}

impl BitWriter<'_> {
    pub(super) fn put(&mut self, bits: u64, count: u32) {
        self.pending.add(bits, count);
        self.pending.spill(&mut self.buffer);
    }

    pub(super) fn put_code(&mut self, code: Code) {
        self.put(code.bits.into(), code.length.into());
    }

    /// Completes a byte.
    pub(super) fn align(&mut self) {
        self.put(0, self.pending.count.wrapping_neg() % 8);
    }

    /// Moves the buffer into the vector, which has enough capacity.
    pub(super) fn flush(&mut self) {
        let bytes = &self.buffer[..self.pending.at % BUFFER];
        debug_assert!(bytes.len() <= self.out.capacity() - self.out.len());
        self.out.extend_from_slice(bytes);
        self.pending.at = 0;
    }
}
