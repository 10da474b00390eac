"""Consumers that continue where they stopped: exactly once into a capture file, at least once into anything else."""

from __future__ import annotations

import json
import os
import random
import threading
from pathlib import Path
from typing import Any

import capturefile
import consumers
import pytest
from capturefile import CaptureFile, checkpoint
from files import RefusedError, write
from processes import PATIENCE, act, wait_until

NAME = "test"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of ten records."""
    write(tmp_path / "source", *map(str, range(1, 11)))
    return tmp_path / "source"


def consume(source: Path, destination: Any, **options: Any) -> checkpoint.ExactlyOnceConsumer[str]:  # noqa: ANN401
    """A consumer with small batches that does not wait for the disk."""
    return checkpoint.consume(source, destination, **{"name": NAME, "batch_size": 4, "sync": "none", **options})


def copy(source: Path, destination: Path, **options: Any) -> list[list[str]]:  # noqa: ANN401
    """Copies the records that are not copied yet; returns the batches."""
    batches = []
    with consume(source, destination, **options) as consumer:
        for batch in consumer:
            batches.append(batch)
            consumer.add_all(batch)
    return batches


def metadata_of(path: Path) -> Any:  # noqa: ANN401
    """The metadata, decoded from JSON."""
    with CaptureFile(path) as cf:
        return json.loads(cf.get_metadata() or b"null")


def records_of(path: Path) -> list[str]:
    """All records."""
    with CaptureFile(path) as cf:
        return list(cf)


# Exactly once


@pytest.mark.usefixtures("both_formats")
def test_each_record_is_consumed_once_over_many_runs_of_the_consumer(source: Path, path: Path) -> None:
    assert copy(source, path) == [["1", "2", "3", "4"], ["5", "6", "7", "8"], ["9", "10"]]
    assert copy(source, path) == []
    write(source, "11")
    assert copy(source, path) == [["11"]]
    assert records_of(path) == records_of(source)


def test_killed_consumers_leave_the_source_transformed_exactly_once(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    kills = 200
    said = act(consumers.kill_transformers, tmp_path / "source", tmp_path / "results", kills, seed)
    progress = int(said[0].removeprefix("progress "))
    assert kills / 4 < progress, f"most kills came before there was anything to lose; seed {seed}"


def test_results_and_position_become_visible_together(source: Path, path: Path) -> None:
    with consume(source, path) as consumer:
        for batch in consumer:
            consumer.add_all(batch)
            with CaptureFile(path) as reader:
                done = consumer.position
                assert len(reader) == done
                metadata = json.loads(reader.get_metadata() or b"{}")
                assert metadata.get(checkpoint.KEY, {}).get(NAME, {"records": 0})["records"] == done
        assert (consumer.position, consumer.lag()) == (10, 0)


@pytest.mark.usefixtures("both_formats")
@pytest.mark.parametrize("ending", ["break", "raise", "close", "forget"])
def test_an_unfinished_batch_is_repeated(source: Path, path: Path, ending: str) -> None:
    def stop_in_second_batch(consumer: checkpoint.ExactlyOnceConsumer[str]) -> None:
        for batch in consumer:
            consumer.add(batch[0])
            if batch[0] == "5" and ending == "break":
                break
            if batch[0] == "5" and ending == "raise":
                raise RefusedError
            if batch[0] == "5":
                return

    try:
        with consume(source, path) as consumer:
            stop_in_second_batch(consumer)
            if ending == "close":
                consumer.close()
    except RefusedError:
        assert ending == "raise"
    assert records_of(path) == ["1"]
    assert copy(source, path) == [["5", "6", "7", "8"], ["9", "10"]]
    assert records_of(path) == ["1", *map(str, range(5, 11))]


def test_a_restarted_loop_discards_the_unfinished_batch(source: Path, path: Path) -> None:
    with consume(source, path) as consumer:
        for batch in consumer:
            consumer.add_all(batch)
            break
        for batch in consumer:
            consumer.add_all(batch)
    assert records_of(path) == records_of(source)


def test_a_commit_in_the_loop_finishes_the_batch(source: Path, path: Path) -> None:
    with consume(source, path) as consumer:
        for batch in consumer:
            consumer.add_all(batch)
            consumer.commit()
            break
    assert copy(source, path) == [["5", "6", "7", "8"], ["9", "10"]]
    assert records_of(path) == records_of(source)


def test_records_without_results_are_not_repeated(source: Path, path: Path) -> None:
    with consume(source, path) as consumer:
        for _ in consumer:
            pass
    assert (copy(source, path), records_of(path)) == ([], [])


@pytest.mark.usefixtures("both_formats")
def test_other_metadata_and_positions_of_other_consumers_stay(source: Path, tmp_path: Path, path: Path) -> None:
    write(path, metadata=b'{"owner": "Ada", "n": [1]}')
    write(tmp_path / "other", "a", "b")
    copy(source, path)
    copy(tmp_path / "other", path, name="another")
    found = metadata_of(path)
    assert {name: found[name] for name in ("owner", "n")} == {"owner": "Ada", "n": [1]}
    assert {name: position["records"] for name, position in found[checkpoint.KEY].items()} == {NAME: 10, "another": 2}
    with consume(source, path, name="third") as consumer:
        for batch in consumer:
            metadata = json.loads(consumer.destination.get_metadata() or b"{}")
            metadata["owner"] = f"up to {batch[-1]}"
            consumer.destination.set_metadata(json.dumps(metadata).encode())
    assert metadata_of(path)["owner"] == "up to 10"
    assert len(metadata_of(path)[checkpoint.KEY]) == 3


@pytest.mark.parametrize(
    "metadata",
    [b"no JSON", b"[1]", b"7", b"\xff", json.dumps({checkpoint.KEY: [1]}).encode()]
    + [json.dumps({checkpoint.KEY: {NAME: wrong}}).encode() for wrong in (7, {}, {"records": -1, "crc32": 0})],
)
def test_metadata_that_cannot_hold_a_position_is_refused_and_kept(source: Path, path: Path, metadata: bytes) -> None:
    write(path, "one", metadata=metadata)
    with pytest.raises(ValueError, match=path.name):
        consume(source, path)
    with CaptureFile(path, True) as cf:
        assert (list(cf), cf.get_metadata()) == (["one"], metadata)


@pytest.mark.usefixtures("both_formats")
def test_a_source_that_was_replaced_is_refused(source: Path, path: Path) -> None:
    copy(source, path)
    for records, message in [(["1", "2"], "has 2 records, of which 10"), ([*"1234567890", "11"], "record 10 of")]:
        capturefile.open(source, "w").close()
        write(source, *records)
        with pytest.raises(capturefile.CaptureFileReplaced, match=message):
            consume(source, path)
    CaptureFile(path, True).close()


def test_a_source_may_be_copied_elsewhere(source: Path, tmp_path: Path, path: Path) -> None:
    copy(source, path)
    (tmp_path / "copy").write_bytes(source.read_bytes())
    source.unlink()
    write(tmp_path / "copy", "11")
    assert copy(tmp_path / "copy", path) == [["11"]]


@pytest.mark.parametrize("opened", [False, True])
def test_a_source_is_not_its_own_destination(source: Path, path: Path, opened: bool) -> None:
    """By whatever name: its results would be records to consume, in an endless loop."""
    path.symlink_to(source)
    if opened:
        with CaptureFile(source, True) as destination, pytest.raises(ValueError, match="are the same file"):
            consume(path, destination)
    else:
        with pytest.raises(ValueError, match="are the same file"):
            consume(source, path)
        with pytest.raises(ValueError, match="does not contain the position of a consumer"):
            checkpoint.consume_at_least_once(source, path)
    assert records_of(source) == list(map(str, range(1, 11)))
    with CaptureFile(source, True):
        """Nothing is open any more."""


def test_a_consumer_has_one_instance_at_a_time(source: Path, path: Path) -> None:
    with consume(source, path), pytest.raises(capturefile.CaptureFileAlreadyOpen):
        consume(source, path)
    copy(source, path)


def test_an_open_destination_is_used_and_stays_open(source: Path, path: Path) -> None:
    with CaptureFile(path, True, encoding="latin-1", sync=False) as destination:
        with consume(source, destination) as consumer:
            for _ in consumer:
                consumer.add("ü")
        destination.add_record("more")
        destination.commit()
    with CaptureFile(path, encoding=None) as cf:
        assert list(cf) == [b"\xfc"] * 3 + [b"more"]
    with CaptureFile(path) as reader, pytest.raises(capturefile.CaptureFileNotOpenForWrite):
        for _ in consume(source, reader, name="another"):
            pass


def test_records_are_decoded_as_requested(tmp_path: Path, path: Path) -> None:
    with CaptureFile(tmp_path / "source", True) as cf:
        cf.add_records([b"Gr\xfc\xdfe", b"\xff"])
        cf.commit()
    assert copy(tmp_path / "source", path, encoding="latin-1") == [["Grüße", "ÿ"]]
    with CaptureFile(path, encoding=None) as results:
        assert list(results) == [b"Gr\xfc\xdfe", b"\xff"]
    with checkpoint.consume(tmp_path / "source", path, name="bytes", encoding=None) as consumer:
        assert list(consumer) == [[b"Gr\xfc\xdfe", b"\xff"]]
    with consume(tmp_path / "source", path, name="text") as wrong, pytest.raises(UnicodeDecodeError):
        next(iter(wrong))


def test_batches_are_bounded_in_bytes_too(tmp_path: Path, path: Path) -> None:
    large = "x" * 3_000_000
    write(tmp_path / "source", *[large] * 7)
    assert [len(batch) for batch in copy(tmp_path / "source", path, batch_size=1000)] == [3, 3, 1]


@pytest.mark.usefixtures("both_formats")
def test_a_following_consumer_continues_with_later_commits(source: Path, path: Path) -> None:
    def follow() -> None:
        with pytest.raises(capturefile.CaptureFileReplaced):
            copy(source, path, follow=True)
        ended.set()

    ended = threading.Event()
    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    wait_until(lambda: path.exists() and len(records_of(path)) == 10)
    write(source, "11", "12")
    wait_until(lambda: records_of(path) == records_of(source))
    assert thread.is_alive()
    source.unlink()
    assert ended.wait(PATIENCE)


def test_a_following_consumer_ends_after_a_timeout(source: Path, path: Path) -> None:
    assert len(copy(source, path, follow=True, timeout=0.05)) == 3


def test_a_source_that_is_replaced_while_it_is_followed_is_an_error(source: Path, path: Path) -> None:
    with consume(source, path, follow=True) as consumer:
        batches = iter(consumer)
        for _ in range(3):
            consumer.add_all(next(batches))
        capturefile.open(source, "w").close()
        with pytest.raises(capturefile.CaptureFileReplaced):
            next(batches)
    assert len(records_of(path)) == 10


def test_a_failed_commit_does_not_affect_the_next_consumer(source: Path, path: Path) -> None:
    with CaptureFile(path, True, sync=False) as destination:
        consumer = consume(source, destination)
        loop = iter(consumer)
        next(loop)
        consumer.add_all(os.urandom(50_000) for _ in range(10))
        with pytest.warns(capturefile.UncommittedWarning):
            destination.close()
        with pytest.raises(capturefile.CaptureFileNotOpen):
            next(loop)
        consumer.close()
    copy(source, path)
    assert records_of(path) == records_of(source)


@pytest.mark.filterwarnings("ignore::capturefile.UncommittedWarning")
def test_wrong_settings_are_refused_and_open_nothing(source: Path, path: Path) -> None:
    with pytest.raises(ValueError, match="batch_size"):
        consume(source, path, batch_size=0)
    with pytest.raises(FileNotFoundError):
        consume(source.parent / "missing", path)
    assert not path.exists()
    with pytest.raises(LookupError):
        consume(source, path, encoding="no such")


# At least once


def deliver(source: Path, cursor: Path, sink: list[str], **options: Any) -> None:  # noqa: ANN401
    """Delivers to a list."""
    with checkpoint.consume_at_least_once(source, cursor, batch_size=4, **options) as consumer:
        for batch in consumer:
            sink.extend(batch)


def test_a_cursor_file_records_what_was_delivered(source: Path, tmp_path: Path) -> None:
    cursor = tmp_path / "cursor"
    sink: list[str] = []
    for _ in range(2):
        deliver(source, cursor, sink)
        assert sink == records_of(source)
    write(source, "11")
    deliver(source, cursor, sink)
    assert sink == records_of(source)
    assert json.loads(cursor.read_text())["records"] == 11
    assert sorted(each.name for each in tmp_path.iterdir()) == ["cursor", "source"]


def test_killed_consumers_deliver_every_record_at_least_once(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    kills = 100
    paths = (tmp_path / name for name in ("source", "cursor", "sink"))
    said = act(consumers.kill_deliverers, *paths, kills, seed)
    progress = int(said[0].removeprefix("progress "))
    assert kills / 4 < progress, f"most kills came before there was anything to lose; seed {seed}"


def test_an_unfinished_batch_is_delivered_again(source: Path, tmp_path: Path) -> None:
    sink: list[str] = []

    class Failing(list[str]):
        def extend(self, batch: Any) -> None:  # noqa: ANN401
            sink.append(batch[0])
            if batch[0] == "5":
                raise RefusedError

    with pytest.raises(RefusedError):
        deliver(source, tmp_path / "cursor", Failing())
    deliver(source, tmp_path / "cursor", sink)
    assert sink == ["1", "5", *map(str, range(5, 11))]


@pytest.mark.parametrize("content", ["", "7", "[]", "null or not", '{"records": 1}', '{"records": "1", "crc32": 1}'])
def test_a_file_that_is_not_a_cursor_is_refused_and_kept(source: Path, tmp_path: Path, content: str) -> None:
    cursor = tmp_path / "cursor"
    cursor.write_text(content)
    with pytest.raises(ValueError, match="cursor"):
        deliver(source, cursor, [])
    assert cursor.read_text() == content


def test_a_cursor_file_belongs_to_its_source(source: Path, tmp_path: Path) -> None:
    deliver(source, tmp_path / "cursor", [])
    write(tmp_path / "another", *map(str, range(20)))
    with pytest.raises(capturefile.CaptureFileReplaced):
        deliver(tmp_path / "another", tmp_path / "cursor", [])


def test_a_cursor_file_that_cannot_be_written_is_an_error_and_leaves_nothing(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "cursor").mkdir()
    with pytest.raises(OSError, match="cursor"):
        deliver(source, folder / "cursor", [])
    missing = tmp_path / "missing" / "cursor"
    with pytest.raises(FileNotFoundError):
        deliver(source, missing, [])
    assert [each.name for each in folder.iterdir()] == ["cursor"]


def test_relative_paths_stay_valid_after_the_process_changes_its_working_folder(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with (
        consume(Path(source.name), Path("results")) as exactly,
        checkpoint.consume_at_least_once(source.name, "cursor", batch_size=4) as at_least,
    ):
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir("elsewhere")
        for batch in exactly:
            exactly.add_all(batch)
        assert len(list(at_least)) == 3
        write(source, "11")
        assert [*exactly, *at_least] == [["11"], ["11"]]
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert (tmp_path / "cursor").exists()
