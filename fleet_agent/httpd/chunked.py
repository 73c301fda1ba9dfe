"""A body in chunks: framing bytes in, the body or a Refusal out (RFC 9112 section 7.1).

No I/O and no clock. Trailers are checked like header fields and dropped; extensions are dropped.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

from fleet_agent.httpd.fields import NOT_IN_TRAILERS, read_field
from fleet_agent.httpd.refusal import Refusal, Sizes

_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})([ \t]*;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_DIGITS: Final = 16


class _At(Enum):
    """What the next bytes are."""

    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()
    END = auto()


class ChunkedBody:
    """Takes a chunked body as it comes. ``most`` is the limit of the body's own bytes."""

    __slots__ = (
        "_extensions",
        "_missing",
        "_most",
        "_parts",
        "_sizes",
        "_state",
        "_trailers",
        "held",
    )

    def __init__(self, sizes: Sizes, most: int) -> None:
        self._sizes = sizes
        self._most = most
        self._state = _At.SIZE
        self._missing = 0  # bytes of the chunk at hand
        self._extensions = 0  # bytes of extensions so far
        self._trailers = (0, 0)  # bytes and lines of trailers so far
        self._parts: list[bytes] = []
        self.held = 0  # bytes of the body so far

    @property
    def whole(self) -> bool:
        """Whether the body has ended."""
        return self._state is _At.END

    def body(self) -> bytes:
        """The body; of use once it is whole."""
        return b"".join(self._parts)

    def take(self, data: bytes, at: int) -> int | Refusal:
        """Take from ``data`` beginning at ``at`` what can be taken; the place after that.

        What is left behind that place (part of a line) must come again, with more behind it.
        """
        while self._state is not _At.END:
            if self._state is _At.SIZE:
                after = self._size_line(data, at)
            elif self._state is _At.DATA:
                after = self._data(data, at)
            elif self._state is _At.DATA_END:
                after = self._data_end(data, at)
            else:
                after = self._trailer_line(data, at)
            if isinstance(after, Refusal):
                return after
            if after == at:
                break
            at = after
        return at

    def _size_line(self, data: bytes, at: int) -> int | Refusal:
        longest = _DIGITS + 2 + self._sizes.extensions - self._extensions
        end = data.find(b"\n", at, at + longest)
        if end < 0:
            return self._too_long() if len(data) - at >= longest else at
        line = _SIZE_LINE.fullmatch(data, at, end + 1)
        if line is None:
            return Refusal(400, "a chunk size that is not a hexadecimal number and CRLF")
        self._extensions += len(line[2] or b"")
        if self._extensions > self._sizes.extensions:
            return self._too_long()
        size = int(line[1], 16)
        if self.held + size > self._most:
            return Refusal(413, f"a body over {self._most} bytes")
        self._missing = size
        self._state = _At.DATA if size else _At.TRAILER
        return end + 1

    def _too_long(self) -> Refusal:
        return Refusal(400, f"chunk extensions over {self._sizes.extensions} bytes")

    def _data(self, data: bytes, at: int) -> int:
        part = data[at : at + self._missing]
        self._parts.append(part)
        self.held += len(part)
        self._missing -= len(part)
        if not self._missing:
            self._state = _At.DATA_END
        return at + len(part)

    def _data_end(self, data: bytes, at: int) -> int | Refusal:
        end = data[at : at + 2]
        if not b"\r\n".startswith(end):
            return Refusal(400, "a chunk that does not end where its size says")
        if len(end) < 2:
            return at
        self._state = _At.SIZE
        return at + 2

    def _trailer_line(self, data: bytes, at: int) -> int | Refusal:
        size, count = self._trailers
        end = data.find(b"\n", at)
        size += (len(data) if end < 0 else end + 1) - at
        if size > self._sizes.fields:
            return Refusal(431, f"trailer fields over {self._sizes.fields} bytes")
        if end < 0:
            return at
        if end == at or data[end - 1] != 13:
            return Refusal(400, "a line that ends without a carriage return", "end lines with CRLF")
        if end == at + 1:
            self._state = _At.END
            return end + 1
        field = read_field(data[at : end - 1].decode("latin-1"))
        if isinstance(field, Refusal):
            return field
        if field[0] in NOT_IN_TRAILERS:
            return Refusal(400, f"{field[0]} in a trailer", "send it in the header")
        if count >= self._sizes.most:
            return Refusal(431, f"more than {self._sizes.most} trailer fields")
        self._trailers = (size, count + 1)
        return end + 1
