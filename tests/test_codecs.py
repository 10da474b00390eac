"""Codecs: records that are objects."""

from __future__ import annotations

import asyncio
import multiprocessing
import pickle
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import capturefile
import pytest
from capturefile import CaptureFile, aio, codecs
from capturefile.checkpoint import consume, consume_at_least_once
from capturefile.rotating import RotatingReader, RotatingWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from capturefile.codecs import Codec


@dataclass(frozen=True)
class Order:
    """A record."""

    number: int


@dataclass(frozen=True)
class OrderCodec:
    """Stores orders as numbers; it cannot write those below 0, or read anything that is not a number."""

    def decode(self, record: bytes, /) -> Order:
        """Returns the order with this number."""
        assert type(record) is bytes
        return Order(int(record))

    def encode(self, value: Order, /) -> bytearray:
        """Returns the number of an order."""
        if value.number < 0:
            raise OverflowError("there are no negative orders")
        return bytearray(str(value.number).encode())


ORDERS = [Order(number) for number in range(1, 3001)]


@pytest.fixture
def orders(path: Path) -> CaptureFile[Order]:
    """A reader of a file with the orders, over several blocks."""
    with capturefile.open(path, "x", codec=OrderCodec(), compression_block_size=4096) as cf:
        assert cf.add_record(ORDERS[0]) == 1
        assert cf.add_records(iter(ORDERS[1:])) == 3000
        assert cf[-1] == ORDERS[-1]
        cf.commit()
    return capturefile.open(path, codec=OrderCodec())


def test_all_ways_to_read_give_objects(orders: CaptureFile[Order]) -> None:
    assert (orders.codec, orders.encoding, orders.errors) == (OrderCodec(), None, None)
    assert orders[1] == orders.record_at(1) == orders.record(1) == Order(1)
    assert orders[10:13] == [Order(10), Order(11), Order(12)]
    assert orders[13:10:-1] == [Order(13), Order(12), Order(11)]
    assert orders.records_at([3000, 1, 1500]) == [Order(3000), Order(1), Order(1500)]
    assert orders.read_range(2, 3) == [Order(2), Order(3)]
    assert list(orders) == ORDERS
    assert list(reversed(orders)) == ORDERS[::-1]
    assert list(orders.record_generator(2999)) == ORDERS[-2:]
    assert list(orders.follow(2999, timeout=0)) == ORDERS[-2:]
    assert orders.find(1700, key=lambda order: order.number) == 1700
    assert bytes(orders.read_range_buffers(10, 11)[1]) == b"1011"
    assert orders.as_arrow(1, 2, text=True) is not None
    assert "3000" in (orders._repr_html_() or "")


def test_a_reader_keeps_its_codec(orders: CaptureFile[Order]) -> None:
    orders.close()
    orders.open()
    assert orders[2] == Order(2)
    copy = pickle.loads(pickle.dumps(orders))
    assert (copy.codec, copy[2]) == (OrderCodec(), Order(2))


def first(records: Any) -> Any:  # noqa: ANN401 - in another process
    """The first record."""
    return records[0]


def test_sequences_and_concatenations_give_objects(orders: CaptureFile[Order], path: Path) -> None:
    sequence = orders.as_sequence()
    assert (sequence[0], list(sequence[::1000])) == (Order(1), [Order(1), Order(1001), Order(2001)])
    assert sequence.__getitems__([2, 0]) == [Order(3), Order(1)]
    both = capturefile.concat([path, path], codec=OrderCodec())
    assert list(both) == ORDERS * 2
    assert both[:3000] == sequence
    assert capturefile.concat([path], encoding=None) != sequence
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(first, [both[5:]]) == [Order(6)]


def test_a_follower_gives_objects_as_they_are_committed(path: Path) -> None:
    with capturefile.open(path, "x", codec=OrderCodec()) as cf:
        follower = cf.follow(1)
        cf.add_record(Order(1))
        cf.commit()
        assert next(follower) == Order(1)

    async def followed() -> list[Order]:
        return [order async for order in aio.follow(path, 1, timeout=0, codec=OrderCodec())]

    assert asyncio.run(followed()) == [Order(1)]

    async def appended() -> list[int]:
        async with aio.open(path, codec=OrderCodec()) as orders:
            return [await orders.append(Order(2)), await orders.append_many(ORDERS[2:4])]

    assert asyncio.run(appended()) == [2, 4]
    assert asyncio.run(followed()) == ORDERS[:4]


