"""Feeding a Reader in the tests of this room: whole, in pieces, byte by byte."""

from __future__ import annotations

from collections.abc import Iterable

from fleet_agent.httpd.reader import Arrived, Reader
from fleet_agent.httpd.refusal import Refusal, Sizes

SIZES = Sizes(line=200, fields=600, most=12, extensions=40)
BODY_LIMIT = 1000


def read(pieces: Iterable[bytes], sizes: Sizes = SIZES) -> list[Arrived | Refusal]:
    """Everything that a reader makes of the pieces, asked for after each of them."""
    reader = Reader(sizes, lambda head: BODY_LIMIT)
    made: list[Arrived | Refusal] = []
    for piece in pieces:
        reader.feed(piece)
        while (one := reader.next()) is not None:
            made.append(one)
    return made


def whole(data: bytes) -> list[Arrived | Refusal]:
    """What a reader makes of ``data`` in one piece."""
    return read([data])


def only(data: bytes) -> Arrived | Refusal:
    """The one thing that a reader makes of ``data``."""
    (one,) = whole(data)
    return one


def request(data: bytes) -> Arrived:
    """The one request in ``data``."""
    one = only(data)
    assert isinstance(one, Arrived), one
    return one


def refusal(data: bytes) -> Refusal:
    """The refusal that ``data`` ends in; nothing may come after it."""
    one = whole(data)[-1]
    assert isinstance(one, Refusal), one
    return one
