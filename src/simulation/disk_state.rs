//! The bytes of a simulated disk: what was written, what was synced, and the effects of power cuts and failed syncs.

use std::sync::Arc;

use super::random::Random;

/// Size of a sector, which a disk writes completely or not at all.
pub(crate) const SECTOR: usize = 512;

/// A change to a file.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Write { position: usize, bytes: Arc<[u8]> },
    Length(usize),
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Write { position, bytes } => write(file, *position, bytes),
            Self::Length(length) => file.resize(*length, 0),
        }
    }

    /// Returns the part of the change that a killed process has done.
    pub(crate) fn cut(&self, random: &mut Random) -> Option<Self> {
        match self {
            Self::Write { position, bytes } => Some(Self::Write {
                position: *position,
                bytes: bytes[..random.below(bytes.len().max(1))].into(),
            }),
            Self::Length(_) => None,
        }
    }
}

pub(crate) fn write(file: &mut Vec<u8>, position: usize, bytes: &[u8]) {
    let end = position + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[position..end].copy_from_slice(bytes);
}

/// One file: as it is on the disk, as processes see it, and the changes in between.
///
/// After a failed sync, the two can differ without a change that a later sync would write.
#[derive(Debug, Clone, Default)]
pub(crate) struct DiskState {
    platter: Vec<u8>,
    pub(crate) cache: Vec<u8>,
    unsynced: Vec<Change>,
}

/// The selection of unsynced changes that survive a power cut.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Picking {
    /// Each sector of each change independently, with this probability in percent.
    Sectors(usize),
    /// The changes up to one of them, which is torn.
    UpTo(usize),
    /// All changes but one.
    AllBut(usize),
    /// One change alone.
    Alone(usize),
}

impl Picking {
    fn new(changes: usize, random: &mut Random) -> Self {
        let one = random.below(changes.max(1));
        match random.below(8) {
            0 => Self::Sectors(0),
            1 => Self::Sectors(100),
            2 => Self::Sectors(10),
            3 => Self::Sectors(90),
            4 => Self::UpTo(one),
            5 => Self::AllBut(one),
            6 => Self::Alone(one),
            _ => Self::Sectors(50),
        }
    }

    /// Returns the probability, in percent, that a sector of change number `index` reached the disk.
    fn chance(self, index: usize) -> usize {
        match self {
            Self::Sectors(chance) => chance,
            Self::UpTo(last) if index < last => 100,
            Self::UpTo(last) if index == last => 50,
            Self::AllBut(one) if index != one => 100,
            Self::Alone(one) if index == one => 100,
            Self::UpTo(_) | Self::AllBut(_) | Self::Alone(_) => 0,
        }
    }
}

impl DiskState {
    pub(crate) fn change(&mut self, change: Change) {
        change.apply(&mut self.cache);
        self.unsynced.push(change);
    }

    pub(crate) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            change.apply(&mut self.platter);
        }
    }

    /// Marks the pages as clean, whatever reached the disk; the page cache is kept or dropped.
    pub(crate) fn fail_sync(&mut self, random: &mut Random) {
        self.platter = self.after_power_cut(random).platter;
        self.unsynced.clear();
        if random.one_in(2) {
            self.cache.clone_from(&self.platter);
        }
    }

    /// Drops clean pages of a part of the file.
    pub(crate) fn drop_cached(&mut self, position: usize, length: usize) {
        let end = (position + length).min(self.cache.len()).min(self.platter.len());
        if position < end {
            self.cache[position..end].copy_from_slice(&self.platter[position..end]);
        }
        for change in &self.unsynced {
            change.apply(&mut self.cache);
        }
    }

    /// Returns one of the states that a power cut can leave.
    pub(crate) fn after_power_cut(&self, random: &mut Random) -> Self {
        let picking = Picking::new(self.unsynced.len(), random);
        let mut lengths = vec![self.platter.len()];
        let mut bytes = self.platter.clone();
        for (index, change) in self.unsynced.iter().enumerate() {
            let chance = picking.chance(index);
            match change {
                Change::Write { position, bytes: written } => {
                    write_some(&mut bytes, *position, written, |random| random.chance(chance), random);
                    lengths.push(bytes.len());
                }
                Change::Length(length) => {
                    lengths.push(*length);
                    // Bytes after the end may reappear if the file is extended again; here they are zeros.
                    bytes.resize((*length).max(bytes.len()), 0);
                }
            }
        }
        let last = lengths.len() - 1;
        let length = match picking {
            Picking::Sectors(0) => lengths[0],
            Picking::Sectors(100) => lengths[last],
            _ => lengths[random.below(lengths.len())],
        };
        bytes.resize(length, 0);
        Self { cache: bytes.clone(), platter: bytes, unsynced: Vec::new() }
    }
}

/// Writes the sectors for which `pick` returns true.
pub(crate) fn write_some(
    file: &mut Vec<u8>,
    position: usize,
    bytes: &[u8],
    mut pick: impl FnMut(&mut Random) -> bool,
    random: &mut Random,
) {
    let mut from = 0;
    while from < bytes.len() {
        let to = bytes.len().min(from + SECTOR - (position + from) % SECTOR);
        if pick(random) {
            write(file, position + from, &bytes[from..to]);
        }
        from = to;
    }
}
