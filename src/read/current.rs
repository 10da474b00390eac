//! Reading the two master slots while a writer may be writing one of them, and the rule for which node is current.

use std::io;
use std::time::{Duration, Instant};

use crate::error::{Damage, Error, Result};
use crate::format::master::{MasterNode, SLOT_VERSION_SIZE, by_age};
use crate::format::{Geometry, Slot, in_memory};
use crate::storage::{Storage, read_up_to};

use super::open_file::OpenFile;

/// Time for which a reader looks for a complete node before it reports damage.
const TORN_SLOT_TIMEOUT: Duration = Duration::from_secs(2);
/// Number of attempts without a pause, which outlast a slot write in progress.
const SPIN_ATTEMPTS: u32 = 20;
/// The first pause; each following one is twice as long, up to the maximum.
const FIRST_PAUSE: Duration = Duration::from_micros(100);
const MAX_DELAY: Duration = Duration::from_millis(5);

/// The first bytes of both slots, which differ between any two commits.
pub(crate) type SlotVersions = [[u8; SLOT_VERSION_SIZE]; 2];

/// The current node, and the versions of the slots if both were whole.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) master: MasterNode,
    pub(crate) slot_versions: Option<SlotVersions>,
}

/// The result of one look at the slots.
enum Look {
    Found(Box<Current>),
    /// A write was in progress.
    Torn(Damage),
    /// Neither slot is complete, or one contains an impossible commit; the content of both.
    Damaged(Damage, [Vec<u8>; 2]),
}

/// Reads the current node. A writer may be active: torn slots are read again for two seconds, until they
/// are complete. `acceptable` may reject a node, for example one that is older than the known one.
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
                // A writer leaves one slot complete while it writes the other, and never writes an
                // impossible commit, so slots that stay like this are not being written.
                hopeless = broken.as_ref() == Some(&slots);
                broken = Some(slots);
                damage
            }
        };
        if hopeless || Instant::now() >= deadline {
            return Err(Error::corrupt(&file.path, damage));
        }
        if broken.is_some() || pauses.are_long() {
            // For a file on a server, the cache can combine parts of different moments.
            forget_slots(file)?;
        }
        pauses.pause();
    }
}

/// Makes the next read of the slots come from the disk, or from the server.
pub(crate) fn forget_slots(file: &OpenFile) -> Result<()> {
    let (start, length) = (file.geometry.page(), 2 * file.geometry.slot_size());
    file.storage.drop_cached(start, length).map_err(file.failed("drop the cached master nodes of"))
}

/// The pauses between attempts: none at first, then growing ones.
#[derive(Default)]
struct Pauses {
    tries: u32,
}

impl Pauses {
    /// Returns whether a write that was in progress should have ended.
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
/// Two complete nodes: the newer one, because any commit before A was read is in one of them or has been
/// followed by a newer one. A slot with a correct checksum but impossible content: that is not a write in
/// progress, and the other slot may be older. Only B complete: A was being written when it was read, so B
/// was current then, or is newer now. Only A complete: B was being written, but possibly for the second
/// time since A was read, with A rewritten in between; so A counts only if it is unchanged.
fn look(geometry: &Geometry, mut read: impl FnMut(Slot) -> io::Result<Vec<u8>>) -> io::Result<Look> {
    let a = read(Slot::A)?;
    let b = read(Slot::B)?;
    let version = |bytes: &[u8]| bytes.get(..SLOT_VERSION_SIZE).and_then(|version| version.try_into().ok());
    let found = |master, slot_versions| Ok(Look::Found(Box::new(Current { master, slot_versions })));
    match (MasterNode::decode(geometry, Slot::A, &a), MasterNode::decode(geometry, Slot::B, &b)) {
        (Ok(first), Ok(second)) => {
            let slot_versions = version(&a).zip(version(&b)).map(|(a, b)| [a, b]);
            let [_, newer] = by_age(first, second);
            found(newer, slot_versions)
        }
        (Err(bad), _) | (_, Err(bad)) if bad.whole => Ok(Look::Damaged(bad.damage, [a, b])),
        (Err(_), Ok(second)) => found(second, None),
        (Ok(first), Err(_)) if read(Slot::A)? == a => found(first, None),
        (Ok(_), Err(bad)) => Ok(Look::Torn(bad.damage)),
        (Err(bad), Err(_)) => Ok(Look::Damaged(bad.damage, [a, b])),
    }
}

/// Both slots, damaged or not, and the current node if there is one.
pub(crate) struct Both {
    pub(crate) slots: [Vec<u8>; 2],
    pub(crate) current: Option<MasterNode>,
}

/// Reads both slots for display. They are read again until both are complete or unchanged, because a writer
/// may be active.
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
        let are_whole = current.as_ref().is_some_and(|current| current.slot_versions.is_some());
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
    // The decoded node takes the same amount of memory again. Failure to allocate it is reported here.
    bytes.try_reserve_exact(size.saturating_mul(2)).map_err(|_| io::ErrorKind::OutOfMemory)?;
    bytes.shrink_to(size);
    bytes.resize(size, 0);
    let length = read_up_to(storage, &mut bytes, geometry.slot_position(slot))?;
    bytes.truncate(length);
    Ok(bytes)
}

/// Reads only the versions of the slots, a cheap way to detect whether anything can have changed.
pub(crate) fn read_slot_versions(
    storage: &dyn Storage,
    geometry: &Geometry,
) -> io::Result<Option<SlotVersions>> {
    let mut slot_versions = SlotVersions::default();
    for (version, slot) in slot_versions.iter_mut().zip(Slot::BOTH) {
        if read_up_to(storage, version, geometry.slot_position(slot))? != SLOT_VERSION_SIZE {
            return Ok(None);
        }
    }
    Ok(Some(slot_versions))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
