//! The worked example of the specification, byte by byte.

use std::path::Path;
use std::sync::Arc;

use crate::read::open_file::Opened;
use crate::simulation::disk::{Disk, OnlyUser};
use crate::simulation::disk_state::DiskState;
use crate::simulation::environment::{Clock, Seeded};
use crate::simulation::random::Random;
use crate::storage::{Storage, read_up_to};
use crate::sync::group_commit::CommitSteps;
use crate::v3::format::{Codec, Header};
use crate::v3::shared::Shared;
use crate::v3::write::{Writer, WriterOptions};
use crate::write::options::Making;

/// Three records in one commit, and then four of 100 bytes, one commit each, which make a block and a checkpoint.
fn example() -> Disk<()> {
    let sizes = Header::new(Codec::None, *b"0123456789abcdef", 1000);
    let header = Header { page: 512, block: 512, fan_out: 2, log: 4096, ..sizes };
    let disk = Disk::new(DiskState::default(), Random::new(0));
    let opened = Opened::new(Path::new("example.capture"), Box::new(disk.clone()), 1);
    let file = Shared::in_environment(opened, header, 0, Arc::new(Seeded::new(Random::new(0), Clock::Still)));
    let mut writer =
        Writer::create(&Arc::new(file), Box::new(OnlyUser), None, WriterOptions::default(), Making::Hidden)
            .unwrap();
    for record in ["one", "two", "three"] {
        writer.add_record(record.as_bytes()).unwrap();
    }
    writer.set_metadata(Some(b"demo")).unwrap();
    writer.commit_alone().unwrap();
    for letter in *b"abcdefgh" {
        writer.add_record(&[letter; 100]).unwrap();
        writer.commit_alone().unwrap();
    }
    disk
}

#[test]
fn the_worked_example_of_the_specification_is_what_is_written() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/format-3.md");
    let text = std::fs::read_to_string(page).unwrap();
    let disk = example();
    let mut file = vec![0; usize::try_from(disk.length().unwrap()).unwrap()];
    read_up_to(&disk, &mut file, 0).unwrap();
    let mut compared = 0;
    for line in text.split("```").filter_map(|part| part.strip_prefix("text example\n")).flat_map(str::lines)
    {
        let (at, rest) = line.split_once("  ").unwrap();
        let bytes: Vec<u8> = rest
            .split("  ")
            .next()
            .unwrap()
            .split(' ')
            .map(|byte| u8::from_str_radix(byte, 16).unwrap())
            .collect();
        let at = usize::from_str_radix(at, 16).unwrap();
        assert_eq!(file[at..at + bytes.len()], bytes, "{line}");
        compared += bytes.len();
    }
    if std::env::var_os("PRINT_EXAMPLE").is_some() {
        for (at, row) in file.chunks(8).enumerate().filter(|(_, row)| row.iter().any(|byte| *byte > 0)) {
            println!(
                "{:08x}  {}",
                8 * at,
                row.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
            );
        }
    }
    assert!(compared > 500, "{compared} bytes compared");
}
