"""One HTTP/1.1 exchange on the loop, with whatever server is at a literal address; never blocks.

For handlers on loopback, which are other people's programs: whichever framing HTTP/1 has is taken.
Between daemons a kept connection is better (``pipeline``).
"""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Callable
from typing import Final

from fleet_agent.httpd.chunked import ChunkedBody
from fleet_agent.httpd.client import BadAnswer, ClientResponse, NoAnswer
from fleet_agent.httpd.dial import Url
from fleet_agent.httpd.fields import read_field
from fleet_agent.httpd.loop import Loop, Timer
from fleet_agent.httpd.outgoing import Outgoing
from fleet_agent.httpd.refusal import Refusal, Sizes
from fleet_agent.httpd.types import Headers

_STATUS_LINE: Final = re.compile(r"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?")
_LENGTH: Final = re.compile(r"[0-9]{1,15}")
_SIZES: Final = Sizes(line=8192, fields=65536, most=200, extensions=4096)
_RECEIVE_BYTES: Final = 64 * 1024
_NO_BODY: Final = (204, 304)


class NobodyThere(NoAnswer):
    """Nothing listens there: what was to be sent was not."""


# Gets the answer, or why there is none.
Heard = Callable[[ClientResponse | NoAnswer | BadAnswer], None]


class Exchange:
    """POST ``body`` to ``url``, whose host is an address.

    ``heard`` is called once, in a later turn, within ``seconds``; an answer's body may have
    ``most_bytes``.
    """

    def __init__(
        self,
        loop: Loop,
        url: Url,
        body: bytes,
        heard: Heard,
        *,
        seconds: float,
        most_bytes: int,
        media: str,
    ) -> None:
        self._loop = loop
        self._url = url
        self._heard: Heard | None = heard
        self._most = most_bytes
        self._data = bytearray()
        head = (
            f"POST {url.target} HTTP/1.1\r\nHost: {url.authority}\r\nContent-Type: {media}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self._message = head.encode("ascii") + body
        family = socket.AF_INET6 if ":" in url.host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._fd = self._socket.fileno()
        # A server that answers before it has read everything closes on us: reading tells.
        self._outgoing = Outgoing(loop, self._socket, lambda: None, lambda _: None)
        self._timer: Timer = loop.call_later(
            seconds, lambda: self._end(self._none(f"no answer within {seconds:g} s"))
        )
        code = self._socket.connect_ex((url.host, url.port))
        if code in (0, errno.EINPROGRESS):
            loop.add_writer(self._fd, self._connected)
        else:
            loop.call_next_turn(lambda: self._end(self._nobody(code)))

    def cancel(self) -> None:
        """Nobody wants the answer any more."""
        self._heard = None
        self._close()

    def _connected(self) -> None:
        self._loop.remove_writer(self._fd)
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._end(self._nobody(code))
            return
        self._loop.add_reader(self._fd, self._readable)
        self._outgoing.send(self._message)

    def _readable(self) -> None:
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(self._none(error.strerror or str(error)))
            return
        self._data += data
        try:
            answer = self._answer(ended=not data)
        except BadAnswer as error:
            self._end(error)
            return
        if answer is not None:
            self._end(answer)
        elif not data:
            self._end(self._none("the connection ended before the answer did"))

    def _answer(self, *, ended: bool) -> ClientResponse | None:
        """The answer, if it is whole. Raises BadAnswer."""
        at = 0
        while True:
            end = self._data.find(b"\r\n\r\n", at)
            if end < 0:
                if len(self._data) - at > _SIZES.fields:
                    raise self._bad(f"a header over {_SIZES.fields} bytes")
                return None
            status, headers = self._head(bytes(self._data[at:end]))
            at = end + 4
            if status >= 200:
                body = self._body(status, headers, bytes(self._data[at:]), ended=ended)
                return None if body is None else ClientResponse(status, headers, body)

    def _head(self, data: bytes) -> tuple[int, Headers]:
        lines = data.decode("latin-1").split("\r\n")
        first = _STATUS_LINE.fullmatch(lines[0])
        pairs = [read_field(line) for line in lines[1:]]
        fields = [pair for pair in pairs if not isinstance(pair, Refusal)]
        if first is None or len(fields) != len(pairs):
            raise self._bad("what answers there speaks no HTTP")
        return int(first[1]), Headers.lowered(fields)

    def _body(self, status: int, headers: Headers, data: bytes, *, ended: bool) -> bytes | None:
        if status in _NO_BODY:
            return b""
        if headers.get_lower("transfer-encoding") is not None:
            chunks = ChunkedBody(_SIZES, self._most)
            taken = chunks.take(data, 0)
            if isinstance(taken, Refusal):
                raise self._bad(taken.what)
            return chunks.body() if chunks.whole else None
        text = headers.get_lower("content-length")
        if text is not None and _LENGTH.fullmatch(text) is None:
            raise self._bad("a Content-Length that is no number")
        length = len(data) if text is None else int(text)
        if length > self._most:
            raise self._bad(f"a body over {self._most} bytes")
        whole = ended if text is None else len(data) >= length
        return data[:length] if whole else None

    def _nobody(self, code: int) -> NobodyThere:
        return NobodyThere(os.strerror(code), where=self._url.authority)

    def _none(self, what: str) -> NoAnswer:
        return NoAnswer(what, where=self._url.authority)

    def _bad(self, what: str) -> BadAnswer:
        return BadAnswer(what, where=self._url.authority)

    def _end(self, what: ClientResponse | NoAnswer | BadAnswer) -> None:
        self._close()
        heard, self._heard = self._heard, None
        if heard is not None:
            heard(what)

    def _close(self) -> None:
        if self._socket.fileno() < 0:
            return
        self._timer.cancel()
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._outgoing.stop()
        self._socket.close()
