"""One kept connection to another daemon, on the loop: requests go out, answers come in order.

HTTP/1.1 with Content-Length, as our own server speaks it. Never blocks, never resolves a name.
Not for trying again: whoever owns it is told why it closed, and decides.
"""

from __future__ import annotations

import contextlib
import errno
import re
import socket
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fleet_agent.httpd.client import ClientResponse
from fleet_agent.httpd.fields import read_field
from fleet_agent.httpd.loop import Loop, Timer
from fleet_agent.httpd.outgoing import Outgoing
from fleet_agent.httpd.refusal import Refusal
from fleet_agent.httpd.types import Headers

if TYPE_CHECKING:
    from fleet_agent.httpd.tls import Secured

_STATUS_LINE: Final = re.compile(r"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?")
_LENGTH: Final = re.compile(r"[0-9]{1,15}")
_RECEIVE_BYTES: Final = 64 * 1024
_HEAD_BYTES: Final = 64 * 1024
_NO_BODY: Final = (204, 304)

Answered = Callable[[ClientResponse], None]


class Address(NamedTuple):
    """Where to connect: a socket family and its address, and what the Host field says."""

    family: int
    place: Any
    host: str


class Times(NamedTuple):
    """Seconds: to connect, and from a request (or the answer before) to its answer."""

    connect: float
    answer: float


class Pipeline:
    """One connection. ``closed(why)`` is called once when it is no more; requests whose answers
    did not come are then forgotten, and it is unknown what became of them."""

    def __init__(
        self,
        loop: Loop,
        address: Address,
        times: Times,
        closed: Callable[[str], None],
        *,
        secured: Secured | None = None,
        body_limit: int = 4 << 20,
    ) -> None:
        self._loop = loop
        self._host = address.host
        self._times = times
        self._closed = closed
        self._limit = body_limit
        self._secured = secured
        self._waiting: deque[Answered] = deque()
        self._data = bytearray()
        self._head: tuple[int, Headers, int, int] | None = None  # status, fields, start, end
        self._early: list[bytes] | None = []  # requests that wait for the connection
        self._ended = False
        self.answers = 0
        self._socket = socket.socket(address.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._fd = self._socket.fileno()
        self._outgoing = Outgoing(loop, self._socket, lambda: None, self.close)
        self._timer: Timer = loop.call_later(times.connect, self._late)
        self._moved_at = loop.now
        code = self._socket.connect_ex(address.place)
        if code in (0, errno.EINPROGRESS):
            loop.add_writer(self._fd, self._connected)
        else:
            # Told in the next turn: the owner does not hold us yet.
            loop.call_next_turn(lambda: self.close(f"connecting: {_words(code)}"))

    @property
    def waiting(self) -> int:
        """Requests without their answers."""
        return len(self._waiting)

    def send(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]],
        body: bytes,
        answered: Answered,
    ) -> None:
        """Send a request behind those that were sent before; ``answered`` gets its answer."""
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
        length = f"Content-Length: {len(body)}\r\n" if body or method != "GET" else ""
        head = f"{method} {target} HTTP/1.1\r\nHost: {self._host}\r\n{length}{fields}\r\n"
        data = head.encode("ascii") + body
        if not self._waiting:
            self._moved_at = self._loop.now
        self._waiting.append(answered)
        if self._early is not None:
            self._early.append(data)
        else:
            self._send(data)

    def close(self, why: str) -> None:
        """Close at once."""
        if self._ended:
            return
        self._ended = True
        self._take_leave()
        self._timer.cancel()
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._outgoing.stop()
        self._socket.close()
        self._waiting.clear()
        self._closed(why)

    # Connecting.

    def _connected(self) -> None:
        self._loop.remove_writer(self._fd)
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self.close(f"connecting: {_words(code)}")
            return
        if self._socket.family != socket.AF_UNIX:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop.add_reader(self._fd, self._readable)
        if self._secured is None:
            self._open()
        else:
            self._unsealed(self._secured, b"")

    def _open(self) -> None:
        """Send what waited for the connection, and for TLS where that is spoken."""
        self._moved_at = self._loop.now
        self._timer.cancel()
        self._timer = self._loop.call_later(self._times.answer, self._late)
        early, self._early = self._early or [], None
        if early:
            self._send(b"".join(early))

    def _send(self, data: bytes) -> None:
        self._outgoing.send(data if self._secured is None else self._secured.seal(data))

    def _unsealed(self, secured: Secured, data: bytes) -> bytes:
        """The plain bytes in ``data``; closes when TLS does not come about."""
        plain = secured.feed(data)
        if replies := secured.replies():
            self._outgoing.send(replies)
        if secured.broken:
            self.close(secured.broken)
        elif secured.open and self._early is not None and not self._ended:
            self._open()
        return plain

    def _take_leave(self) -> None:
        if self._secured is None or self._outgoing.unsent or self._early is not None:
            return
        with contextlib.suppress(OSError):  # gone, or full: the connection's end tells it as well
            self._socket.send(self._secured.goodbye())

    def _late(self) -> None:
        if self._early is not None:
            self.close(f"connecting: not within {self._times.connect:g} s")
            return
        left = self._times.answer - (self._loop.now - self._moved_at)
        if self._waiting and left <= 0:
            self.close(f"no answer within {self._times.answer:g} s")
            return
        again = left if self._waiting else self._times.answer
        self._timer = self._loop.call_later(max(again, 0.01), self._late)

    # Answers.

    def _readable(self) -> None:
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self.close(f"reading: {error.strerror}")
            return
        if not data:
            self.close("the other side closed")
            return
        if self._secured is not None:
            data = self._unsealed(self._secured, data)
        self._data += data
        while not self._ended and self._data:
            if not self._one():
                break
        if self._secured is not None and self._secured.ended:
            self.close("the other side closed")

    def _one(self) -> bool:
        """Take one whole answer; False while there is none."""
        if self._head is None:
            self._head = self._read_head()
            if self._head is None:
                return False
        status, headers, start, end = self._head
        if len(self._data) < end:
            return False
        body = bytes(self._data[start:end])
        del self._data[:end]
        self._head = None
        if status < 200:
            return True
        if not self._waiting:
            self.close("an answer that nobody asked for")
            return False
        self._moved_at = self._loop.now
        self.answers += 1
        self._waiting.popleft()(ClientResponse(status, headers, body))
        if (headers.get_lower("connection") or "").lower() == "close":
            self.close("the other side closes")
        return not self._ended

    def _read_head(self) -> tuple[int, Headers, int, int] | None:
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            if len(self._data) > _HEAD_BYTES:
                self.close("a header that does not end")
            return None
        lines = self._data[:end].decode("latin-1").split("\r\n")
        first = _STATUS_LINE.fullmatch(lines[0])
        pairs = [read_field(line) for line in lines[1:]]
        fields = [pair for pair in pairs if not isinstance(pair, Refusal)]
        if first is None or len(fields) != len(pairs):
            self.close("what answers there speaks no HTTP")
            return None
        status, headers = int(first[1]), Headers.lowered(fields)
        if status < 200 or status in _NO_BODY:
            return status, headers, end + 4, end + 4
        text = headers.get_lower("content-length") or ""
        if _LENGTH.fullmatch(text) is None or int(text) > self._limit:
            self.close("an answer without a length, or with too large a one")
            return None
        return status, headers, end + 4, end + 4 + int(text)


def _words(code: int) -> str:
    import os

    return os.strerror(code)