def test_rotated_logs_write_and_read_objects(tmp_path: Path) -> None:
    with RotatingWriter(tmp_path / "log", codec=OrderCodec()) as log:
        for number in (1, 3):
            log.add_records([Order(number), Order(number + 1)])
            log.commit()
            log.rotate()
        log.add_record(Order(5))
        log.commit()
    reader = RotatingReader(tmp_path / "log", codec=OrderCodec())
    assert reader[1:] == list(reader) == ORDERS[:5]
    assert (reader[-1], reader.as_sequence()[1]) == (Order(5), Order(2))
    assert list(reader.follow(1, timeout=0)) == ORDERS[:5]
    assert pickle.loads(pickle.dumps(reader))[3] == Order(3)


def test_consumers_read_objects_and_their_destination_has_its_own_codec(
    orders: CaptureFile[Order], path: Path, tmp_path: Path
) -> None:
    with (
        capturefile.open(tmp_path / "results", "x", codec=codecs.json()) as results,
        consume(path, results, name="sums", codec=OrderCodec(), batch_size=1000) as consumer,
    ):
        for batch in consumer:
            consumer.add({"sum": sum(order.number for order in batch)})
        assert results[:] == [{"sum": 500500}, {"sum": 1500500}, {"sum": 2500500}]
    with consume_at_least_once(path, tmp_path / "cursor", codec=OrderCodec()) as delivery:
        assert [order for batch in delivery for order in batch] == ORDERS


def test_an_error_in_decoding_names_the_record(path: Path, tmp_path: Path) -> None:
    with capturefile.open(path, "x") as texts:
        texts.add_records(["1", "two", "3"])
        texts.commit()
    cf = capturefile.open(path, codec=OrderCodec())
    reads: list[Callable[[], object]] = [
        lambda: cf[2],
        lambda: cf[:],
        lambda: list(cf),
        lambda: cf.records_at([3, 2]),
        lambda: list(cf.follow(1, timeout=0)),
        lambda: list(consume_at_least_once(path, tmp_path / "cursor", codec=OrderCodec())),
    ]
    for read in reads:
        with pytest.raises(ValueError, match="invalid literal") as raised:
            read()
        assert raised.value.__notes__ == [f'while decoding record 2 of "{path}"']
    records = iter(cf)
    assert next(records) == Order(1)
    with pytest.raises(ValueError, match="invalid literal"):
        next(records)
    assert next(records) == Order(3)


def test_an_error_in_encoding_adds_nothing_from_the_call(path: Path) -> None:
    with capturefile.open(path, "x", codec=OrderCodec()) as cf:
        with pytest.raises(OverflowError, match="no negative orders"):
            cf.add_record(Order(-1))
        with pytest.raises(OverflowError, match="no negative orders"):
            cf.add_records([Order(1), Order(-1)])
        assert len(cf) == 0
    for wrong in ("text", None, 5):
        with capturefile.open(path, "a", codec=Returning(wrong)) as cf:
            with pytest.raises(TypeError, match="encode of a codec must return a bytes-like object, not"):
                cf.add_record(Order(1))
            assert len(cf) == 0


class Returning:
    """A codec whose `encode` always returns the same value."""

    def __init__(self, value: Any) -> None:  # noqa: ANN401 - also what is wrong
        self.value = value

    def decode(self, record: bytes, /) -> Any:  # noqa: ANN401
        """Returns the record."""
        return record

    def encode(self, value: Any, /) -> Any:  # noqa: ANN401
        """Returns the value."""
        return self.value


def test_a_codec_also_encodes_bytes_and_text(path: Path) -> None:
    with capturefile.open(path, "x", codec=Returning(b"encoded")) as cf:
        cf.add_records([b"bytes", "text", bytearray(b"array")])
        cf.commit()
        assert cf[:] == [b"encoded"] * 3


