//! Reading the two master slots beside a writer that may be writing one of them: the rule for which
//! node is current, and the repair that a writer makes before it builds on one.

use std::io;
use std::time::{Duration, Instant};

use crate::error::{Damage, Error, Result};
use crate::format::master::{self, MasterNode, STAMP_SIZE};
use crate::format::{Geometry, Slot, in_memory};
use crate::mutants::{self, Mutant};
use crate::read::snapshot::OpenFile;
use crate::storage::{Storage, read_up_to, write_all};

/// How long a reader goes on looking for a whole node before it calls the file damaged.
const PATIENCE: Duration = Duration::from_secs(2);
/// Tries without a pause, which outlast a slot write that is under way.
const SPINS: u32 = 20;
/// The first pause, which doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_micros(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

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
    let deadline = Instant::now() + PATIENCE;
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
            return Err(Error::invalid(&file.path, damage));
        }
        pauses.pause();
    }
}

/// Tries that follow each other at once at first, then less and less closely.
#[derive(Default)]
struct Pauses {
    tries: u32,
}

impl Pauses {
    fn pause(&mut self) {
        self.tries += 1;
        if let Some(doublings) = self.tries.checked_sub(SPINS) {
            let pause = FIRST_PAUSE * 2_u32.saturating_pow(doublings.min(10));
            std::thread::sleep(pause.min(LONGEST_PAUSE));
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
            found(if second.is_newer_than(&first) { second } else { first }, stamps)
        }
        (Err(bad), _) | (_, Err(bad)) if bad.whole => Ok(Look::Damaged(bad.damage, [a, b])),
        (Err(_), Ok(second)) => found(second, None),
        (Ok(first), Err(_)) if read(Slot::A)? == a => found(first, None),
        (Ok(_), Err(bad)) => Ok(Look::Torn(bad.damage)),
        (Err(bad), Err(_)) => Ok(Look::Damaged(bad.damage, [a, b])),
    }
}

fn read_slot(storage: &dyn Storage, geometry: &Geometry, slot: Slot) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let size = in_memory(geometry.slot_size());
    // The node that is made of it takes as much again. That there is no room for it is told here.
    bytes.try_reserve_exact(size.saturating_mul(2)).map_err(|_| io::ErrorKind::OutOfMemory)?;
    bytes.shrink_to(size);
    bytes.resize(size, 0);
    let length = if mutants::on(Mutant::ShortSlotAccepted) {
        storage.read_at(&mut bytes, geometry.slot_position(slot))?
    } else {
        read_up_to(storage, &mut bytes, geometry.slot_position(slot))?
    };
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

/// Something wrong with the slots of a file that can be opened all the same.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) damage: Damage,
    /// Whether a crash leaves this, and the next writer puts it right.
    pub(crate) repairable: bool,
}

/// What is wrong with the slots while no writer is at work.
pub(crate) fn find_damage(file: &OpenFile) -> Result<Option<Finding>> {
    let look = || look_for_damage(file).map_err(file.failed("read the master nodes of"));
    let found = look()?;
    // Seen twice, it is no write that was under way.
    Ok(if found.is_some() && found == look()? { found } else { None })
}

fn look_for_damage(file: &OpenFile) -> io::Result<Option<Finding>> {
    let geometry = &file.geometry;
    let mut serials = Vec::new();
    for slot in Slot::BOTH {
        let bytes = read_slot(&*file.storage, geometry, slot)?;
        match MasterNode::decode(geometry, slot, &bytes) {
            Ok(master) => serials.push(master.serial),
            Err(bad) => {
                let repairable = !bad.whole && !master::differs_in_one_bit(&bytes);
                return Ok(Some(Finding { damage: bad.damage, repairable }));
            }
        }
    }
    Ok(gap(&serials).map(|damage| Finding { damage: damage.at(geometry.page()), repairable: true }))
}

