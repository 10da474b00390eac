"""Logic errors that the crash tests must detect: each is made in a copy of the crate, whose tests then must fail.

`make test-mutants` runs it. `python tests/mutants.py WORD ...` makes only the mistakes whose description or file
contains one of the words. Mistakes in the order of reads, writes and syncs need no changed source: they are made
between the library and the simulated disk, in `src/simulation/careless.rs`.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).parent.parent
COPY = PROJECT / "target" / "mutants" / "source"
#: The sources that the crate is built from.
SOURCES = ("Cargo.toml", "Cargo.lock", "README.md", "src", "tests/core", "benches")
#: A mistake that is not detected within this time, which includes the build, counts as missed.
SECONDS = 900
#: The crash tests run this many times longer than usual: some mistakes rarely do harm.
TIMES = "40"


class Mutant(NamedTuple):
    """One mistake: what it does, where, and which crash test is most likely to detect it."""

    mistake: str
    file: str
    right: str
    wrong: str
    test: str


MUTANTS = (
    Mutant(
        "in barrier mode only commits with frames sync",
        "src/write/flight.rs",
        "SyncMode::Barrier => true,",
        "SyncMode::Barrier => self.has_unsynced_frames,",
        "crashes_leave_every_acknowledged_commit",
    ),
    Mutant(
        "the serial number in memory moves on before the commit has succeeded",
        "src/write/commit.rs",
        """\
        self.changes += 1;
        self.captured_changes = self.changes;
""",
        """\
        self.changes += 1;
        self.captured_changes = self.changes;
        let serial = self.committed.serial.wrapping_add(1);
        self.committed = Arc::new(MasterNode { serial, ..MasterNode::clone(&self.committed) });
