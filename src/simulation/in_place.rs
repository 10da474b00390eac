//! Turning empty files into capture files in place, where others see them, with crashes at every step.

use super::careless::{self, Mistake, storage};
use super::commits::Mark;
use super::contents::{Outcome, State, expect, path, read_all, text};
use super::disk::{Disk, Event, OnlyUser};
use super::disk_state::DiskState;
use super::habits::Habits;
use super::random::Random;
use crate::file::CaptureFile;

const SEEDS: u64 = 100;
/// Number of power cuts at each step.
const POWER_CUTS: usize = 4;

fn open_or_make(disk: &Disk<Mark>, habits: &Habits) -> Outcome<CaptureFile> {
    let options = habits.options().create(true);
    let storage = storage(disk, habits.geometry);
    let length = storage.length().map_err(|error| error.to_string())?;
    options.open_or_make_storage(path(), path(), storage, length, Box::new(OnlyUser)).map_err(text)
}

fn read(disk: &Disk<Mark>, habits: &Habits) -> Outcome<State> {
    let file = habits.options().read_storage(path(), storage(disk, habits.geometry)).map_err(text)?;
    read_all(&file).map_err(text)
}

/// Creates a file, and tries all ends; returns their number.
fn make(format: u32, seed: u64) -> Outcome<u64> {
    let mut random = Random::new(seed);
    let mut habits = Habits::new(format, &mut random, true);
    // The remains of a file with metadata cannot be distinguished from foreign data.
    habits.initial_metadata = None;
    let disk = Disk::new(DiskState::default(), random.clone());
    drop(open_or_make(&disk, &habits)?);
    let (mut now, mut ends) = (DiskState::default(), vec![DiskState::default()]);
    for event in disk.take_log() {
        if let Event::Changed(change) = &event
            && let Some(part) = change.cut(&mut random)
        {
            let mut cut = now.clone();
            cut.change(part);
            ends.push(cut);
        }
        event.replay(&mut now);
        ends.push(now.clone());
        ends.extend((0..POWER_CUTS).map(|_| now.after_power_cut(&mut random)));
    }
    for end in &ends {
        continue_with(end, &habits)?;
    }
    // Once it was returned, it exists.
    let left = Disk::new(now.after_power_cut(&mut random), Random::new(0));
    expect(read(&left, &habits)? == State::default(), || "the new file holds something else".into())?;
    Ok(ends.len() as u64)
}

/// Checks that the result is a complete file, or none yet, and that opening it for writing completes it.
fn continue_with(left: &DiskState, habits: &Habits) -> Outcome {
    let disk = Disk::new(left.clone(), Random::new(0));
    if let Ok(found) = read(&disk, habits) {
        expect(found == State::default(), || "what is left holds something".into())?;
    }
    let file = open_or_make(&disk, habits)?;
    file.add_record(b"record").and_then(|_| file.commit()).map_err(text)?;
    let now = read(&disk, habits)?;
    expect(now.records.len() == 1, || format!("there are {} records, not 1", now.records.len()))
}

#[test]
fn whatever_cuts_off_making_a_file_of_an_empty_one_it_can_be_made_again() {
    let mut ends = 0;
    for format in [2, 3] {
        for seed in 0..SEEDS * super::soak() {
            match make(format, seed) {
                Ok(count) => ends += count,
                Err(problem) => panic!("format {format}, seed {seed}: {problem}"),
            }
        }
    }
    println!("ends of files that are created in place: {ends}");
}

#[test]
fn a_header_that_may_reach_the_disk_before_the_rest_is_noticed() {
    for format in [2, 3] {
        let made = || (0..SEEDS).find_map(|seed| make(format, seed).err());
        let Some(problem) = careless::with(Mistake::NewFileNotSynced, made) else {
            panic!("format {format}: it is not noticed in {SEEDS} seeds")
        };
        println!("format {format}: {problem}");
    }
}