/// Serial numbers that do not follow each other, as commits leave them that were never synced.
fn gap(serials: &[u32]) -> Option<Damage> {
    let (&a, &b) = (serials.first()?, serials.last()?);
    let apart = a.wrapping_sub(b).min(b.wrapping_sub(a));
    (apart != 1).then(|| {
        Damage::new(format!("master nodes of the commits {a} and {b}"), "two that follow each other")
    })
}

/// What a writer knows to stand in each slot; `None` where that is nothing whole.
pub(crate) type SlotImages = [Option<Vec<u8>>; 2];

/// Finds the current node for a writer, who is alone with the file, and makes both slots sound and
/// consecutive: what an earlier writer left only in memory, or half-written, is not built upon.
pub(crate) fn repair(file: &OpenFile, sync: bool) -> Result<(MasterNode, SlotImages)> {
    let (storage, geometry) = (&*file.storage, &file.geometry);
    let sync = sync && !mutants::on(Mutant::PageCacheTrusted);
    if sync {
        storage.sync().map_err(file.failed("sync"))?;
        storage
            .drop_cached(geometry.page(), 2 * geometry.slot_size())
            .map_err(file.failed("drop the cached master nodes of"))?;
    }
    let mut images = SlotImages::default();
    let mut nodes = [None, None];
    let mut damage = None;
    for (index, slot) in Slot::BOTH.into_iter().enumerate() {
        let bytes = read_slot(storage, geometry, slot).map_err(file.failed("read the master nodes of"))?;
        match MasterNode::decode(geometry, slot, &bytes) {
            Ok(node) => {
                nodes[index] = Some(node);
                images[index] = Some(bytes);
            }
            Err(bad) if bad.whole => return Err(Error::invalid(&file.path, bad.damage)),
            Err(bad) => damage = Some(bad.damage),
        }
    }
    let [a, b] = nodes;
    let mut current = match (a, b) {
        (Some(a), Some(b)) => {
            let (newer, older) = if b.is_newer_than(&a) { (b, a) } else { (a, b) };
            let consecutive = newer.serial.wrapping_sub(older.serial) == 1;
            // The newest may be in memory only, after a sync that failed; on the disk it must be.
            if sync || !consecutive {
                rewrite(file, &images, &newer)?;
            }
            if sync {
                storage.sync().map_err(file.failed("sync"))?;
            }
            if consecutive {
                return Ok((newer, images));
            }
            newer
        }
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => {
            let damage = damage.unwrap_or_else(|| Damage::new("no master node", "at least one"));
            return Err(Error::invalid(&file.path, damage));
        }
    };
    current.serial = current.serial.wrapping_add(1);
    let mut bytes = Vec::new();
    current.encode(current.serial, geometry, &mut bytes);
    images[image_index(current.serial)] = Some(bytes);
    rewrite(file, &images, &current)?;
    if sync {
        storage.sync().map_err(file.failed("sync"))?;
    }
    Ok((current, images))
}

/// Which of two images a serial number's slot has.
pub(crate) fn image_index(serial: u32) -> usize {
    match Slot::of_serial(serial) {
        Slot::A => 0,
        Slot::B => 1,
    }
}

