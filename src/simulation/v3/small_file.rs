//! A file with a small log and small blocks, on a simulated disk.

use std::path::Path;
use std::sync::Arc;

use crate::read::open_file::Opened;
use crate::simulation::disk::{Disk, OnlyUser};
use crate::simulation::disk_state::DiskState;
use crate::simulation::environment::{Clock, Seeded};
use crate::simulation::random::Random;
use crate::v3::format::{Codec, Header};
use crate::v3::shared::Shared;
use crate::v3::write::{Writer, WriterOptions};
use crate::write::options::Making;

pub(super) fn header() -> Header {
    let sound = Header::new(Codec::Zstd, *b"identity-of-file", 1);
    Header { page: 512, block: 512, fan_out: 2, log: 4096, ..sound }
}

pub(super) fn shared(disk: &Disk<()>, seed: u64) -> Arc<Shared> {
    let opened = Opened::new(Path::new("simulated.capture"), Box::new(disk.clone()), 1);
    Arc::new(Shared::in_environment(
        opened,
        header(),
        0,
        Arc::new(Seeded::new(Random::new(seed), Clock::Still)),
    ))
}

pub(super) fn new_file(seed: u64) -> (Disk<()>, Writer) {
    let disk = Disk::new(DiskState::default(), Random::new(0));
    let writer = Writer::create(
        &shared(&disk, seed),
        Box::new(OnlyUser),
        None,
        WriterOptions::default(),
        Making::Hidden,
    )
    .unwrap();
    (disk, writer)
}

pub(super) fn copy(disk: &Disk<()>) -> Disk<()> {
    Disk::new(disk.state(), Random::new(0))
}