""",
        "a_full_disk_costs_no_acknowledged_commit",
    ),
    Mutant(
        "a failed commit is retried in the other slot",
        "src/write/flight.rs",
        "        self.slots.write(&self.captured.node, self.serial).map_err(",
        """\
        let first = self.slots.write(&self.captured.node, self.serial);
        let written = first.or_else(|_| {
            self.serial = self.serial.wrapping_add(1);
            self.slots.write(&self.captured.node, self.serial)
        });
        written.map_err(""",
        "failed_syncs_cost_no_acknowledged_commit",
    ),
    Mutant(
        "a commit counts what others have added while it waited for the disk",
        "src/write/commit.rs",
        "        self.committed = Arc::new(node);\n",
        "        self.committed = Arc::new(MasterNode { serial, ..self.draft.node().clone() });\n",
        "long_lives_show_what_was_written",
    ),
    Mutant(
        "what others have added while a commit waited for the disk is not saved for readers",
        "src/write/commit.rs",
        "if !self.draft.is_dirty() && self.marked.is_none() {\n            self.renew_transaction();",
        "{\n            self.renew_transaction();",
        "long_lives_show_what_was_written",
    ),
    Mutant(
        "saved pages are assumed to begin where the snapshot's own commit ends",
        "src/read/frames.rs",
        "Some(saved) => self.stable.max(saved.start.min(self.written)),",
        "Some(_) => self.stable,",
        "long_lives_show_what_was_written",
    ),
    Mutant(
        "the last partial page is taken from the file instead of the slot",
        "src/read/snapshot.rs",
        "        let extent = master.extent();\n",
        """\
        let tail_start = file.geometry.whole_pages(master.file_limit);
        let mut master = master;
        let _ = crate::storage::read_up_to(&*file.storage, &mut master.tail, tail_start);
        let extent = master.extent();
""",
        "crashes_leave_every_acknowledged_commit",
    ),
    Mutant(
        "serial numbers are compared without their wrap",
        "src/format/slot.rs",
        "serial.wrapping_sub(other) < 1 << (u32::BITS - 1)",
        "serial > other",
        "crashes_leave_every_acknowledged_commit",
    ),
    Mutant(
        "a closed block is dropped before its write has succeeded",
        "src/write/frame_writer.rs",
        """\
        node.tail = self.write_frame(&frame, node)?;
        node.file_limit += frame.len() as u64;
        self.pipeline.pop();
""",
        """\
        self.pipeline.pop();
        node.tail = self.write_frame(&frame, node)?;
        node.file_limit += frame.len() as u64;
""",
        "a_full_disk_costs_no_acknowledged_commit",
    ),
    Mutant(
        "cached blocks of a transaction stay after its rollback",
        "src/read/frames.rs",
        "let validity = if end <= self.stable {",
        "let validity = if end <= self.stable || true {",
        "long_lives_show_what_was_written",
    ),
    Mutant(
        "an entry counts as committed although its sync has failed",
        "src/v3/write/commit.rs",
        "        if let Err(failure) = outcome {",
        """\
        let lost = |failure| if let Failure::Lost { .. } = failure { Ok(()) } else { Err(failure) };
        if let Err(failure) = outcome.or_else(lost) {""",
        "v3::failed_syncs_cost_no_acknowledged_commit",
    ),
    Mutant(
        "an entry is acknowledged before it is synced",
        "src/v3/write/flight.rs",
        "if self.sync == SyncMode::Full {",
        "if self.sync == SyncMode::Full && self.syncs_first {",
        "v3::crashes_leave_every_acknowledged_commit",
    ),
    Mutant(
        "an entry refers to frames that are not synced",
        "src/v3/write/flight.rs",
        "if self.syncs_first {",
        "if self.syncs_first && !self.entry.header.has_base() {",
        "v3::many_lives_leave_every_acknowledged_commit",
    ),
    Mutant(
        "in barrier mode a head refers to frames that are not synced",
        "src/v3/write/commit.rs",
        "SyncMode::Barrier => is_large || checkpoint.is_some(),",
        "SyncMode::Barrier => is_large,",
        "v3::many_lives_leave_every_acknowledged_commit",
    ),
    Mutant(
        "a head is written before the commit whose sync it needs",
        "src/v3/write/commit.rs",
        "        self.draft.begin_commit(",
        """\
        let checkpoint = checkpoint.and_then(|checkpoint| self.write_head(checkpoint).err()).and(None);
        self.draft.begin_commit(""",
        "v3::many_lives_leave_every_acknowledged_commit",
    ),
    Mutant(
        "a head that makes room refers to frames that are not synced",
        "src/v3/write/room.rs",
        "            self.sync_storage()?;\n",
        "",
        "v3::many_lives_leave_every_acknowledged_commit",
    ),
    Mutant(
        "a head confirms an entry that was not synced together with its frames",
        "src/v3/write/flight.rs",
        "self.sync_to(position)",
        "self.sync_to(end)",
        "v3::many_lives_leave_every_acknowledged_commit",
    ),
    Mutant(
        "a commit includes what others have added meanwhile",
        "src/v3/write/draft.rs",
        "        self.in_flight.take().unwrap_or_default()\n",
        "        self.open = Part::default();\n        self.in_flight.take().unwrap_or_default()\n",
        "v3::crashes_leave_every_acknowledged_commit",
    ),
    Mutant(
        "the content of a commit in progress is not visible meanwhile",
        "src/v3/write/draft.rs",
        "let mut parts = self.parts();",
        "let mut parts = self.parts().skip(usize::from(self.is_in_flight()));",
        "v3::crashes_leave_every_acknowledged_commit",
    ),
    Mutant(
        "a commit that found the disk full loses its records",
        "src/v3/write/draft.rs",
        "= self.in_flight.take() {",
        "= self.in_flight.take().filter(|_| false) {",
        "v3::a_full_disk_costs_no_acknowledged_commit",
    ),
    Mutant(
        "a commit that found the disk full overwrites the metadata that was set meanwhile with its own",
        "src/v3/write/part.rs",
        "later.metadata.or(self.metadata.take())",
        "self.metadata.take().or(later.metadata)",
        "sharing::metadata_that_is_set_during_a_commit_without_room_replaces_that_of_the_commit",
    ),
    Mutant(
        "a commit that was started contains what was added after that",
        "src/v3/write/commit.rs",
        "        let Some(marked) = self.draft.marked()",
        "        self.mark_all();\n        let Some(marked) = self.draft.marked()",
        "v3::crashes_leave_every_acknowledged_commit",
    ),
    Mutant(
        "a snapshot of a transaction treats frames to which no head refers yet as permanent",
        "src/v3/write/rollback.rs",
        "snapshot.frames.open = Some((Arc::clone(&self.transaction), self.state.frames.limit));",
        """\
let start = self.spill.as_ref().map_or(0, |spill| spill.frames.limit);
            snapshot.frames.open = Some((Arc::clone(&self.transaction), start));""",
        "v3::held::a_snapshot_of_a_transaction_outlives_the_next_writer",
    ),
    Mutant(
        "a batch that is rolled back during a commit ends the transaction that snapshots of the commit belong to",
        "src/v3/write/rollback.rs",
        "            // The frames are those of the commit, which is not restored.\n",
        "            self.renew_transaction();\n",
        "v3::held::a_snapshot_of_a_commit_that_finds_no_room_outlives_its_rollback",
    ),
    Mutant(
        "what is added while a commit is in progress is written as frames, for which room in the log is made",
        "src/v3/write/writer.rs",
        "        if self.draft.has_commit() {\n            self.draft.seal",
        "        if false {\n            self.draft.seal",
        "v3::crashes_leave_every_acknowledged_commit",
    ),
    Mutant(
        "the error of a commit reaches only the thread that made it",
        "src/write/health.rs",
        "(changes <= lost.changes).then(",
        "(changes > lost.changes).then(",
        "sharing::the_error_of_a_commit_reaches_all_whose_records_it_has",
    ),
    Mutant(
        "a writer does not begin with an entry of random bits",
        "src/v3/write/open.rs",
        "        self.make_room(EntryHeader::MIN_TOTAL, 0)?;\n",
        """\
        if self.state.end > 0 {
            return self.sync_storage();
        }
        self.make_room(EntryHeader::MIN_TOTAL, 0)?;
""",
        "v3::what_a_dead_writer_has_left_is_not_taken_for_a_commit",
    ),
    Mutant(
        "room in the log is free once the newer head is past it",
        "src/v3/write/room.rs",
        "(a.min(b) + ",
        "(a.max(b) + ",
        "v3::crashes_leave_every_acknowledged_commit",
    ),
    Mutant(
        "the log begins after the entry that holds the record after those in frames",
        "src/v3/write/room.rs",
        "let index = next.unwrap_or(self.state.entries.len());",
        "let index = next.map_or(self.state.entries.len(), |next| next + 1);",
        "v3::many_lives_leave_every_acknowledged_commit",
    ),
    Mutant(
        "data that may be in memory but not on disk is not rewritten when a writer opens the file",
        "src/v3/write/open.rs",
        "        if syncs {\n            write_again",
        "        if false {\n            write_again",
        "v3::failed_syncs_cost_no_acknowledged_commit",
    ),
    Mutant(
        "the heads are not read again after the end of the chain",
        "src/v3/open/reader.rs",
        "let again = read_head(file)?;",
        "let again = head.clone();",
        "v3::readers_beside_a_writer_see_whole_commits_and_are_never_behind",
    ),
    Mutant(
        "a refresh that has found entries does not read the heads",
        "src/v3/open/reader.rs",
        "        let head = read_head(file)?;\n        if head.begin",
        """\
        if state.end > known.end {
            return Ok(Look { state, taken_back: false });
        }
        let head = read_head(file)?;
        if head.begin""",
        "v3::readers_beside_a_writer_see_whole_commits_and_are_never_behind",
    ),
    Mutant(
        "a refresh does not check whether the entry at which it ended is still there",
        "src/v3/open/reader.rs",
        "if known.entries.is_empty() {",
        "if known.end > 0 {",
        "v3::decay::a_reader_whose_last_commit_is_gone_begins_anew",
    ),
    Mutant(
        "a writer does not check for entries after the end of the log",
        "src/v3/write/open.rs",
        "if let Some(damage) = lost {",
        "if let Some(damage) = lost.filter(|_| false) {",
        "v3::decay::a_flipped_bit_costs_a_writer_no_more_than_the_last_commits_without_an_error",
    ),
)


def copy_sources() -> None:
    """Copies the crate in such a way that cargo treats it as the same one each time."""
    shutil.rmtree(COPY, ignore_errors=True)
    for source in SOURCES:
        target = COPY / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if (PROJECT / source).is_dir():
            shutil.copytree(PROJECT / source, target)
        else:
            shutil.copy2(PROJECT / source, target)


def fails(test: str) -> bool:
    """Whether the test fails in the copy. A failed build is an error."""
    cargo = ["cargo", "test", "--quiet", "--locked", "--profile", "fast", "--lib"]
    target = ["--target-dir", str(COPY.parent / "target")]
    subprocess.run([*cargo, *target, "--no-run"], cwd=COPY, check=True)
    try:
        done = subprocess.run(
            [*cargo, *target, "--", "--exact", f"simulation::{test}"],
            cwd=COPY,
            env={**os.environ, "CAPTUREFILE_SOAK": TIMES},
            check=False,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return False
    if "1 passed" not in done.stdout and "1 failed" not in done.stdout:
        sys.exit(f"{test} was not run: {done.stdout}{done.stderr}")
    return done.returncode != 0


def is_detected(mutant: Mutant) -> bool:
    """Whether the test fails when the mistake is made."""
    copy_sources()
    file = COPY / mutant.file
    text = file.read_text(encoding="utf-8")
    if text.count(mutant.right) != 1:
        sys.exit(f"{mutant.mistake}: {mutant.file} has {text.count(mutant.right)} places to make it, not one")
    file.write_text(text.replace(mutant.right, mutant.wrong), encoding="utf-8")
    return fails(mutant.test)


def main(words: Sequence[str]) -> None:
    """Makes the mistakes, one after the other: all, or those that contain one of the words."""
    missed = []
    chosen = [it for it in MUTANTS if not words or any(word in it.mistake or word in it.file for word in words)]
    for mutant in chosen:
        began = time.monotonic()
        detected = is_detected(mutant)
        took = time.monotonic() - began
        print(f"{'detected' if detected else 'MISSED'} in {took:.0f} s: {mutant.mistake}", flush=True)
        if not detected:
            missed.append(mutant.mistake)
    if missed:
        sys.exit(f"{len(missed)} of {len(chosen)} mistakes are not detected")


if __name__ == "__main__":
    main(sys.argv[1:])
