"""Decoding many records that were read as bytes."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capturefile.codecs import Codec


@dataclass(frozen=True)
class Decoder:
    """Decodes records, with the parameters of `CaptureFile`; without an encoding or a codec they stay bytes."""

    encoding: str | None
    errors: str | None = None
    codec: Codec[Any] | None = None

    def __post_init__(self) -> None:
        """Checks the parameters.

        Raises:
            LookupError: There is no such encoding or error handler.
            ValueError: There is an error handler, but no encoding.
        """
        if self.codec is not None and self.errors is not None:
            raise ValueError("errors is only for text, but with a codec records are not text")
        if self.encoding is not None:
            codecs.lookup(self.encoding)
        elif self.errors is not None:
            raise ValueError("errors is only for text, but with encoding=None records are bytes")
        codecs.lookup_error(self.errors or "strict")

    def decode(self, records: list[bytes], first: int, path: str) -> list[Any]:
        """Decodes the records from number `first` on of the file at `path`.

        Raises:
            UnicodeDecodeError: A record cannot be decoded; the message contains its number.
            Exception: Any exception of the codec, with a note that contains the number.
        """
        if self.codec is not None:
            return [*_decoded(self.codec, records, first, path)]
        if self.encoding is None:
            return records
        texts = []
        for number, record in enumerate(records, first):
            try:
                texts.append(record.decode(self.encoding, self.errors or "strict"))
            except UnicodeDecodeError as error:
                error.reason += f', in record {number} of "{path}"'
                raise
        return texts


def _decoded(codec: Codec[Any], records: list[bytes], first: int, path: str) -> Iterator[Any]:
    for number, record in enumerate(records, first):
        try:
            yield codec.decode(record)
        except Exception as error:
            error.add_note(f'while decoding record {number} of "{path}"')
            raise
