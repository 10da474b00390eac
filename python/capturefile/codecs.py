"""Codecs, which convert records to objects and back.

    from capturefile import codecs

    with capturefile.open("orders.capture", "a", codec=codecs.msgspec(Order)) as orders:
        orders.add_record(Order(17, "Ada"))
        orders.commit()
        print(orders[-1].customer)

A codec is any object with the methods `encode` and `decode`; `Codec` is their type. Those of this module can be
pickled, so that sequences with them can be sent to other processes, and are equal if they do the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

    _Decode = Callable[[bytes], Any]
    _Encode = Callable[[Any], bytes]

__all__ = ["Codec", "json", "msgspec", "pydantic"]


def __dir__() -> list[str]:
    return sorted(__all__)


_T = TypeVar("_T")


class Codec(Protocol[_T]):
    """The type of `codec=`: an object with these two methods, which many threads may call at the same time."""

    def decode(self, record: bytes, /) -> _T:
        """Decodes a record. The call that reads raises its exceptions, with a note.

        Args:
            record: The bytes.

        Returns:
            The object.

        Examples:
            >>> from capturefile import codecs
            >>> codecs.json().decode(b'{"x": 1}')
            {'x': 1}
        """

    def encode(self, value: _T, /) -> Buffer:
        """Encodes an object as a record. The call that adds raises its exceptions.

        Args:
            value: The object.

        Returns:
            The bytes, or another object with the buffer protocol.

        Examples:
            >>> from capturefile import codecs
            >>> codecs.json().encode({"x": 1})
            b'{"x": 1}'
        """


class _Codec(Generic[_T]):
    """A codec that can be recreated, even in another process, by a function of this module and its arguments."""

    __slots__ = ("_arguments", "_function", "decode", "encode")

    decode: Callable[[bytes], _T]
    encode: Callable[[_T], bytes]

    def __init__(
        self, function: Callable[..., Codec[_T]], arguments: tuple[Any, ...], decode: _Decode, encode: _Encode
    ) -> None:
        self._function = function
        self._arguments = arguments
        self.decode = decode
        self.encode = encode

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Codec) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        return self._function, self._arguments

    def __repr__(self) -> str:
        return f"capturefile.codecs.{self._function.__name__}({', '.join(map(repr, self._arguments))})"

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Any, ...]]:
        return self._function, self._arguments


def json() -> Codec[Any]:
    """Returns a codec for JSON, by the standard library's module.

    Records are UTF-8 on one line, as the command and programs that read lines expect.

    Returns:
        The codec, for all objects that `json.dumps` accepts.

    Examples:
        >>> from capturefile import codecs
        >>> with capturefile.open("points.capture", "w", codec=codecs.json()) as points:
        ...     points.add_records([{"x": 1}, {"x": 2}])
        ...     points[2]["x"]
        ...     points.rollback()
        2
        2
    """
    from json import JSONDecoder, JSONEncoder

    decode, encode = JSONDecoder().decode, JSONEncoder(ensure_ascii=False).encode
    return _Codec(json, (), lambda record: decode(record.decode()), lambda value: encode(value).encode())


def msgspec(kind: type[_T], format: Literal["json", "msgpack"] = "json") -> Codec[_T]:  # noqa: A002 - its name there
    """Returns a codec for the types that msgspec supports, which is the fastest one for JSON.

    Args:
        kind: A `msgspec.Struct`, a dataclass, or any other type that `msgspec.json.Decoder` accepts.
        format: "json", or "msgpack" for MessagePack.

    Returns:
        The codec. Its `decode` raises `msgspec.ValidationError` for a record of another type.

    Raises:
        ModuleNotFoundError: msgspec is not installed.
        ValueError: There is no such format.

    Examples:
        >>> import msgspec
        >>> from capturefile import codecs
        >>> class Point(msgspec.Struct):
        ...     x: int
        >>> with capturefile.open("points.capture", "w", codec=codecs.msgspec(Point)) as points:
        ...     points.add_record(Point(1))
        ...     points[1]
        ...     points.rollback()
        1
        Point(x=1)
    """
    import msgspec as library

    if format not in ("json", "msgpack"):
        raise ValueError(f"format must be 'json' or 'msgpack', not {format!r}")
    module = library.json if format == "json" else library.msgpack
    return _Codec(msgspec, (kind, format), module.Decoder(kind).decode, module.Encoder().encode)


def pydantic(kind: type[_T]) -> Codec[_T]:
    """Returns a codec for the types that pydantic supports, as JSON.

    Args:
        kind: A `pydantic.BaseModel`, a dataclass, or any other type that `pydantic.TypeAdapter` accepts.

    Returns:
        The codec. Its `decode` raises `pydantic.ValidationError` for a record of another type.

    Raises:
        ModuleNotFoundError: pydantic is not installed.

    Examples:
        >>> import pydantic
        >>> from capturefile import codecs
        >>> class Point(pydantic.BaseModel):
        ...     x: int
        >>> with capturefile.open("points.capture", "w", codec=codecs.pydantic(Point)) as points:
        ...     points.add_record(Point(x=1))
        ...     points[1]
        ...     points.rollback()
        1
        Point(x=1)
    """
    from pydantic import TypeAdapter

    adapter: TypeAdapter[_T] = TypeAdapter(kind)
    return _Codec(pydantic, (kind,), adapter.validate_json, adapter.dump_json)