fn rewrite(file: &OpenFile, images: &SlotImages, master: &MasterNode) -> Result<()> {
    let position = file.geometry.slot_position(Slot::of_serial(master.serial));
    let Some(bytes) = &images[image_index(master.serial)] else {
        return Ok(());
    };
    write_all(&*file.storage, bytes, position).map_err(file.failed("repair the master nodes of"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    //! Every way in which one look at the slots can fall together with four commits, page by page.

    use super::*;
    use crate::format::master::tail_length;

    /// Commits that a writer makes while a reader looks, at most.
    const IN_FLIGHT: usize = 4;

    /// Choices between so many possibilities, gone through one after another until all have been made.
    #[derive(Default)]
    struct Choices {
        made: Vec<(usize, usize)>,
        taken: usize,
    }

    impl Choices {
        /// A number up to `most`.
        fn choose(&mut self, most: usize) -> usize {
            if self.taken == self.made.len() {
                self.made.push((0, most));
            }
            self.taken += 1;
            self.made[self.taken - 1].0
        }

        /// Goes on to the next set of choices; false if there is none.
        fn advance(&mut self) -> bool {
            self.taken = 0;
            while let Some((chosen, most)) = self.made.pop() {
                if chosen < most {
                    self.made.push((chosen + 1, most));
                    return true;
                }
            }
            false
        }
    }

    /// Two slots that a writer overwrites in turn, page by page, upwards or downwards.
    struct Slots {
        geometry: Geometry,
        /// The two commits that are there at first, and those that follow.
        nodes: Vec<MasterNode>,
        /// Their bytes.
        images: Vec<Vec<u8>>,
        downwards: bool,
        /// Page writes that the writer has done.
        written: usize,
    }

    impl Slots {
        fn new(block_size: u32, first_serial: u32, downwards: bool) -> Self {
            let geometry = Geometry { page_size: 512, block_size, fan_out: 2, ..Geometry::default() };
            let nodes: Vec<_> = (0..).take(2 + IN_FLIGHT).map(|n| node(&geometry, first_serial, n)).collect();
            let images = nodes.iter().map(|node| image(&geometry, node)).collect();
            Self { geometry, nodes, images, downwards, written: 0 }
        }

        fn pages(&self) -> usize {
            in_memory(self.geometry.slot_size() / self.geometry.page())
        }

        /// The number of the last commit that is written whole.
        fn committed(&self) -> usize {
            1 + self.written / self.pages()
        }

        /// Lets the writer go on as the choice falls.
        fn pass(&mut self, choices: &mut Choices) {
            self.written += choices.choose(IN_FLIGHT * self.pages() - self.written);
        }

        /// A page of a slot as it is now; the first of the images stands in slot A.
        fn page(&self, slot: Slot, page: usize) -> &[u8] {
            let turn = if self.downwards { self.pages() - 1 - page } else { page };
            let parity = usize::from(slot == Slot::B);
            let is_there = |&number: &usize| number < 2 || (number - 2) * self.pages() + turn < self.written;
            let number = (parity..self.images.len()).step_by(2).take_while(is_there).last().unwrap();
            &self.images[number][512 * page..][..512]
        }

        /// Reads a slot while the writer goes on; the first read of all says what was committed then.
        fn read(&mut self, slot: Slot, choices: &mut Choices, began: &mut Option<usize>) -> Vec<u8> {
            let mut bytes = Vec::new();
            for page in 0..self.pages() {
                self.pass(choices);
                began.get_or_insert(self.committed());
                bytes.extend_from_slice(self.page(slot, page));
            }
            bytes
        }
    }

    /// A node whose pages all differ from those of other commits.
    fn node(geometry: &Geometry, first_serial: u32, number: u8) -> MasterNode {
        let mut node = MasterNode::empty(geometry);
        node.serial = first_serial.wrapping_add(number.into());
        node.file_limit += 100 + u64::from(number);
        node.tail = vec![number + 1; tail_length(geometry, node.file_limit)];
        node.pending = vec![number + 1; if geometry.block_size == 0 { 0 } else { 50 }];
        node
    }

    fn image(geometry: &Geometry, node: &MasterNode) -> Vec<u8> {
        let mut bytes = Vec::new();
        node.encode(node.serial, geometry, &mut bytes);
        bytes
    }

    /// What came of one look.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Outcome {
        /// A commit that was the last one when the reader began, or a later one.
        Right,
        /// Nothing, because the writer was at work.
        Again,
        /// An older commit.
        Stale,
        /// A state that was never committed.
        Wrong,
        /// Nothing, though the writer stood still.
        Stuck,
    }

    type Rule = fn(&Geometry, &mut dyn FnMut(Slot) -> Vec<u8>) -> Option<MasterNode>;

    fn our_rule(geometry: &Geometry, read: &mut dyn FnMut(Slot) -> Vec<u8>) -> Option<MasterNode> {
        match look(geometry, |slot| Ok(read(slot))).unwrap() {
            Look::Found(current) => Some(current.master),
            Look::Torn(_) | Look::Damaged(..) => None,
        }
    }

    /// The newer one of those that are good.
    fn naive_rule(geometry: &Geometry, read: &mut dyn FnMut(Slot) -> Vec<u8>) -> Option<MasterNode> {
        let nodes = Slot::BOTH.map(|slot| MasterNode::decode(geometry, slot, &read(slot)).ok());
        nodes.into_iter().flatten().reduce(|a, b| if b.is_newer_than(&a) { b } else { a })
    }

    fn look_once(rule: Rule, slots: &mut Slots, choices: &mut Choices) -> Outcome {
        slots.written = 0;
        let mut began = None;
        let found = rule(&slots.geometry.clone(), &mut |slot| slots.read(slot, choices, &mut began));
        let Some(node) = found else {
            let stood_still = choices.made.iter().skip(1).all(|&(steps, _)| steps == 0);
            return if stood_still { Outcome::Stuck } else { Outcome::Again };
        };
        match slots.nodes.iter().position(|known| *known == node) {
            Some(number) if number > slots.committed() => Outcome::Wrong,
            Some(number) if Some(number) < began => Outcome::Stale,
            Some(_) => Outcome::Right,
            None => Outcome::Wrong,
        }
    }

    /// Looks in all ways at files of two and three pages a slot, also where serial numbers wrap.
    fn look_in_all_ways(rule: Rule) -> Vec<(Outcome, u64)> {
        let mut counts = Vec::new();
        for ((block_size, first_serial), downwards) in
            [(0, 2), (512, u32::MAX - 1)].into_iter().flat_map(|sizes| [(sizes, false), (sizes, true)])
        {
            let mut slots = Slots::new(block_size, first_serial, downwards);
            let mut choices = Choices::default();
            loop {
                let outcome = look_once(rule, &mut slots, &mut choices);
                match counts.iter_mut().find(|(known, _)| *known == outcome) {
                    Some((_, count)) => *count += 1,
                    None => counts.push((outcome, 1)),
                }
                if !choices.advance() {
                    break;
                }
            }
        }
        counts
    }

    #[test]
    fn no_interleaving_with_four_commits_gives_a_stale_or_a_wrong_node() {
        let counts = look_in_all_ways(our_rule);
        println!("interleavings: {counts:?}");
        assert!(
            counts.iter().all(|(outcome, _)| matches!(outcome, Outcome::Right | Outcome::Again)),
            "{counts:?}"
        );
        assert!(counts.iter().map(|(_, count)| count).sum::<u64>() > 100_000, "{counts:?}");
    }

    #[test]
    fn the_naive_rule_gives_stale_nodes_in_the_same_interleavings() {
        let counts = look_in_all_ways(naive_rule);
        assert!(counts.iter().any(|(outcome, _)| *outcome == Outcome::Stale), "{counts:?}");
        assert!(counts.iter().all(|(outcome, _)| *outcome != Outcome::Wrong), "{counts:?}");
    }

    /// A reader gives up at once if two looks find the same damage; a writer at work never makes it do so.
    #[test]
    fn no_interleaving_of_two_looks_makes_a_busy_writer_look_like_damage() {
        let mut slots = Slots::new(0, 2, false);
        let (mut choices, mut damaged) = (Choices::default(), 0);
        loop {
            slots.written = 0;
            let geometry = slots.geometry;
            let mut broken = || match look(&geometry, |slot| Ok(slots.read(slot, &mut choices, &mut None))) {
                Ok(Look::Damaged(_, slots)) => Some(slots),
                _ => None,
            };
            if let Some(first) = broken() {
                damaged += 1;
                assert_ne!(broken().as_ref(), Some(&first), "{:?}", choices.made);
            }
            if !choices.advance() {
                break;
            }
        }
        assert!(damaged > 0);
    }
}
