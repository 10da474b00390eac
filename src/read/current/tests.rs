//! Every interleaving of one look at the slots with four commits, page by page.

use super::*;
use crate::format::master::tail_length;

/// Maximum number of commits that a writer makes while a reader looks.
const IN_FLIGHT: usize = 4;

/// Enumerates all sequences of choices, each between a given number of possibilities.
#[derive(Default)]
struct Choices {
    made: Vec<(usize, usize)>,
    taken: usize,
}

impl Choices {
    /// A number up to `limit`.
    fn choose(&mut self, limit: usize) -> usize {
        if self.taken == self.made.len() {
            self.made.push((0, limit));
        }
        self.taken += 1;
        self.made[self.taken - 1].0
    }

    /// Advances to the next sequence of choices; false if there is none.
    fn advance(&mut self) -> bool {
        self.taken = 0;
        while let Some((chosen, limit)) = self.made.pop() {
            if chosen < limit {
                self.made.push((chosen + 1, limit));
                return true;
            }
        }
        false
    }
}

/// Two slots that a writer overwrites in turn, page by page, upwards or downwards.
struct Slots {
    geometry: Geometry,
    /// The first two commits, and those that follow.
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

    /// The number of the last commit that is written completely.
    fn committed(&self) -> usize {
        1 + self.written / self.pages()
    }

    /// Lets the writer continue for as many pages as chosen.
    fn pass(&mut self, choices: &mut Choices) {
        self.written += choices.choose(IN_FLIGHT * self.pages() - self.written);
    }

    /// A page of a slot as it is now; the first of the images is in slot A.
    fn page(&self, slot: Slot, page: usize) -> &[u8] {
        let turn = if self.downwards { self.pages() - 1 - page } else { page };
        let parity = usize::from(slot == Slot::B);
        let is_there = |&number: &usize| number < 2 || (number - 2) * self.pages() + turn < self.written;
        let number = (parity..self.images.len()).step_by(2).take_while(is_there).last().unwrap();
        &self.images[number][512 * page..][..512]
    }

    /// Reads a slot while the writer continues; the first read of all records what was committed then.
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

/// The outcome of one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The commit that was the last one when the reader began, or a later one.
    Right,
    /// Nothing, because the writer was active.
    Again,
    /// An older commit.
    Stale,
    /// A state that was never committed.
    Wrong,
    /// Nothing, although the writer was idle.
    Stuck,
}

type Rule = fn(&Geometry, &mut dyn FnMut(Slot) -> Vec<u8>) -> Option<MasterNode>;

fn our_rule(geometry: &Geometry, read: &mut dyn FnMut(Slot) -> Vec<u8>) -> Option<MasterNode> {
    match look(geometry, |slot| Ok(read(slot))).unwrap() {
        Look::Found(current) => Some(current.master),
        Look::Torn(_) | Look::Damaged(..) => None,
    }
}

/// The newer one of the valid nodes.
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

/// Looks in all interleavings at files with slots of two and three pages, also where serial numbers wrap.
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
#[cfg_attr(miri, ignore = "takes too long")]
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
#[cfg_attr(miri, ignore = "takes too long")]
fn the_naive_rule_gives_stale_nodes_in_the_same_interleavings() {
    let counts = look_in_all_ways(naive_rule);
    assert!(counts.iter().any(|(outcome, _)| *outcome == Outcome::Stale), "{counts:?}");
    assert!(counts.iter().all(|(outcome, _)| *outcome != Outcome::Wrong), "{counts:?}");
}

/// A reader gives up without waiting if two looks find the same damage; an active writer never causes that.
#[test]
#[cfg_attr(miri, ignore = "takes too long")]
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
