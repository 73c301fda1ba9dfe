"""Hands the inbox out: a lease for a while, then ack, nack, or the next attempt.

What is done here is part of this turn's transaction: tell nobody before its commit. Not for who
asks (``gateway.pull``, ``dispatch``), not for which message comes next (``heads``).
"""

from __future__ import annotations

from collections.abc import Callable
from os import urandom
from typing import Final, NamedTuple

from fleet_agent.bus.heads import Head, Key, ended, pick, soonest
from fleet_agent.bus.inbox import Inbox
from fleet_agent.bus.intake import Arrived
from fleet_agent.bus.leaserows import LeaseRows
from fleet_agent.bus.life import Got, move
from fleet_agent.bus.steady import Steady
from fleet_agent.bus.turn import Turn
from fleet_agent.errors import RequestError
from fleet_agent.limits import Limits
from fleet_agent.wire import MessageType

_RECEIPT_BYTES: Final = 12
_REASON_LENGTH: Final = 500
_NEVER: Final = float("inf")


class Leased(NamedTuple):
    """A message that is handed out until ``leased_until`` (Unix seconds).

    ``receipt`` belongs to this lease alone: who holds it may settle the message, until it is
    handed out again. ``attempt`` is 1 the first time.
    """

    seq: int
    id: str
    sender: str
    lane: int
    type: str
    attempt: int
    received_at: float
    leased_until: float
    receipt: str
    body: bytes


class LeaseOver(RequestError):  # noqa: N818 (it reads as what is so)
    """The receipt settles nothing (any more)."""

    title = "the lease is over"

    def __init__(self, what: str, *, status: int = 409, mend: str = "") -> None:
        super().__init__(what, status=status, where="receipt", mend=mend)


