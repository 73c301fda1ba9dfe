"""A small blocking HTTP/1.1 client: one exchange, one deadline over all of it.

For status, doctor and tests, over TCP, TLS or a Unix socket. Not for the loop's thread, and not a
browser: no redirects, no cookies, no proxies, no kept connections.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from fleet_agent.errors import ConfigError, NodeError
from fleet_agent.httpd.chunked import ChunkedBody
from fleet_agent.httpd.dial import Deadline, NoAnswer, Url, connect, read_url
from fleet_agent.httpd.fields import TOKEN, read_field
from fleet_agent.httpd.refusal import Refusal, Sizes
from fleet_agent.httpd.types import Headers

if TYPE_CHECKING:
    import ssl

_STATUS_LINE: Final = re.compile(r"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?")
_FIELD_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")
_LENGTH: Final = re.compile(r"[0-9]{1,15}")
_SIZES: Final = Sizes(line=8192, fields=65536, most=200, extensions=4096)
_RECEIVE_BYTES: Final = 64 * 1024
_NO_BODY: Final = (204, 304)


class BadAnswer(NodeError):  # noqa: N818 (it reads as what happened)
    """Something answered that is not HTTP, or more than was asked for."""

    title = "not an answer"


class ClientResponse(NamedTuple):
    """One whole answer, whatever its status."""

    status: int
    headers: Headers
    body: bytes


def get(
    url: str,
    timeout_seconds: float,
    *,
    headers: Iterable[tuple[str, str]] = (),
    body_limit: int = 1 << 20,
    unix_path: str | None = None,
    tls: ssl.SSLContext | None = None,
) -> ClientResponse:
    """GET ``url``; see ``request``."""
    return request("GET", url, timeout_seconds, headers=headers, body_limit=body_limit,
                   unix_path=unix_path, tls=tls)  # fmt: skip


def request(
    method: str,
    url: str,
    timeout_seconds: float,
    *,
    body: bytes | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body_limit: int = 1 << 20,
    unix_path: str | None = None,
    tls: ssl.SSLContext | None = None,
) -> ClientResponse:
    """One exchange: name, connection, TLS, request and the whole answer within ``timeout_seconds``.

    ``unix_path`` connects to that socket instead of the URL's host. ``body_limit`` is in bytes.
    Raises NoAnswer (worth another try), BadAnswer, or ConfigError for a URL that is none.
    """
    where = read_url(url)
    message = _message(method, where, body, tuple(headers))
    deadline = Deadline(timeout_seconds, unix_path or url)
    try:
        with connect(where, unix_path, tls, deadline) as connected:
            _send(connected, message, deadline)
            return _Answer(connected, deadline, body_limit).read(method == "HEAD")
    except TimeoutError:
        raise deadline.over() from None
    except OSError as error:
        raise NoAnswer(error.strerror or str(error), where=deadline.where) from error


def _message(
    method: str, url: Url, body: bytes | None, headers: tuple[tuple[str, str], ...]
) -> bytes:
    lines = [f"{method} {url.target} HTTP/1.1", f"Host: {url.authority}", "Connection: close"]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    for name, value in headers:
        if TOKEN.fullmatch(name) is None or _FIELD_VALUE.fullmatch(value) is None:
            raise ConfigError("a header field that cannot be sent", where=name[:50])
        lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + (body or b"")


def _send(connected: socket.socket, message: bytes, deadline: Deadline) -> None:
    try:
        deadline.arm(connected)
        connected.sendall(message)
    except (BrokenPipeError, ConnectionResetError):
        # Whoever refuses a large body answers and closes before it was sent: the answer may be
        # there already. If it is not, reading says so.
        return


class _Answer:
    """Reads one answer from a connected socket."""

    def __init__(self, connected: socket.socket, deadline: Deadline, body_limit: int) -> None:
        self._socket = connected
        self._deadline = deadline
        self._limit = body_limit
        self._data = b""

    def read(self, bare: bool) -> ClientResponse:
        """The answer; ``bare``: it answers HEAD and has no body whatever it says."""
        status, headers = self._head()
        while status < 200:
            status, headers = self._head()
        if bare or status in _NO_BODY:
            return ClientResponse(status, headers, b"")
        return ClientResponse(status, headers, self._body(headers))

    def _head(self) -> tuple[int, Headers]:
        while (end := self._data.find(b"\r\n\r\n")) < 0:
            if len(self._data) > _SIZES.fields:
                raise self._bad(f"a header over {_SIZES.fields} bytes")
            if not self._more():
                raise self._gone() if self._data[:5] in (b"", b"HTTP/") else self._bad("not HTTP")
        lines = self._data[:end].decode("latin-1").split("\r\n")
        self._data = self._data[end + 4 :]
        first = _STATUS_LINE.fullmatch(lines[0])
        if first is None:
            raise self._bad("not HTTP")
        pairs: list[tuple[str, str]] = []
        for line in lines[1:]:
            field = read_field(line)
            if isinstance(field, Refusal):
                raise self._bad(field.what)
            pairs.append(field)
        return int(first[1]), Headers.lowered(pairs)

    def _body(self, headers: Headers) -> bytes:
        if headers.get("transfer-encoding") is not None:
            return self._chunks()
        text = headers.get("content-length")
        if text is None:
            while len(self._data) <= self._limit and self._more():
                pass
            length = len(self._data)
        elif _LENGTH.fullmatch(text) is None:
            raise self._bad("a Content-Length that is no number")
        else:
            length = int(text)
        if length > self._limit:
            raise self._bad(f"a body over {self._limit} bytes")
        parts = [self._data]
        have = len(self._data)
        while have < length:
            self._data = b""
            if not self._more():
                raise self._gone()
            parts.append(self._data)
            have += len(self._data)
        return b"".join(parts)[:length]

    def _chunks(self) -> bytes:
        chunks = ChunkedBody(_SIZES, self._limit)
        while True:
            taken = chunks.take(self._data, 0)
            if isinstance(taken, Refusal):
                raise self._bad(taken.what)
            if chunks.whole:
                return chunks.body()
            self._data = self._data[taken:]
            if not self._more():
                raise self._gone()

    def _more(self) -> bool:
        """Receive more; False at the end."""
        self._deadline.arm(self._socket)
        data = self._socket.recv(_RECEIVE_BYTES)
        self._data += data
        return bool(data)

    def _bad(self, what: str) -> BadAnswer:
        return BadAnswer(what, where=self._deadline.where,
                         mend="who listens there? ss -ltnp")  # fmt: skip

    def _gone(self) -> NoAnswer:
        return NoAnswer("the connection ended before the answer did", where=self._deadline.where)


__all__ = ["BadAnswer", "ClientResponse", "NoAnswer", "get", "read_url", "request"]
