"""One JSON object from hostile bytes; what two parsers could read differently is refused.

Not for what the object must hold: ``message`` says that. RFC 8259 and, for strictness, RFC 7493.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

from fleet_agent.errors import RequestError

# Whole numbers that every 64-bit reader can hold, signed or not.
_LEAST_WHOLE: Final = -(2**63)
_MOST_WHOLE: Final = 2**64 - 1
_WHOLE_DIGITS: Final = 20
_WHITESPACE: Final = " \t\n\r"
# A string need not end: a pattern that could fail there would try again from each quote within.
_STRING_OR_BRACKET: Final = re.compile(rb'"(?:[^"\\]+|\\.)*+"?|[\[{\]}]', re.DOTALL)


class NotStrictJson(RequestError):  # noqa: N818 (it reads as what the body is)
    """The bytes are no JSON object that every reader understands alike."""

    title = "not a JSON object"


def parse_object(raw: bytes, *, depth: int) -> dict[str, Any]:
    """The object in ``raw``, nested ``depth`` levels at most. Raises NotStrictJson.

    Refused: other encodings than UTF-8, a byte-order mark, trailing data, duplicate keys, NaN and
    Infinity, numbers beyond 64 bits or a double, NUL, lone surrogates.
    """
    # Brackets within strings count too, so this is the most that the depth can be.
    if raw.count(b"[") + raw.count(b"{") > depth and _is_deeper(raw, depth):
        raise NotStrictJson(
            f"nested deeper than {depth} levels",
            mend=f"{depth} levels are allowed, see message_depth",
        )
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotStrictJson(
            f"byte {error.start} is not UTF-8", mend="send UTF-8 without a byte-order mark"
        ) from None
    start = 0 if text[:1] == "{" else len(text) - len(text.lstrip(_WHITESPACE))
    try:
        value, end = _scan(text, start)
    except StopIteration as error:
        raise NotStrictJson(
            _expected(text, error.value), mend="check it with a JSON tool"
        ) from None
    except json.JSONDecodeError as error:
        raise NotStrictJson(
            f"{error.msg} at line {error.lineno} column {error.colno}",
            mend="check it with a JSON tool",
        ) from None
    except RecursionError:
        raise NotStrictJson("nested too deeply") from None
    if end != len(text) and text[end:].strip(_WHITESPACE):
        raise NotStrictJson(
            f"something follows the object at character {end}", mend="send one object, nothing else"
        )
    if type(value) is not dict:
        raise NotStrictJson(f"is {kind(value)}", mend="send an object: {…}")
    # Escapes are the only way to these characters, so their absence in the bytes is proof.
    if b"\\u0000" in raw or b"\\ud" in raw or b"\\uD" in raw:
        _refuse_characters(value)
    return value


def kind(value: object) -> str:
    """What ``value`` is, in JSON's words, for a message to people."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"


def _is_deeper(raw: bytes, depth: int) -> bool:
    now = 0
    for found in _STRING_OR_BRACKET.finditer(raw):
        first = raw[found.start()]
        if first in b"[{":
            now += 1
            if now > depth:
                return True
        elif first in b"]}":
            now -= 1
    return False


def _expected(text: str, position: int) -> str:
    if position >= len(text):
        return "is empty" if not text.strip() else "ends in the middle"
    if text[0] == "\ufeff":
        return "begins with a byte-order mark"
    return f"no JSON value at character {position}"


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise NotStrictJson(f"the key {_shown(key)} is there twice", mend="give it once")
            seen.add(key)
    return value


def _constant(name: str) -> Any:
    raise NotStrictJson(f"{name} is not JSON", mend="use null or a string")


def _whole(text: str) -> int:
    # int() of a million digits takes seconds, so their number comes first.
    if len(text) <= _WHOLE_DIGITS:
        value = int(text)
        if _LEAST_WHOLE <= value <= _MOST_WHOLE:
            return value
    raise NotStrictJson(
        f"the number {text[:24]}{'…' if len(text) > 24 else ''} does not fit into 64 bits",
        mend="send it as a string",
    )


def _fraction(text: str) -> float:
    value = float(text)
    if value - value != 0:  # infinite
        raise NotStrictJson(
            f"the number {text[:24]}{'…' if len(text) > 24 else ''} does not fit into a double",
            mend="send it as a string",
        )
    return value


def _refuse_characters(value: Any) -> None:
    """Refuse NUL and lone surrogates in any string of ``value``, keys too."""
    waiting = [value]
    while waiting:
        now = waiting.pop()
        if isinstance(now, dict):
            waiting.extend(now)
            waiting.extend(now.values())
        elif isinstance(now, list):
            waiting.extend(now)
        elif isinstance(now, str):
            if "\0" in now:
                raise NotStrictJson(
                    f"the string {_shown(now)} holds NUL (\\u0000)", mend="leave it out"
                )
            try:
                now.encode("utf-8")
            except UnicodeEncodeError as error:
                raise NotStrictJson(
                    f"half a surrogate pair (\\u{ord(now[error.start]):04x}) in a string",
                    mend="send whole characters",
                ) from None


def _shown(text: str) -> str:
    """``text`` short and in ASCII, for an error."""
    return ascii(text if len(text) <= 40 else text[:40] + "…")


# Three times as fast as json.loads, which looks for the encoding and copies first. It is an
# undocumented attribute, but as old as the class; ``raw_decode`` is a thin cover of it.
_scan: Final[Callable[[str, int], tuple[Any, int]]] = vars(
    json.JSONDecoder(
        object_pairs_hook=_pairs,
        parse_constant=_constant,
        parse_int=_whole,
        parse_float=_fraction,
    )
)["scan_once"]