class Leases:
    """What is handed out of one inbox. All methods that change something may raise TurnLost.

    ``clock`` is its alone. When it jumps, leases and delays move with it: they are time that
    passes.
    """

    def __init__(self, turn: Turn, inbox: Inbox, limits: Limits, *, clock: Steady) -> None:
        self._rows = LeaseRows(turn)
        self._inbox = inbox
        self._clock = clock
        self._heads: dict[Key, Head] = {}
        self._held: dict[str, float] = {}  # requests of ours whose responses somebody waits for
        self._ready: list[Callable[[], None]] = []
        self._on_dead: list[Callable[[str, Key, str], None]] = []
        self._stirred = False
        # When `ring` has something to do next (Unix seconds), or earlier.
        self.soonest = _NEVER
        self.limits = limits
        self._load()
        inbox.on_arrival(self._arrived)
        turn.on_commit(self._committed)
        turn.on_undone(self._undone)

    @property
    def limits(self) -> Limits:
        """The limits in force; replaced when settings are read anew."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits
        self._most_out = limits.whole("inbox_handed_out")
        self._most_attempts = limits.whole("inbox_attempts")
        self._most_seconds = limits["inbox_lease_most_seconds"]

    @property
    def out(self) -> int:
        """How many messages are handed out now."""
        return sum(head.leased for head in self._heads.values())

    def oldest(self) -> float | None:
        """When the oldest message that is not settled came in, in Unix seconds."""
        if not self._heads:
            return None
        return self._rows.received_at(min(head.seq for head in self._heads.values()))

    def on_ready(self, call: Callable[[], None]) -> None:
        """Call ``call`` whenever there may be more to hand out: after the commit that made it so,
        or when a time is over (``ring``). Lease in the next turn, not within the call."""
        self._ready.append(call)

    def on_dead(self, call: Callable[[str, Key, str], None]) -> None:
        """Call ``call`` within the turn that gives a message up, with its id, key and reason."""
        self._on_dead.append(call)

    def lease(
        self,
        *,
        limit: int,
        seconds: float | None = None,
        only: Callable[[str], bool] | None = None,
    ) -> tuple[Leased, ...]:
        """Hand out what comes next, ``limit`` at most, for ``seconds`` each (by default and at
        most what the limits say). ``only`` says which types are wanted.

        One message of a sender and lane at a time; alerts first, then in order of arrival.
        """
        now = self._now()
        self._end(now)
        room = min(limit, self._most_out - self.out)
        if room <= 0:
            return ()
        until = now + self._span(seconds)
        found = (self._hand_out(key, now, until) for key in pick(self._heads, now, room, only))
        return tuple(one for one in found if one is not None)

    def ack(self, receipt: str, *, id_: str | None = None) -> None:
        """It is handled, for ever. Once more with the same receipt is harmless.

        ``id_`` is whose receipt it is said to be. Raises LeaseOver.
        """
        seq, key, state = self._look(receipt, id_)
        if state is not Got.HANDLED:
            self._settle(seq, key, move(state, Got.HANDLED))

    def nack(
        self, receipt: str, *, id_: str | None = None, delay_seconds: float = 0.0, reason: str = ""
    ) -> Got:
        """It could not be handled: it comes again after ``delay_seconds``, or was tried often
        enough and is dead (``Got.DEAD``). ``reason`` is for people. Raises LeaseOver."""
        seq, key, state = self._look(receipt, id_)
        _refuse_handled(state)
        head = self._heads[key]
        why = reason[:_REASON_LENGTH]
        if head.attempts >= self._most_attempts:
            said = f": {why}" if why else ""
            self._die(seq, key, state, f"given back {head.attempts} times{said}")
            return Got.DEAD
        delay = min(max(delay_seconds, 0.0), self._most_seconds)
        self._give_back(key, head, self._now() + delay if delay else None, why or None)
        return Got.DELIVERED

    def release(self, receipt: str) -> None:
        """What ``lease`` handed out reached nobody: as if it had not been. Raises LeaseOver."""
        _, key, state = self._look(receipt, None)
        if state is Got.LEASED:
            head = self._heads[key]
            self._give_back(key, head._replace(attempts=head.attempts - 1), None, None)

    def extend(
        self, receipt: str, *, id_: str | None = None, seconds: float | None = None
    ) -> float:
        """Lease it for ``seconds`` from now on; until when (Unix seconds). Raises LeaseOver."""
        seq, key, state = self._look(receipt, id_)
        _refuse_handled(state)
        until = self._now() + self._span(seconds)
        self._rows.extend(seq, until)
        self._heads[key] = self._heads[key]._replace(leased=True, free_at=until)
        self.soonest = min(self.soonest, until)
        return until

    # Dead letters.

    def revive(self, seq: int) -> int:
        """Hand a dead message out again, behind all others; its new number.

        Raises RequestError (404) and IllegalMove.
        """
        key, state = self._dead(seq)
        new = self._rows.revive(seq, move(state, Got.DELIVERED))
        self._inbox.reopened()
        if key not in self._heads:
            self._next(key)
        self._stirred = True
        return new

    def drop(self, seq: int) -> None:
        """Forget a dead message, but for its id. Raises RequestError (404) and IllegalMove."""
        _, state = self._dead(seq)
        self._rows.settle(seq, move(state, Got.DROPPED), self._now())

    # Responses that somebody waits for.

    def hold(self, request: str, seconds: float) -> None:
        """Somebody waits for the response to our message ``request``: for ``seconds`` hand it out
        to nobody else. ``answered`` ends it."""
        now = self._now()
        self._held = {id_: until for id_, until in self._held.items() if until > now}
        self._held[request] = now + seconds

    def answered(self, request: str) -> int:
        """Who waited took the responses to our message ``request``: they are handled. How many."""
        self._held.pop(request, None)
        found = self._rows.responses(request)
        for seq, key in found:
            self._settle(seq, key, Got.HANDLED)
        return len(found)

    # Time passes.

    def ring(self) -> None:
        """End what is over and tell who waits. Call it when ``due`` has come."""
        self._end(self._now())
        self._find_soonest()
        self._tell()

    def due(self) -> float:
        """Seconds until ``ring`` has something to do; infinite where nothing is under way."""
        return max(0.0, self.soonest - self._now())

    # Within.

    def _hand_out(self, key: Key, now: float, until: float) -> Leased | None:
        head = self._heads[key]
        id_, received_at, answers, body = self._rows.content(head.seq)
        held = self._held.get(answers, 0.0) if answers is not None else 0.0
        if held > now and key.type == MessageType.RESPONSE:
            self._heads[key] = head._replace(free_at=held)
            self.soonest = min(self.soonest, held)
            return None
        receipt = f"{head.seq}.{urandom(_RECEIPT_BYTES).hex()}"
        attempt = head.attempts + 1
        self._rows.lease(head.seq, attempt, until, receipt)
        self._heads[key] = Head(head.seq, attempt, leased=True, free_at=until)
        self.soonest = min(self.soonest, until)
        return Leased(
            head.seq, id_, key.sender, key.lane, key.type, attempt, received_at, until, receipt,
            body,
        )  # fmt: skip

    def _look(self, receipt: str, id_: str | None) -> tuple[int, Key, Got]:
        """The message that ``receipt`` may settle: not dead, and not handed out again."""
        seq, _, secret = receipt.partition(".")
        known = seq.isascii() and seq.isdigit() and len(seq) < 19 and secret
        held = self._rows.held(int(seq)) if known else None
        if held is None or (id_ is not None and held.id != id_):
            raise LeaseOver(
                "belongs to no such message here", status=404,
                mend="send the receipt that came with the message, with that message's id",
            )  # fmt: skip
        if held.receipt != receipt:
            raise LeaseOver(
                "its lease ended, and the message was handed out again",
                mend="take a longer lease, or extend it in time",
            )
        if held.state in (Got.DEAD, Got.DROPPED):
            raise LeaseOver(
                "the message was tried too often: it is a dead letter",
                mend="fleet-agent dead-letters retry hands it out once more",
            )
        return int(seq), held.key, held.state

    def _dead(self, seq: int) -> tuple[Key, Got]:
        held = self._rows.held(seq)
        if held is None or held.state is not Got.DEAD:
            raise RequestError(
                f"there is no dead letter {seq} in the inbox", status=404, where="number",
                mend="fleet-agent dead-letters list",
            )  # fmt: skip
        return held.key, held.state

    def _settle(self, seq: int, key: Key, state: Got) -> None:
        self._rows.settle(seq, state, self._now())
        self._gone(seq, key)

    def _die(self, seq: int, key: Key, state: Got, reason: str) -> None:
        self._rows.die(seq, move(state, Got.DEAD), self._now(), reason)
        self._gone(seq, key)
        for call in self._on_dead:
            call(self._rows.content(seq).id, key, reason)

    def _gone(self, seq: int, key: Key) -> None:
        """The message is not open any more: what is behind it comes next."""
        self._inbox.settled()
        head = self._heads.get(key)
        if head is not None and head.seq == seq:
            self._next(key)
        self._stirred = True

    def _give_back(self, key: Key, head: Head, not_before: float | None, why: str | None) -> None:
        self._rows.give_back(head, not_before, why)
        self._heads[key] = head._replace(leased=False, free_at=not_before or 0.0)
        if not_before is not None:
            self.soonest = min(self.soonest, not_before)
        self._stirred = True

    def _end(self, now: float) -> None:
        """Leases that are over: once more, or dead."""
        if now < self.soonest:
            return
        for key in ended(self._heads, now):
            head = self._heads[key]
            if head.attempts >= self._most_attempts:
                reason = f"handed out {head.attempts} times, and not settled within its lease"
                self._die(head.seq, key, Got.LEASED, reason)
            else:
                self._give_back(key, head, None, "its lease ended")

    def _next(self, key: Key) -> None:
        head = self._rows.first(key)
        if head is None:
            self._heads.pop(key, None)
            return
        if head.free_at:
            # The clock may have been moved while the daemon was down.
            head = head._replace(free_at=min(head.free_at, self._clock.now() + self._most_seconds))
            self.soonest = min(self.soonest, head.free_at)
        self._heads[key] = head

    def _load(self) -> None:
        self._heads = {}
        for key in self._rows.keys():  # noqa: SIM118 (no mapping)
            self._next(key)
        self._find_soonest()

    def _find_soonest(self) -> None:
        found = soonest(self._heads, self._clock.now())
        self.soonest = _NEVER if found is None else found

    def _now(self) -> float:
        jump = self._clock.jump()
        if jump:
            self._shift(jump)
        return self._clock.now()

    def _shift(self, jump: float) -> None:
        for key, head in self._heads.items():
            if head.free_at:
                self._heads[key] = head._replace(free_at=head.free_at + jump)
                self._rows.shift(head.seq, jump)
        self._held = {id_: until + jump for id_, until in self._held.items()}
        self.soonest += jump

    def _span(self, seconds: float | None) -> float:
        wanted = self._limits["inbox_lease_seconds"] if seconds is None else seconds
        return min(max(wanted, 0.0), self._most_seconds)

    def _arrived(self, arrived: list[Arrived]) -> None:
        for sender, kind in {(message.sender, message.type) for message, _ in arrived}:
            key = Key(1 if kind == MessageType.ALERT else 0, sender, kind)
            if key not in self._heads:
                self._next(key)
                self._stirred = True

    def _committed(self) -> None:
        if self._stirred:
            self._tell()

    def _tell(self) -> None:
        self._stirred = False
        for call in self._ready:
            call()

    def _undone(self) -> None:
        self._load()
        self._stirred = True


def _refuse_handled(state: Got) -> None:
    if state is Got.HANDLED:
        raise LeaseOver("the message is handled already")
