"""The head of a request: bytes as text in, a Head or a Refusal out. Hostile input first.

Pure: no I/O, no state, no clock. Bodies are the matter of ``reader`` and ``chunked``.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, TypeVar

from fleet_agent.httpd.fields import TOKEN, read_field
from fleet_agent.httpd.refusal import Refusal, Sizes
from fleet_agent.httpd.target import Target, is_authority, read_target
from fleet_agent.httpd.types import Headers

_VERSION: Final = re.compile(r"HTTP/[0-9]\.[0-9]")
_LENGTH: Final = re.compile(r"[0-9]{1,15}")
_MINOR: Final = {"HTTP/1.1": 1, "HTTP/1.0": 0}
_BARE_LINE_FEED: Final = Refusal(400, "a line that ends without a carriage return",
                                 "end lines with CRLF")  # fmt: skip
_EMPTY_LINES: Final = ["", ""]  # what a whole head ends with, once split
_METHODS: Final = frozenset({"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"})
# Fields whose lines come again word for word, request by request.
_RECURRING: Final = frozenset({
    "accept", "accept-encoding", "accept-language", "connection", "content-length", "content-type",
    "fleet-from", "host", "user-agent", "webhook-timestamp",
})  # fmt: skip


class Head(NamedTuple):
    """A request without its body. ``length`` is the body's bytes, -1 where it comes in chunks;
    ``size`` is how many bytes the head itself took."""

    method: str
    target: str
    raw_path: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Headers
    minor: int  # of HTTP/1.minor
    length: int
    keep_alive: bool
    expects_continue: bool
    size: int


class More(NamedTuple):
    """Not whole yet. Nothing can change before another line has ended or ``upto`` bytes are there
    (then a limit is passed): asking earlier is only work."""

    upto: int


def read_head(text: str, sizes: Sizes) -> Head | Refusal | More:
    """Read the head that ``text`` (latin-1) begins with.

    Every decision is taken at the end of a line, from what lies before it, or at a limit: how the
    bytes were cut on their way never changes the outcome. One empty line before the request line
    is passed over (RFC 9112 section 2.2).
    """
    return _usual(text, sizes) or _judged(text, sizes)


def _usual(text: str, sizes: Sizes) -> Head | None:
    """A whole head in which everything is as it usually is; None leaves it to ``_judged``.

    What this accepts, ``_judged`` accepts with the same outcome (a test compares them); it exists
    because it takes a quarter of the time, and says no for anything that needs a thought.
    """
    lines = text.split("\r\n")
    if (
        lines[-2:] != _EMPTY_LINES
        or len(lines[0]) > sizes.line
        or len(text) - len(lines[0]) - 2 > sizes.fields
        or len(lines) - 3 > sizes.most
    ):
        return None
    line = _SEEN_LINES.get(lines[0]) or _usual_line(lines[0])
    if line is None:
        return None
    seen = _SEEN_FIELDS.get
    pairs: list[tuple[str, str]] = []
    for one in lines[1:-2]:
        field = seen(one) or _usual_field(one)
        if field is None:
            return None
        pairs.append(field)
    headers = Headers.lowered(pairs)
    get = headers.get_lower
    method, target, (raw_path, path, query), minor, _ = line
    said = (minor, get("host"), get("transfer-encoding"), get("content-length"),
            get("connection"), get("expect"))  # fmt: skip
    framing = _SEEN_FRAMINGS.get(said)
    if framing is None:
        judged = _framing(minor == 1, headers)
        if isinstance(judged, Refusal):
            return None
        framing = _remember(_SEEN_FRAMINGS, said, judged)
    length, keep_alive, expects_continue = framing
    return Head(method, target, raw_path, path, query, headers, minor, length, keep_alive,
                expects_continue, len(text))  # fmt: skip


def _usual_line(text: str) -> _Line | None:
    words = text.split(" ")
    if len(words) != 3 or words[0] not in _METHODS or words[2] not in _MINOR:
        return None
    target = read_target(words[0], words[1]) if text.isprintable() else None
    if target is None or isinstance(target, Refusal):
        return None
    line = _Line(words[0], words[1], target, _MINOR[words[2]], 0)
    return _remember(_SEEN_LINES, text, line) if len(text) <= _LONGEST_SEEN else line


def _usual_field(line: str) -> tuple[str, str] | None:
    field = read_field(line)
    if isinstance(field, Refusal) or not line.isprintable():
        return None
    recurs = field[0] in _RECURRING and len(line) <= _LONGEST_SEEN
    return _remember(_SEEN_FIELDS, line, field) if recurs else field


def _remember(memory: dict[_Key, _Value], key: _Key, value: _Value) -> _Value:
    if len(memory) >= _MOST_SEEN:
        memory.clear()  # somebody sends ever new ones; what recurs is soon here again
    memory[key] = value
    return value


def _judged(text: str, sizes: Sizes) -> Head | Refusal | More:
    """Line by line, with the reason for whatever is refused."""
    line = _request_line(text, sizes)
    if not isinstance(line, _Line):
        return line
    fields = _fields(text, line.size, sizes)
    if isinstance(fields, (Refusal, More)):
        return fields
    pairs, size = fields
    headers = Headers.lowered(pairs)
    framing = _framing(line.minor == 1, headers)
    if isinstance(framing, Refusal):
        return framing
    length, keep_alive, expects_continue = framing
    return Head(line.method, line.text, *line.target, headers, line.minor, length, keep_alive,
                expects_continue, size)  # fmt: skip


class _Line(NamedTuple):
    """A request line; ``size`` is where the line after it begins."""

    method: str
    text: str
    target: Target
    minor: int
    size: int


# What was read before and found usual. A caller says nearly the same with each request, and a
# look-up takes a tenth of reading. Only what is no secret is kept.
_SEEN_LINES: Final[dict[str, _Line]] = {}
_SEEN_FIELDS: Final[dict[str, tuple[str, str]]] = {}
_SEEN_FRAMINGS: Final[dict[tuple[int | str | None, ...], tuple[int, bool, bool]]] = {}
_MOST_SEEN: Final = 512  # of each
_LONGEST_SEEN: Final = 256  # characters
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def _request_line(text: str, sizes: Sizes) -> _Line | Refusal | More:
    at = 2 if text.startswith("\r\n") else 0
    if len(text) == at:
        return More(at + 1)
    if text[at] != "\r" and TOKEN.match(text, at) is None:
        return Refusal(400, "this is not HTTP", "is this TLS, or the proxy protocol?")
    end = text.find("\n", at)
    if (len(text) if end < 0 else end) - at > sizes.line + 1:  # one for the carriage return
        return Refusal(414, f"a request line over {sizes.line} bytes")
    if end < 0:
        return More(at + sizes.line + 2)
    if text[end - 1] != "\r":
        return _BARE_LINE_FEED
    words = text[at : end - 1].split(" ")
    if len(words) != 3:
        return Refusal(400, "a request line that is not method, target and version",
                       "separate them by one space each")  # fmt: skip
    method, raw_target, version = words
    if method not in _METHODS and TOKEN.fullmatch(method) is None:
        return Refusal(400, "a method that is no token")
    if version not in _MINOR:
        if _VERSION.fullmatch(version) is None:
            return Refusal(400, "a version that is none")
        return Refusal(505, "only HTTP/1.1 and HTTP/1.0 are spoken here")
    if method == "CONNECT":
        return Refusal(501, "CONNECT: this is no proxy")
    target = read_target(method, raw_target)
    if isinstance(target, Refusal):
        return target
    return _Line(method, raw_target, target, _MINOR[version], end + 1)


def _fields(
    text: str, begun: int, sizes: Sizes
) -> tuple[list[tuple[str, str]], int] | Refusal | More:
    """The field lines from ``begun`` on, and where the empty line behind them ends."""
    at = begun
    pairs: list[tuple[str, str]] = []
    find = text.find
    while True:
        end = find("\n", at)
        if (len(text) if end < 0 else end + 1) - begun > sizes.fields:
            return Refusal(431, f"header fields over {sizes.fields} bytes")
        if end < 0:
            return More(begun + sizes.fields + 1)
        if text[end - 1] != "\r":
            return _BARE_LINE_FEED
        if end == at + 1:
            return pairs, end + 1
        field = read_field(text[at : end - 1])
        if isinstance(field, Refusal):
            return field
        pairs.append(field)
        if len(pairs) > sizes.most:
            return Refusal(431, f"more than {sizes.most} header fields")
        at = end + 1


def _framing(modern: bool, headers: Headers) -> tuple[int, bool, bool] | Refusal:
    """Length of the body, whether the connection stays, whether 100-continue is wanted."""
    get = headers.get_lower
    host = get("host")
    if host is None:
        if modern:
            return Refusal(400, "no Host field", "HTTP/1.1 requires one")
    elif not is_authority(host):
        # Two Host fields end here too: joined they are no host.
        return Refusal(
            400, "a Host field that is no host", "send one Host field: host or host:port"
        )
    length = _length(modern, get("transfer-encoding"), get("content-length"))
    if isinstance(length, Refusal):
        return length
    keep_alive = modern
    connection = get("connection")
    if connection is not None:
        options = [option.strip(" \t").lower() for option in connection.split(",")]
        keep_alive = "close" not in options and (modern or "keep-alive" in options)
    expect = get("expect")
    if expect is None or not modern:
        return length, keep_alive, False
    if expect.lower() != "100-continue":
        return Refusal(417, "an expectation that is not 100-continue")
    return length, keep_alive, True


def _length(modern: bool, coding: str | None, text: str | None) -> int | Refusal:
    """RFC 9112 section 6.3, with every case refused that two readers could read differently."""
    if coding is not None:
        if text is not None:
            return Refusal(400, "both Content-Length and Transfer-Encoding")
        if not modern:
            return Refusal(400, "Transfer-Encoding in HTTP/1.0")
        if coding.lower() != "chunked":
            return Refusal(501, "a transfer coding that is not chunked", "send chunked alone")
        return -1
    if text is None:
        return 0
    if _LENGTH.fullmatch(text) is None:
        # Two fields end here too, equal or not: joined they are no number.
        return Refusal(400, "a Content-Length that is not one number")
    return int(text)
