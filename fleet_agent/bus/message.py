"""The envelope: bytes in, a checked message out, or a refusal that names the field and the mend.

Pure: no clock, no disk, no registry. Whether a message may come in here is decided elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from fleet_agent.bus import timestamp
from fleet_agent.bus.strictjson import kind, parse_object
from fleet_agent.errors import RequestError
from fleet_agent.limits import Limits
from fleet_agent.wire import BROADCAST, CAPABILITY_PREFIX, MessageType

# What each type may be sent to. It is part of every refusal that it causes.
TABLE: Final[Mapping[str, str]] = {
    MessageType.REQUEST: "one wizard, or capability:NAME (any one wizard that has it)",
    MessageType.RESPONSE: "one wizard; in_reply_to names the request",
    MessageType.BROADCAST: "* (every wizard)",
    MessageType.ALERT: "one wizard, or * (every wizard)",
}
REQUIRED: Final = ("from", "to", "type", "payload", "timestamp")
OPTIONAL: Final = ("id", "in_reply_to", "ttl", "hops", "traceparent")
_KNOWN: Final = frozenset(REQUIRED + OPTIONAL)

# As the registry has them (registry.rules, which a daemon does not load).
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,28}\Z")
_CAPABILITY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}\Z")
# Without a dot: it separates id, time and body in what a Standard Webhooks signature covers.
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_:@=+-]{0,127}\Z")
# W3C Trace Context, version 00; later versions may only add behind it.
_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[ -~]{0,200})?\Z"
)


class MessageRefused(RequestError):  # noqa: N818 (it reads as what happened)
    """A message that is not one. ``extra`` are the problem's own members (the table, our time)."""

    title = "message refused"

    def __init__(
        self,
        what: str,
        *,
        field: str,
        mend: str,
        status: int = 400,
        title: str = "",
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(what, status=status, where=field, mend=mend, title=title)
        self.extra = dict(extra or {})


class Bounds(NamedTuple):
    """The limits that a message is checked against, read once from ``Limits``."""

    payload_bytes: int
    depth: int
    future_seconds: float
    ttl_seconds: float
    hops: int

    @classmethod
    def of(cls, limits: Limits) -> Bounds:
        """The bounds that ``limits`` sets."""
        return cls(
            limits.whole("message_payload_bytes"),
            limits.whole("message_depth"),
            limits["message_future_seconds"],
            limits["message_ttl_seconds"],
            limits.whole("message_hops"),
        )


# A tuple, not a dataclass: one is made for every message that comes in.
class Message(NamedTuple):
    """A checked message. ``raw`` is what came, byte for byte, and what is stored and passed on.

    ``sent_at`` is ``timestamp`` in Unix seconds; ``id`` is None where the sender made none.
    """

    sender: str
    to: str
    type: str
    payload: Any
    sent_at: float
    id: str | None
    in_reply_to: str | None
    ttl_seconds: float | None
    hops: int
    traceparent: str | None
    raw: bytes


def check(raw: bytes, *, now: float, bounds: Bounds) -> Message:
    """The message in ``raw``; ``now`` is the receiver's time in Unix seconds.

    Raises NotStrictJson or MessageRefused (400; 413 for a payload that is too large).
    """
    value = parse_object(raw, depth=bounds.depth)
    if not _KNOWN.issuperset(value):
        _refuse_unknown(value)
    for field in REQUIRED:
        if field not in value:
            raise MessageRefused(
                "is missing", field=field, mend=f"a message has {', '.join(REQUIRED)}"
            )
    sender, to, kind_of = _addressed(value)
    if len(raw) > bounds.payload_bytes:
        _check_size(value["payload"], bounds)
    sent_at = _sent_at(value["timestamp"], now, bounds)
    payload = value["payload"]
    count = len(value)
    if count == len(REQUIRED):  # what most messages are: nothing optional
        return Message(
            sender, to, kind_of, payload, sent_at, None, None, None, 0, None, raw
        )  # fmt: skip
    id_ = _optional(value, "id", _ID, _ID_WORDS)
    if id_ is not None and count == len(REQUIRED) + 1:
        return Message(
            sender, to, kind_of, payload, sent_at, id_, None, None, 0, None, raw
        )  # fmt: skip
    return Message(
        sender,
        to,
        kind_of,
        payload,
        sent_at,
        id_,
        _optional(value, "in_reply_to", _ID, _ID_WORDS),
        _ttl(value, bounds),
        _hops(value, bounds),
        _optional(value, "traceparent", _TRACEPARENT, "a W3C traceparent"),
        raw,
    )


def _addressed(value: Mapping[str, Any]) -> tuple[str, str, str]:
    """``from``, ``to`` and ``type``, each by itself and together."""
    key = (value["from"], value["to"], value["type"], "in_reply_to" in value)
    try:
        if key in _ADDRESSED:
            return key[:3]
    except TypeError:
        pass  # an array or an object can't be looked up: it is refused below
    sender = _text(value, "from", _NAME, "a wizard's name: a-z, then a-z, 0-9 and -, 29 at most")
    to = _text(value, "to", _is_to, "a wizard's name, * or capability:NAME")
    kind_of = _type(value)
    _check_pair(kind_of, to, key[3])
    if len(_ADDRESSED) >= _MOST_ADDRESSED:
        _ADDRESSED.clear()
    _ADDRESSED.add(key)
    return sender, to, kind_of


# Who wrote to whom was right before and will be again: a look-up for three patterns and a table.
_ADDRESSED: Final[set[tuple[str, str, str, bool]]] = set()
_MOST_ADDRESSED: Final = 4096
_ID_WORDS: Final = "1 to 128 of A-Z, a-z, 0-9, _ : @ = + -, beginning with a letter or digit"


def is_id(text: str) -> bool:
    """Whether ``text`` can be a message's id."""
    return _ID.match(text) is not None


def _is_to(text: str) -> object:
    if text.startswith(CAPABILITY_PREFIX):
        return _CAPABILITY.match(text, len(CAPABILITY_PREFIX))
    return text == BROADCAST or _NAME.match(text)


def _text(
    value: Mapping[str, Any],
    field: str,
    form: re.Pattern[str] | Callable[[str], object],
    words: str,
) -> str:
    text = value[field]
    if not isinstance(text, str):
        raise MessageRefused(f"is {kind(text)}", field=field, mend=f"must be {words}")
    fits = form.match(text) if isinstance(form, re.Pattern) else form(text)
    if not fits:
        shown = ascii(text if len(text) <= 60 else text[:60] + "…")
        raise MessageRefused(f"is {shown}", field=field, mend=f"must be {words}")
    return text


def _optional(
    value: Mapping[str, Any], field: str, form: re.Pattern[str], words: str
) -> str | None:
    return _text(value, field, form, words) if field in value else None


_TYPES: Final[Mapping[str, MessageType]] = {member.value: member for member in MessageType}


def _type(value: Mapping[str, Any]) -> str:
    name = value["type"]
    if not isinstance(name, str) or name not in _TYPES:
        shown = ascii(name[:60]) if isinstance(name, str) else kind(name)
        raise MessageRefused(
            f"is {shown}",
            field="type",
            mend=f"must be one of {', '.join(_TYPES)}",
            extra={"table": TABLE},
        )
    return name


def _check_pair(kind_of: str, to: str, answers: bool) -> None:
    if to == BROADCAST:
        fits = kind_of in (MessageType.BROADCAST, MessageType.ALERT)
    elif to.startswith(CAPABILITY_PREFIX):
        fits = kind_of == MessageType.REQUEST
    else:
        fits = kind_of != MessageType.BROADCAST
    if not fits:
        raise MessageRefused(
            f"{to[:80]!r} does not go with type {kind_of!r}",
            field="to",
            mend=f"a {kind_of} goes to {TABLE[kind_of]}",
            extra={"table": TABLE},
        )
    if kind_of == MessageType.RESPONSE and not answers:
        raise MessageRefused(
            "is missing in a response",
            field="in_reply_to",
            mend="put the id of the request there",
            extra={"table": TABLE},
        )


def _check_size(payload: Any, bounds: Bounds) -> None:
    """Only for messages that are larger than a payload may be: it encodes the payload again."""
    size = len(json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode())
    if size > bounds.payload_bytes:
        raise MessageRefused(
            f"is {size} bytes as JSON",
            field="payload",
            mend=f"{bounds.payload_bytes} bytes are allowed; put large things where both can reach "
            "them and send the place",
            status=413,
        )


def _sent_at(value: Any, now: float, bounds: Bounds) -> float:
    try:
        if isinstance(value, str):
            sent_at = timestamp.parse(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            sent_at = timestamp.from_number(value)
        else:
            raise ValueError(f"is {kind(value)}")
    except ValueError as error:
        raise MessageRefused(
            str(error), field="timestamp", mend="must be RFC 3339 in UTC or Unix seconds"
        ) from None
    if sent_at > now + bounds.future_seconds:
        here = timestamp.show(now)
        raise MessageRefused(
            f"lies {sent_at - now:.0f} s in the future: here it is {here}",
            field="timestamp",
            mend=f"set the sender's clock; {bounds.future_seconds:g} s are allowed",
            title="timestamp lies in the future",
            extra={"time": here},
        )
    return sent_at


def _ttl(value: Mapping[str, Any], bounds: Bounds) -> float | None:
    if "ttl" not in value:
        return None
    ttl = value["ttl"]
    if isinstance(ttl, bool) or not isinstance(ttl, int | float):
        raise MessageRefused(f"is {kind(ttl)}", field="ttl", mend="must be a number of seconds")
    if not 0 < ttl <= bounds.ttl_seconds:
        raise MessageRefused(
            f"is {ttl} s",
            field="ttl",
            mend=f"must be more than 0 and at most {bounds.ttl_seconds:g} s",
        )
    return float(ttl)


def _hops(value: Mapping[str, Any], bounds: Bounds) -> int:
    hops = value.get("hops", 0)
    if isinstance(hops, bool) or not isinstance(hops, int):
        what = "has a fraction" if isinstance(hops, float) else f"is {kind(hops)}"
        raise MessageRefused(what, field="hops", mend="must be a whole number")
    if not 0 <= hops <= bounds.hops:
        raise MessageRefused(
            f"is {hops}",
            field="hops",
            mend=f"{bounds.hops} hops are allowed: do two agents answer each other for ever?",
        )
    return hops


def _refuse_unknown(value: Mapping[str, Any]) -> None:
    from difflib import get_close_matches  # only a refusal needs it

    field = next(name for name in value if name not in _KNOWN)
    near = get_close_matches(field[:60], sorted(_KNOWN), n=1)
    mend = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(REQUIRED + OPTIONAL)}"
    shown = field if field and field.isprintable() and len(field) <= 60 else ascii(field[:60])
    raise MessageRefused("is an unknown field", field=shown, mend=mend)
