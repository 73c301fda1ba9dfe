"""The values that pass between the HTTP core and its handlers: peer, request, response.

Not for reading or writing bytes (``parse``, ``write``) and not for deciding an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from fleet_agent.errors import RequestError
from fleet_agent.wire import MEDIA_JSON

# Tuples rather than dataclasses: these are made for every request, and a frozen dataclass of nine
# fields costs 2 µs where a tuple costs 0.4.


class Headers:
    """Header fields in the order of arrival. Names are kept in lower case, values are text."""

    __slots__ = ("_joined", "_pairs", "get_lower")

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._set([(name.lower(), value) for name, value in pairs])

    @classmethod
    def lowered(cls, pairs: list[tuple[str, str]]) -> Headers:
        """Headers of pairs whose names are in lower case already (the parser's)."""
        made = cls.__new__(cls)
        made._pairs = pairs
        made._joined = joined = dict(pairs)
        made.get_lower = joined.get
        if len(joined) != len(pairs):
            made._set(pairs)
        return made

    def _set(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs
        joined = dict(pairs)
        if len(joined) != len(pairs):
            joined = {}
            for name, value in pairs:
                joined[name] = f"{joined[name]}, {value}" if name in joined else value
        self._joined = joined
        self.get_lower = joined.get  # the value of a name that is in lower case already

    def get(self, name: str) -> str | None:
        """The value of ``name`` in any case, several joined by ", "; None where absent."""
        joined = self._joined
        return joined[name] if name in joined else joined.get(name.lower())

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._joined

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._pairs == other._pairs

    def __hash__(self) -> int:
        return hash(tuple(self._pairs))

    def __repr__(self) -> str:
        # Names only: values may be secrets, and a repr ends in logs.
        return f"Headers({', '.join(name for name, _ in self._pairs)})"


class Peer(NamedTuple):
    """Who is at the other end.

    ``kind`` is ``tcp`` or ``unix``. A TCP peer has address and port; the peer of a Unix socket has
    uid and pid as the kernel saw them at connect (SO_PEERCRED).
    """

    kind: str
    address: str
    port: int
    uid: int | None = None
    pid: int | None = None


class Request(NamedTuple):
    """One whole request. ``path`` and ``query`` are percent-decoded, ``target`` is as it came.

    ``listener`` is the name of the socket (``wire.SOCKET_GATEWAY``, ``SOCKET_HOOK``, …), ``params``
    what the route's pattern took from the path.
    """

    method: str
    target: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Headers
    body: bytes
    peer: Peer
    listener: str
    params: Mapping[str, str]

    def query_value(self, name: str) -> str | None:
        """The value of ``name`` in the query, None where absent.

        Raises RequestError (400) when it is given twice: which one was meant is not guessed.
        """
        values = [value for key, value in self.query if key == name]
        if len(values) > 1:
            raise RequestError(
                f"{name!r} is given {len(values)} times",
                where=f"query of {self.path}",
                mend=f"give {name!r} once",
            )
        return values[0] if values else None


class Response(NamedTuple):
    """One whole answer. Date, Content-Length, Content-Type and Connection are added on the way."""

    status: int
    body: bytes = b""
    content_type: str = MEDIA_JSON
    headers: tuple[tuple[str, str], ...] = ()
