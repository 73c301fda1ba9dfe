"""Requests out of a connection's bytes, one by one: feed bytes, take requests or the refusal.

No I/O and no clock: deadlines look at ``stage``. Holds the bytes that are not yet a request.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple

from fleet_agent.httpd.chunked import ChunkedBody
from fleet_agent.httpd.parse import Head, More, read_head
from fleet_agent.httpd.refusal import Refusal, Sizes


class Arrived(NamedTuple):
    """One whole request."""

    head: Head
    body: bytes


class Stage(Enum):
    """What the reader has so far of the next request."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


class Reader:
    """One connection's incoming side.

    ``body_limit`` gives the most bytes that the body of such a request may have. After a refusal
    nothing more is read: where the next request would begin is not known.
    """

    __slots__ = (
        "_ask_at",
        "_at",
        "_body_limit",
        "_bound",
        "_chunks",
        "_data",
        "_have",
        "_head",
        "_parts",
        "_sizes",
        "_stopped",
        "wants_continue",
    )  # fmt: skip

    def __init__(self, sizes: Sizes, body_limit: Callable[[Head], int]) -> None:
        self._sizes = sizes
        self._body_limit = body_limit
        self._bound = sizes.line + sizes.fields + 8  # no head that is not refused is longer
        self._data = b""
        self._at = 0  # what lies before is done with
        self._ask_at = 0  # no decision about a head is possible before this many bytes
        self._head: Head | None = None
        self._chunks: ChunkedBody | None = None
        self._parts: list[bytes] = []  # of a body with a length
        self._have = 0  # bytes in them
        self._stopped = False
        self.wants_continue = False  # the peer holds its body back until it is told to go on

    @property
    def stage(self) -> Stage:
        """What there is of the next request."""
        if self._head is not None:
            return Stage.BODY
        return Stage.HEAD if len(self._data) > self._at else Stage.NOTHING

    @property
    def held(self) -> int:
        """Bytes held in memory for requests that are not whole yet."""
        chunks = self._chunks.held if self._chunks is not None else 0
        return len(self._data) - self._at + self._have + chunks

    def feed(self, data: bytes) -> None:
        """Add what came from the peer."""
        if self._stopped:
            return
        if self._parts:
            self._parts.append(data)
            self._have += len(data)
        elif self._at == len(self._data):
            self._data, self._at = data, 0
            self._ask_at = 0
        else:
            if b"\n" in data:
                self._ask_at = 0
            self._data = self._data[self._at :] + data
            self._at = 0

    def next(self) -> Arrived | Refusal | None:
        """The next request, or why there will be none, or None: more bytes are needed."""
        head = self._head
        if head is None:
            if self._at == len(self._data):
                return None
            refusal = self._read_head()
            if refusal is not None:
                return self._refuse(refusal)
            head = self._head
            if head is None:
                return None
            end = self._at + head.length
            if self._chunks is None and end <= len(self._data):  # all of it came at once
                body = self._data[self._at : end]
                self._at = end
                self._head = None
                self.wants_continue = False
                return Arrived(head, body)
        return self._read_body(head)

    def _read_head(self) -> Refusal | None:
        data, at = self._data, self._at
        if len(data) - at <= self._ask_at:
            return None
        end = data.find(b"\r\n\r\n", at, at + self._bound)
        end = at + self._bound if end < 0 else end + 4
        outcome = read_head(data[at:end].decode("latin-1"), self._sizes)
        if isinstance(outcome, More):
            self._ask_at = outcome.upto - 1
            return None
        if isinstance(outcome, Refusal):
            return outcome
        self._at = at + outcome.size
        self._ask_at = 0
        self._head = outcome
        if outcome.length == 0:
            return None
        most = self._body_limit(outcome)
        if outcome.length > most:
            return Refusal(413, f"a body of {outcome.length} bytes, over {most}")
        self.wants_continue = outcome.expects_continue
        if outcome.length < 0:
            self._chunks = ChunkedBody(self._sizes, most)
        return None

    def _read_body(self, head: Head) -> Arrived | Refusal | None:
        length = head.length
        if self._chunks is not None:
            taken = self._chunks.take(self._data, self._at)
            if isinstance(taken, Refusal):
                return self._refuse(taken)
            self._at = taken
            return self._done(head, self._chunks.body()) if self._chunks.whole else None
        if self._parts:
            if self._have < length:
                return None
            self._data, self._at = b"".join(self._parts), 0
            self._parts, self._have = [], 0
        end = self._at + length
        if end > len(self._data):
            # From here on the bytes are kept in parts: joining them again and again would cost
            # the square of the body.
            rest = self._data[self._at :]
            self._parts, self._have = [rest], len(rest)
            self._data, self._at = b"", 0
            return None
        body = self._data[self._at : end]
        self._at = end
        return self._done(head, body)

    def _done(self, head: Head, body: bytes) -> Arrived:
        self._head = None
        self._chunks = None
        self.wants_continue = False
        return Arrived(head, body)

    def _refuse(self, refusal: Refusal) -> Refusal:
        self.stop()
        return refusal

    def stop(self) -> None:
        """Give no further request, and hold nothing."""
        self._stopped = True
        self._data, self._at = b"", 0
        self._head = None
        self._chunks = None
        self._parts, self._have = [], 0
        self.wants_continue = False
