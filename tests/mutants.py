"""Mistakes of logic that the crash tests must notice: each is made in a copy of the crate, whose tests then must fail.

`make test-mutants` runs it. Mistakes in the order of reads, writes and syncs need no other source: they are made
between the library and the simulated disk, in `src/simulation/careless.rs`.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).parent.parent
COPY = PROJECT / "target" / "mutants" / "source"
#: What the crate is built of.
SOURCES = ("Cargo.toml", "Cargo.lock", "README.md", "src", "tests/core", "benches")
#: A mistake that takes longer to be noticed, with the build, counts as not noticed.
SECONDS = 900


class Mutant(NamedTuple):
    """One mistake: what it does, where, and which crash test has the most occasions to notice it."""

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
        Ok(Some(Flight {
""",
        """\
        self.changes += 1;
        let serial = self.committed.serial.wrapping_add(1);
        self.committed = Arc::new(MasterNode { serial, ..MasterNode::clone(&self.committed) });
        Ok(Some(Flight {
""",
        "a_full_disk_costs_no_acknowledged_commit",
    ),
    Mutant(
        "a commit that failed is tried again in the other slot",
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
        "what others have added while a commit waited for the disk is not to be saved for readers",
        "src/write/commit.rs",
        "if !self.draft.is_dirty() {\n            self.renew_transaction();",
        "{\n            self.renew_transaction();",
        "long_lives_show_what_was_written",
    ),
    Mutant(
        "pages that are saved are taken to begin where the snapshot's own commit ends",
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
        "a closed block is forgotten before its write has succeeded",
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
        "what was cached of a transaction stays after its rollback",
        "src/read/frames.rs",
        "let validity = if end <= self.stable {",
        "let validity = if end <= self.stable || true {",
        "long_lives_show_what_was_written",
    ),
)


def copy_sources() -> None:
    """Makes a copy of the crate that cargo takes for the same one each time."""
    shutil.rmtree(COPY, ignore_errors=True)
    for source in SOURCES:
        target = COPY / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if (PROJECT / source).is_dir():
            shutil.copytree(PROJECT / source, target)
        else:
            shutil.copy2(PROJECT / source, target)


def fails(test: str) -> bool:
    """Whether the test fails in the copy. That it does not build is an error."""
    cargo = ["cargo", "test", "--quiet", "--locked", "--profile", "fast", "--lib"]
    target = ["--target-dir", str(COPY.parent / "target")]
    subprocess.run([*cargo, *target, "--no-run"], cwd=COPY, check=True)
    try:
        done = subprocess.run(
            [*cargo, *target, "--", "--exact", f"simulation::{test}"],
            cwd=COPY,
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


def is_noticed(mutant: Mutant) -> bool:
    """Whether the test fails once the mistake is made."""
    copy_sources()
    file = COPY / mutant.file
    text = file.read_text(encoding="utf-8")
    if text.count(mutant.right) != 1:
        sys.exit(f"{mutant.mistake}: {mutant.file} has {text.count(mutant.right)} places to make it, not one")
    file.write_text(text.replace(mutant.right, mutant.wrong), encoding="utf-8")
    return fails(mutant.test)


def main() -> None:
    """Makes the mistakes, one after the other."""
    missed = []
    for mutant in MUTANTS:
        began = time.monotonic()
        noticed = is_noticed(mutant)
        print(f"{'noticed' if noticed else 'MISSED'} in {time.monotonic() - began:.0f} s: {mutant.mistake}", flush=True)
        if not noticed:
            missed.append(mutant.mistake)
    if missed:
        sys.exit(f"{len(missed)} of {len(MUTANTS)} mistakes are not noticed")


if __name__ == "__main__":
    main()