def test_settings_that_cannot_be_combined_with_a_codec_are_refused(path: Path, tmp_path: Path) -> None:
    capturefile.open(path, "x").close()
    openers: list[Callable[..., object]] = [capturefile.open, CaptureFile]
    for wrong in ({"encoding": "latin-1"}, {"errors": "replace"}):
        for opener in openers:
            with pytest.raises(ValueError, match="codec"):
                opener(path, codec=codecs.json(), **wrong)
    with pytest.raises(ValueError, match="with a codec records are not text"):
        consume_at_least_once(path, tmp_path / "cursor", codec=codecs.json(), errors="replace")  # type: ignore[call-overload]
    for codec in (object(), int, codecs):
        with pytest.raises(TypeError, match="a codec must have the methods decode and encode"):
            capturefile.open(path, codec=codec)  # type: ignore[call-overload]
    assert capturefile.open(path, encoding=None, codec=codecs.json()).codec == codecs.json()  # type: ignore[call-overload]


def test_json_is_utf_8_on_one_line(path: Path) -> None:
    values = [{"a": [1, 2.5, None, True, "é\n"]}, [], "text", 7]
    with capturefile.open(path, "x", codec=codecs.json()) as cf:
        cf.add_records(values)
        cf.commit()
        assert cf[:] == values
        with pytest.raises(TypeError, match="not JSON serializable"):
            cf.add_record(object())
    assert capturefile.open(path)[1] == '{"a": [1, 2.5, null, true, "é\\n"]}'


def predefined_codecs() -> list[tuple[Codec[Any], Any, bytes]]:
    """The predefined codecs, each with a value and its encoded bytes."""
    pytest.importorskip("msgspec")
    pydantic = pytest.importorskip("pydantic")
    Point = pydantic.create_model("Point", x=(int, ...))  # noqa: N806 - it is a class
    return [
        (codecs.json(), {"number": 1}, b'{"number": 1}'),
        (codecs.msgspec(Order), Order(1), b'{"number":1}'),
        (codecs.msgspec(Order, "msgpack"), Order(1), b"\x81\xa6number\x01"),
        (codecs.pydantic(Order), Order(1), b'{"number":1}'),
        (codecs.pydantic(Point), Point(x=1), b'{"x":1}'),
    ]


def test_predefined_codecs_decode_what_they_encode(tmp_path: Path) -> None:
    for index, (codec, value, record) in enumerate(predefined_codecs()):
        path = tmp_path / f"{index}.capture"
        with capturefile.open(path, "x", codec=codec) as cf:
            cf.add_record(value)
            cf.commit()
            assert cf[1] == value
        assert capturefile.open(path, encoding=None)[1] == record
    for codec, wrong in ((codecs.msgspec(Order), b'{"number": "x"}'), (codecs.pydantic(Order), b"{}")):
        with capturefile.open(tmp_path / "wrong", "w", encoding=None) as cf:
            cf.add_record(wrong)
            cf.commit()
        with pytest.raises(ValueError, match=r".") as raised:
            capturefile.open(tmp_path / "wrong", codec=codec)[1]
        assert type(raised.value).__name__ == "ValidationError"
        assert raised.value.__notes__ == [f'while decoding record 1 of "{tmp_path / "wrong"}"']


def test_predefined_codecs_can_be_pickled_and_compared() -> None:
    for codec, value, record in predefined_codecs()[:4]:
        copy = pickle.loads(pickle.dumps(codec))
        assert (copy, hash(copy), repr(copy)) == (codec, hash(codec), repr(codec))
        assert (copy.decode(record), copy.encode(value)) == (value, record)
    assert codecs.msgspec(Order) != codecs.pydantic(Order)
    assert repr(codecs.msgspec(Order, "msgpack")).startswith("capturefile.codecs.msgspec(<class ")
    with pytest.raises(ValueError, match="format must be 'json' or 'msgpack'"):
        codecs.msgspec(Order, "yaml")  # type: ignore[arg-type]


def test_a_codec_lives_as_long_as_its_readers(path: Path) -> None:
    with capturefile.open(path, "x", codec=Returning(b"encoded")) as cf:
        cf.add_records([None] * 3)
        cf.commit()
    codec = Returning(None)
    before = sys.getrefcount(codec)
    reader = capturefile.open(path, codec=codec)
    records = iter(reader)
    reader.close()
    del reader
    assert list(records) == [b"encoded"] * 3
    del records
    assert sys.getrefcount(codec) == before
