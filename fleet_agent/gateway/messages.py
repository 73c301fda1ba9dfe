"""``POST /message``: one message or a batch; answered when it is on disk, not before.

Thin: ``bus.message`` says what a message is, ``admission`` who may; ``bus.inbox`` keeps what is
for us, ``bus.sending`` takes what the local agent sends.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeGuard

from fleet_agent.bus.batch import read_head
from fleet_agent.bus.inbox import Inbox
from fleet_agent.bus.intake import Outcome
from fleet_agent.bus.message import Bounds, MessageRefused, check, is_id
from fleet_agent.bus.sending import Sending
from fleet_agent.bus.streams import Place
from fleet_agent.errors import FleetError, RequestError
from fleet_agent.gateway.admission import admit
from fleet_agent.gateway.callers import ANYONE, LOCAL, PEER, Caller, identify, note, refuse
from fleet_agent.gateway.serving import Serving
from fleet_agent.gateway.statuses import Alone, Batch, problem_of
from fleet_agent.httpd.answer import problem
from fleet_agent.httpd.deferred import Deferred
from fleet_agent.httpd.types import Request, Response
from fleet_agent.limits import Limits
from fleet_agent.signing import HEADER_ID
from fleet_agent.wire import MEDIA_JSON, MEDIA_NDJSON, MEDIA_STREAM

# Besides JSON's own names: no name at all, and the one that ``curl -d`` gives to everything.
_JSON_TYPES: Final = frozenset(
    {"", MEDIA_JSON, "text/json", "text/plain", "application/x-www-form-urlencoded"}
)
_ACCEPT_POST: Final = (("Accept-Post", f"{MEDIA_JSON}, {MEDIA_NDJSON}"),)


class Messages:
    """The handler of ``POST /message``. ``limits`` may be replaced by a reload."""

    def __init__(
        self,
        serving: Serving,
        inbox: Inbox,
        sending: Sending,
        limits: Limits,
        *,
        heard_of: Callable[[str], None] = lambda _: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._serving = serving
        self._inbox = inbox
        self._sending = sending
        self._heard_of = heard_of
        self._now = now
        self.limits = limits

    @property
    def limits(self) -> Limits:
        """The limits in force."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits
        self._bounds = Bounds.of(limits)
        self._batch_lines = limits.whole("batch_lines")

    def post(self, request: Request) -> Response | Deferred:
        """Answer one request; the Deferred is resolved after the turn's commit."""
        try:
            caller = identify(request, self._serving, now=self._now())
        except RequestError as error:
            return refuse(error, request, self._serving)
        said = request.headers.get_lower
        media = said("content-type")
        if media != MEDIA_JSON:  # else it is what it usually is
            media = (media or "").partition(";")[0].strip().lower()
        if said("content-encoding") not in (None, "identity"):
            return _unsupported("a compressed body is not read", "send it as it is")
        if media == MEDIA_NDJSON:
            return self._batch(request, caller)
        if media == MEDIA_STREAM:
            return self._stream(request, caller)
        if media not in _JSON_TYPES and not media.endswith("+json"):
            return _unsupported(f"{media[:80]!r} is not read here", f"send {MEDIA_JSON}")
        return self._single(request, caller)

    def _single(self, request: Request, caller: Caller) -> Response | Deferred:
        answer = Alone()
        try:
            signed_id = _signed_id(request, caller)
            self._take(request.body, caller, signed_id, None, answer.told)
        except FleetError as error:
            if _is_forged(error):
                return refuse(error, request, self._serving)
            return problem_of(error)
        return answer

    def _batch(self, request: Request, caller: Caller) -> Response | Deferred:
        lines = self._lines(request.body)
        batch = Batch(len(lines))
        signed_id, sender, audited = _signed_id(request, caller), None, False
        for number, line in enumerate(lines):
            try:
                sender = self._take(
                    line.removesuffix(b"\r"),
                    caller,
                    signed_id and f"{signed_id}:{number}",
                    sender,
                    batch.hears(number),
                )
            except FleetError as error:
                if _is_forged(error) and not audited:
                    note(error, request, self._serving)
                    audited = True
                batch.hears(number)("", error)
        return batch.answer

    def _stream(self, request: Request, caller: Caller) -> Response | Deferred:
        """A batch of another daemon: its lines have places in a stream, and come in in order."""
        first, _, rest = request.body.partition(b"\n")
        head = read_head(first)
        if caller.kind not in (PEER, ANYONE) or caller.name not in (None, head.sender):
            error = RequestError(
                f"is {head.sender!r}'s stream, and this is not its daemon",
                status=403,
                where="from",
                mend="a daemon sends its own wizard's messages, signed with the pair's key",
            )
            return refuse(error, request, self._serving)
        if head.receiver != self._serving.wizard:
            raise RequestError(
                f"this is {self._serving.wizard}, and the batch is for {head.receiver!r}",
                status=421,
                where="to",
                mend="look into the registry for where that wizard listens",
            )
        lines = self._lines(rest)
        if len(lines) != len(head.numbers):
            raise RequestError(
                f"{len(lines)} messages, and numbers for {len(head.numbers)}", where="numbers"
            )
        self._heard_of(head.sender)
        batch, after = Batch(len(lines)), head.after
        for number, (line, place) in enumerate(zip(lines, head.numbers, strict=True)):
            try:
                self._take(
                    line,
                    caller,
                    None,
                    head.sender,
                    batch.hears(number),
                    place=Place(head.sender, head.stream, after, place),
                )
            except FleetError as error:
                batch.hears(number)("", error)
            after = place
        return batch.answer

    def _lines(self, body: bytes) -> list[bytes]:
        lines = body.split(b"\n")
        if not lines[-1]:
            lines.pop()
        if not 1 <= len(lines) <= self._batch_lines:
            raise RequestError(
                f"{len(lines)} lines in one batch",
                status=413 if lines else 400,
                where="body",
                mend=f"send 1 to {self._batch_lines} lines",
            )
        return lines

    def _take(
        self,
        raw: bytes,
        caller: Caller,
        signed_id: str | None,
        sender: str | None,
        done: Callable[[str, Outcome | FleetError], None],
        *,
        place: Place | None = None,
    ) -> str:
        """Check, admit and keep one message; its ``from``. ``sender`` is the batch's, if known.

        ``signed_id`` names a peer's message that has no id of its own: else a replay were new.
        """
        message = check(raw, now=self._now(), bounds=self._bounds)
        if sender is not None and message.sender != sender:
            raise MessageRefused(
                f"is {message.sender!r}, but this batch is {sender!r}'s",
                field="from",
                mend="send one batch for each sender",
            )
        admit(message, self._serving, caller)
        if caller.kind == LOCAL:
            self._sending.send(message, done)
        else:
            self._inbox.put(message, done, place, signed_id)
        return message.sender


def _signed_id(request: Request, caller: Caller) -> str | None:
    """The id that a peer's signature covers; None for other callers. Raises MessageRefused."""
    if caller.kind != PEER:
        return None
    id_ = request.headers.get(HEADER_ID) or ""
    if not is_id(id_):
        raise MessageRefused(
            "can't be a message's id", field=HEADER_ID, mend="use A-Z, a-z, 0-9, _ : @ = + -"
        )
    return id_


def _is_forged(error: FleetError) -> TypeGuard[RequestError]:
    return isinstance(error, RequestError) and error.http_status in (401, 403)


def _unsupported(what: str, mend: str) -> Response:
    return problem(
        RequestError(what, status=415, where="Content-Type", mend=mend), headers=_ACCEPT_POST
    )
