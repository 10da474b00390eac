//! Reading the two master slots beside a writer that may be writing one of them: the rule for which
//! node is current, and the repair that a writer makes before it builds on one.

use std::io;
use std::time::{Duration, Instant};

use crate::error::{Damage, Error, Result};
use crate::format::master::{MasterNode, STAMP_SIZE, by_age};
use crate::format::{Geometry, Slot, in_memory};
use crate::storage::{Storage, read_up_to};

use super::open_file::OpenFile;

/// How long a reader keeps looking for a whole node before it calls the file damaged.
const TORN_SLOT_TIMEOUT: Duration = Duration::from_secs(2);
/// Tries without a pause, which outlast a slot write that is under way.
const SPIN_ATTEMPTS: u32 = 20;
/// The first pause, which doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_micros(100);
const MAX_DELAY: Duration = Duration::from_millis(5);

/// The first bytes of both slots, which differ between any two commits.
pub(crate) type Stamps = [[u8; STAMP_SIZE]; 2];

/// The current node, and the slots' stamps if both were whole.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) master: MasterNode,
    pub(crate) stamps: Option<Stamps>,
}

/// One look at the slots.
enum Look {
    Found(Box<Current>),
    /// A write was under way.
    Torn(Damage),
    /// Neither slot is whole, or one holds a commit that makes no sense; what they held.
    Damaged(Damage, [Vec<u8>; 2]),
}

/// Reads the current node. A writer may be at work: torn slots are read again until they are whole,
/// for two seconds. `acceptable` may refuse a node, as one that is older than what is known already.
pub(crate) fn read_current(
    file: &OpenFile,
    acceptable: impl Fn(&MasterNode) -> std::result::Result<(), Damage>,
) -> Result<Current> {
    let deadline = Instant::now() + TORN_SLOT_TIMEOUT;
    let mut pauses = Pauses::default();
    let mut broken = None;
    loop {
        let look = look(&file.geometry, |slot| read_slot(&*file.storage, &file.geometry, slot))
            .map_err(file.failed("read the master nodes of"))?;
        let mut hopeless = false;
        let damage = match look {
            Look::Found(current) => match acceptable(&current.master) {
                Ok(()) => return Ok(*current),
                Err(damage) => damage,
            },
            Look::Torn(damage) => damage,
            Look::Damaged(damage, slots) => {
                // A writer leaves one slot whole while it writes the other, and writes no nonsense, so
                // slots that stay like this are not being written.
                hopeless = broken.as_ref() == Some(&slots);
                broken = Some(slots);
                damage
            }
        };
        if hopeless || Instant::now() >= deadline {
            return Err(Error::corrupt(&file.path, damage));
        }
        if broken.is_some() || pauses.are_long() {
            // Of a file that others keep, as a server does, memory can hold parts of different moments.
            forget_slots(file)?;
        }
        pauses.pause();
    }
}

/// Sees to it that the next look at the slots is one at the disk, or at the server that has it.
pub(crate) fn forget_slots(file: &OpenFile) -> Result<()> {
    let (start, length) = (file.geometry.page(), 2 * file.geometry.slot_size());
    file.storage.drop_cached(start, length).map_err(file.failed("drop the cached master nodes of"))
}

/// Tries that follow each other at once at first, then less and less closely.
#[derive(Default)]
struct Pauses {
    tries: u32,
}

impl Pauses {
    /// Whether a write that was under way should be over.
    fn are_long(&self) -> bool {
        self.tries >= SPIN_ATTEMPTS
    }
    fn pause(&mut self) {
        self.tries += 1;
        if let Some(doublings) = self.tries.checked_sub(SPIN_ATTEMPTS) {
            let pause = FIRST_PAUSE * 2_u32.saturating_pow(doublings.min(10));
            std::thread::sleep(pause.min(MAX_DELAY));
        }
    }
}

