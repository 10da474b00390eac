"""The types of a codec's records, for a type checker: mypy fails if one of them is not as stated here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_type

import capturefile
from capturefile import CaptureFile, Follower, RecordIterator, aio, checkpoint, codecs
from capturefile.rotating import RotatingFollower, RotatingReader

if TYPE_CHECKING:
    from pathlib import Path

    from capturefile.codecs import Codec


@dataclass
class Order:
    """A record."""

    number: int


class OrderCodec:
    """A user-defined codec."""

    def decode(self, record: bytes, /) -> Order:
        """Returns the order with this number."""
        return Order(int(record))

    def encode(self, value: Order, /) -> bytes:
        """Returns the number of an order."""
        return str(value.number).encode()


def check_types(path: Path, codec: Codec[Order]) -> None:
    """Only for the type checker; it is not called."""
    cf = capturefile.open(path, codec=codec)
    assert_type(cf, CaptureFile[Order])
    assert_type(CaptureFile(path, codec=OrderCodec()), CaptureFile[Order])
    assert_type(cf[1], Order)
    assert_type(cf[1:], list[Order])
    assert_type(cf.record_at(1), Order)
    assert_type(cf.codec, "Codec[Order] | None")
    assert_type(cf.record_generator(), RecordIterator[Order])
    assert_type(cf.follow(), Follower[Order])
    assert_type(cf.as_sequence()[0], Order)
    assert_type(capturefile.concat([path], codec=codec)[0], Order)
    assert_type(RotatingReader(path, codec=codec)[1], Order)
    assert_type(RotatingReader(path, codec=codec).follow(), RotatingFollower[Order])
    assert_type(aio.follow(path, codec=codec), aio.Follower[Order])
    assert_type(list(checkpoint.consume(path, path, name="a", codec=codec)), list[list[Order]])
    assert_type(list(checkpoint.consume_at_least_once(path, path, codec=codec)), list[list[Order]])
    assert_type(codecs.msgspec(Order), "Codec[Order]")
    assert_type(codecs.pydantic(Order), "Codec[Order]")
    cf.add_record(Order(1))
    cf.add_records([Order(1)])
    cf.add_record("text")  # type: ignore[arg-type]
    capturefile.open(path).add_record(Order(1))  # type: ignore[call-overload]
    capturefile.open(path, encoding=None).add_record("text")
    capturefile.open(path, encoding="latin-1", codec=codec)  # type: ignore[call-overload]
