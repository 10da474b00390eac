"""Indexes that are capture files without damage, but say what no index says: they are refused or made again."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import capturefile
import pytest
from capturefile._index.contents import CONSUMER, KEY
from capturefile.checkpoint.consumers import KEY as CHECKPOINTS
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 6000
NUMBERS: st.SearchStrategy[Any] = st.sampled_from(
    [-1, 0, 1, 2, 127, 128, 2**22, 2**31, 2**32, 2**63 - 1, 2**64, 10**30]
) | st.integers(0, 200)
VALUES: st.SearchStrategy[Any] = NUMBERS | st.sampled_from(
    [None, True, 1.5, "", "n", [], [[1, 2]], {}, [1, 2, 3, 4, [], [[1, 1]]]]
)


class Sound(NamedTuple):
    """A file with an index, and what the index is."""

    path: Path
    place: Path
    content: bytes
    metadata: dict[str, Any]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """A file with an index of two keys, in three runs."""
    path = tmp_path_factory.mktemp("forged") / "log.capture"
    for start in range(1, COUNT, 2000):
        with capturefile.open(path, "a", sync="none") as cf:
            cf.add_records(json.dumps({"n": n, "t": f"text {n % 700}"}) + " " * 60 for n in range(start, start + 2000))
            cf.commit()
        capturefile.index(path, "n", "t")
    index = path.with_name("log.capture.index")
    with capturefile.open(index, encoding=None) as cf:
        return Sound(path, index, index.read_bytes(), json.loads(cf.get_metadata() or b""))


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The keys that lead to each value in a JSON document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(each for key, part in inner for each in places(part, (*path, key)))]


def found(path: Path, key: str, value: object) -> list[int]:
    """The numbers of the records that `find_all` finds."""
    with capturefile.open(path) as cf:
        return [number for number, _ in cf.find_all(key, value)]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_forged_contents_hide_and_repeat_nothing(sound: Sound, data: st.DataObject) -> None:
    changed = copy.deepcopy(sound.metadata)
    for _ in range(data.draw(st.integers(1, 3))):
        known = [way for way in places(changed) if way[:1] == (KEY,) or way[:2] == (CHECKPOINTS, CONSUMER)]
        *way, key = data.draw(st.sampled_from(known))
        inner: Any = changed
        for step in way:
            inner = inner[step]
        inner[key] = copy.deepcopy(data.draw(VALUES | st.sampled_from(sound.metadata[KEY]["runs"])))
    sound.place.write_bytes(sound.content)
    with capturefile.open(sound.place, "a", encoding=None, sync="none") as index:
        index.set_metadata(json.dumps(changed).encode())
        index.commit()
    for key, value, expected in (("n", 3210, [3210]), ("t", "text 650", list(range(650, COUNT, 700)))):
        assert found(sound.path, key, value) == expected
