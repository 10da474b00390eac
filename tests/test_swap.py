"""Files that are moved into a folder together, even if that is interrupted at any point."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from capturefile import _swap
from capturefile._swap import Swap, part_names
from files import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = 8
"""Calls that change something in the swap of `prepare`: one folder, three files out, three files in, one sync."""


def prepare(folder: Path) -> tuple[Swap, dict[str, Path]]:
    """A folder with the files a, b and c, and a job that replaces them by b, c and d."""
    for name in "abc":
        (folder / name).write_text("old")
    swap = Swap(str(folder), "job")
    swap.aside.mkdir()
    for name in "bcd":
        (swap.aside / name).write_text("new")
    return swap, {name: swap.aside / name for name in "bcd"}


def contents(folder: Path) -> dict[str, str]:
    """The files of a folder."""
    return {path.name: path.read_text() for path in sorted(folder.iterdir()) if path.is_file()}


OLD = dict.fromkeys("abc", "old")
NEW = dict.fromkeys("bcd", "new")


def fail_at(step: int, patch: pytest.MonkeyPatch, error: Callable[[], BaseException]) -> None:
    """Makes one of the calls that change something raise an error instead."""
    left = step

    def failing(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
            nonlocal left
            left -= 1
            if left == 0:
                raise error()
            return call(*arguments, **options)

        return wrapped

    for owner, name in ((Path, "mkdir"), (Path, "rename"), (_swap, "sync_path")):
        patch.setattr(owner, name, failing(getattr(owner, name)))


def test_files_are_replaced_together(tmp_path: Path) -> None:
    swap, new = prepare(tmp_path)
    swap.run(new, "abc")
    assert contents(tmp_path) == NEW
    swap.clear()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NEW)


@pytest.mark.parametrize("error", [RefusedError, KeyboardInterrupt])
@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_failed_swap_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, error: type[BaseException]
) -> None:
    swap, new = prepare(tmp_path)
    with monkeypatch.context() as patch:
        fail_at(step, patch, error)
        with pytest.raises(error):
            swap.run(new, "abc")
    assert contents(tmp_path) == OLD
    assert not swap.has_begun()
    swap.run(new, "abc")
    assert contents(tmp_path) == NEW


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_swap_whose_process_died_is_continued_or_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    swap, new = prepare(tmp_path)
    with monkeypatch.context() as patch:
        fail_at(step, patch, RefusedError)
        patch.setattr(Swap, "undo", lambda *_: None)
        with pytest.raises(RefusedError):
            swap.run(new, "abc")
    if step % 2:
        swap.undo(new)
        assert contents(tmp_path) == OLD
    swap.run(new, [path.name for path in tmp_path.iterdir() if path.is_file()])
    assert contents(tmp_path) == NEW


def test_nothing_is_moved_if_a_new_file_is_missing(tmp_path: Path) -> None:
    swap, new = prepare(tmp_path)
    new["c"].unlink()
    with pytest.raises(FileNotFoundError, match="was written by a task, but does not exist on"):
        swap.run(new, "abc")
    assert contents(tmp_path) == OLD
    assert not swap.has_begun()


@pytest.mark.parametrize("count", [1, 99_999, 100_001, 1_000_001])
def test_names_of_parts_sort_like_their_numbers(count: int) -> None:
    indices = sorted({0, 9, 10, count // 2, count - 2, count - 1} & set(range(count)))
    names = part_names("part-", indices)
    assert sorted(names.values()) == [names[index] for index in indices]
    assert names[indices[-1]].endswith(f"{count - 1}.capture")
    assert part_names("part-", [0]) == {0: "part-00000.capture"}