/// Reads slot A, then slot B, and decides.
///
/// Two whole nodes: the newer one, since whatever was committed before A was read stands in one of
/// them or has been followed by something newer. A slot whose checksum is right but whose content
/// cannot be: that is no write under way, and the other slot may be older. Only B whole: A was being
/// written when it was read, so B was current then, or is newer now. Only A whole: B was being
/// written, but perhaps for the second time since A was read, with A rewritten in between; so A counts
/// only if it is still the same.
fn look(geometry: &Geometry, mut read: impl FnMut(Slot) -> io::Result<Vec<u8>>) -> io::Result<Look> {
    let a = read(Slot::A)?;
    let b = read(Slot::B)?;
    let stamp = |bytes: &[u8]| bytes.get(..STAMP_SIZE).and_then(|stamp| stamp.try_into().ok());
    let found = |master, stamps| Ok(Look::Found(Box::new(Current { master, stamps })));
    match (MasterNode::decode(geometry, Slot::A, &a), MasterNode::decode(geometry, Slot::B, &b)) {
        (Ok(first), Ok(second)) => {
            let stamps = stamp(&a).zip(stamp(&b)).map(|(a, b)| [a, b]);
            let [_, newer] = by_age(first, second);
            found(newer, stamps)
        }
        (Err(bad), _) | (_, Err(bad)) if bad.whole => Ok(Look::Damaged(bad.damage, [a, b])),
        (Err(_), Ok(second)) => found(second, None),
        (Ok(first), Err(_)) if read(Slot::A)? == a => found(first, None),
        (Ok(_), Err(bad)) => Ok(Look::Torn(bad.damage)),
        (Err(bad), Err(_)) => Ok(Look::Damaged(bad.damage, [a, b])),
    }
}

/// Both slots as they are, damaged or not, and the current node if there is one.
pub(crate) struct Both {
    pub(crate) slots: [Vec<u8>; 2],
    pub(crate) current: Option<MasterNode>,
}

/// Reads both slots, for those who show them. They are read again until both are whole or stay the same, since a
/// writer may be at work.
pub(crate) fn read_both(file: &OpenFile) -> Result<Both> {
    let mut tries = 0;
    let mut before = None;
    loop {
        let mut slots = [Vec::new(), Vec::new()];
        let look = look(&file.geometry, |slot| {
            let bytes = read_slot(&*file.storage, &file.geometry, slot)?;
            slots[slot.index()].clone_from(&bytes);
            Ok(bytes)
        })
        .map_err(file.failed("read the master nodes of"))?;
        let current = if let Look::Found(current) = look { Some(*current) } else { None };
        let are_whole = current.as_ref().is_some_and(|current| current.stamps.is_some());
        tries += 1;
        if are_whole || tries == SPIN_ATTEMPTS || before.as_ref() == Some(&slots) {
            return Ok(Both { slots, current: current.map(|current| current.master) });
        }
        forget_slots(file)?;
        before = Some(slots);
    }
}

pub(crate) fn read_slot(storage: &dyn Storage, geometry: &Geometry, slot: Slot) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let size = in_memory(geometry.slot_size());
    // The node that is made of it takes as much again. That there is no room for it is told here.
    bytes.try_reserve_exact(size.saturating_mul(2)).map_err(|_| io::ErrorKind::OutOfMemory)?;
    bytes.shrink_to(size);
    bytes.resize(size, 0);
    let length = read_up_to(storage, &mut bytes, geometry.slot_position(slot))?;
    bytes.truncate(length);
    Ok(bytes)
}

/// Reads only the slots' stamps, to see cheaply whether anything can have changed.
pub(crate) fn read_stamps(storage: &dyn Storage, geometry: &Geometry) -> io::Result<Option<Stamps>> {
    let mut stamps = Stamps::default();
    for (stamp, slot) in stamps.iter_mut().zip(Slot::BOTH) {
        if read_up_to(storage, stamp, geometry.slot_position(slot))? != STAMP_SIZE {
            return Ok(None);
        }
    }
    Ok(Some(stamps))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
