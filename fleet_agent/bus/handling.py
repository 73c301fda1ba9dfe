"""Hands messages to their handlers, a lease each, and settles them with what came of it.

Not for how a handler is reached (callables) and not for what its end means (``dispatch``).
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from fleet_agent.bus import dispatch
from fleet_agent.bus.dispatch import Asked, Away, Failed, Handled, Result, Speaker
from fleet_agent.bus.heads import Key
from fleet_agent.bus.leases import Leased, LeaseOver, Leases
from fleet_agent.bus.message import Bounds, Message
from fleet_agent.bus.sending import Sending
from fleet_agent.bus.turn import Turn, TurnLost
from fleet_agent.errors import FleetError
from fleet_agent.httpd.loop import Loop, Timer
from fleet_agent.limits import Limits
from fleet_agent.wire import MessageType

_RENEWALS_A_LEASE: Final = 3
# Until what could not be written, or not be sent for a full box, is tried once more.
_AGAIN_SECONDS: Final = 1.0

# Begins to handle a message: (what, who hears of its end) → what cancels it.
Handler = Callable[[Leased, Callable[[Result], None]], Callable[[], None]]

log = logging.getLogger("fleet_agent.bus")


class Handling:
    """The handlers of the wizard ``me``, by type of message.

    One message of a sender and lane is handled at a time, and ``handler_jobs`` in all, besides one
    alert. A message and its answer are settled in one commit; nobody is told anything before.
    """

    def __init__(  # noqa: PLR0917 (made in one place)
        self,
        loop: Loop,
        turn: Turn,
        leases: Leases,
        sending: Sending,
        me: str,
        ids: Callable[[], str],
        handlers: Mapping[str, Handler],
        limits: Limits,
        *,
        now: Callable[[], float] = time.time,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._loop = loop
        self._turn = turn
        self._leases = leases
        self._sending = sending
        self._me = me
        self._ids = ids
        self._handlers = handlers
        self._now = now
        self._dice = dice
        self._live: dict[int, _Task] = {}
        self._asked_for = False
        self._renewal: Timer | None = None
        self._ended = False
        self.trouble = ""  # why no handler can be reached now
        self.limits = limits
        leases.on_dead(self._gave_up)

    @property
    def running(self) -> int:
        """Messages that are with their handlers, or wait for them to be there."""
        return len(self._live)

    def handles(self, kind: str) -> bool:
        """Whether messages of that type have a handler here."""
        return kind in self._handlers

    def start(self) -> None:
        """Hand out from now on, whenever there is something."""
        if self._handlers:
            self._leases.on_ready(self._ready)
            self._ready()

    def stop(self) -> None:
        """End what runs and give it back as if it had not been handed out."""
        self._ended = True
        if self._renewal is not None:
            self._renewal.cancel()
        for task in tuple(self._live.values()):
            task.end()
            try:
                self._leases.release(task.leased.receipt)
            except (LeaseOver, TurnLost) as error:
                log.warning("%s: not given back: %s", task.leased.id, error)
        self._live.clear()

    # Handing out.

    def _ready(self) -> None:
        if not self._asked_for and not self._ended:
            self._asked_for = True
            self._loop.call_next_turn(self._pump)

    def _pump(self) -> None:
        self._asked_for = False
        if self._ended:
            return
        most = self.limits.whole("handler_jobs")
        try:
            # No number of requests may keep an alert from being handled.
            self._take(most + 1 - len(self._live), self._handles_alert)
            self._take(most - len(self._live), self._handles_other)
        except TurnLost:
            return  # the leases say so when the next turn can
        if self._live and self._renewal is None:
            seconds = self.limits["handler_lease_seconds"] / _RENEWALS_A_LEASE
            self._renewal = self._loop.call_later(seconds, self._renew)

    def _handles_alert(self, kind: str) -> bool:
        return kind == MessageType.ALERT and self.handles(kind)

    def _handles_other(self, kind: str) -> bool:
        return kind != MessageType.ALERT and self.handles(kind)

    def _take(self, room: int, only: Callable[[str], bool]) -> None:
        if room <= 0:
            return
        seconds = self.limits["handler_lease_seconds"]
        for leased in self._leases.lease(limit=room, seconds=seconds, only=only):
            lost = self._live.pop(leased.seq, None)
            if lost is not None:
                log.warning("%s: its lease ended while it was handled", leased.id)
                lost.end()
            # It is begun before its lease is on disk: what a crash forgets is handed out again.
            task = self._live[leased.seq] = _Task(leased)
            self._begin(task)

    def _begin(self, task: _Task) -> None:
        task.timer = None
        handler = self._handlers[task.leased.type]
        task.cancel = handler(task.leased, lambda result: self._ended_with(task, result))

    def _renew(self) -> None:
        self._renewal = None
        seconds = self.limits["handler_lease_seconds"]
        for task in tuple(self._live.values()):
            try:
                self._leases.extend(task.leased.receipt, seconds=seconds)
            except LeaseOver as error:
                self._lost(task, error)
            except TurnLost:
                break  # the next renewal comes before the lease ends
        if self._live:
            self._renewal = self._loop.call_later(seconds / _RENEWALS_A_LEASE, self._renew)

    def _lost(self, task: _Task, error: LeaseOver) -> None:
        log.warning("%s: not settled by its handler: %s", task.leased.id, error)
        task.end()
        self._over(task)

    def _over(self, task: _Task) -> None:
        if self._live.get(task.leased.seq) is task:
            del self._live[task.leased.seq]
        self._ready()

    # What came of it.

    def _ended_with(self, task: _Task, result: Result) -> None:
        task.cancel = None
        if isinstance(result, Away):
            self._away(task, result.reason)
            return
        self.trouble = ""
        task.decided = result if isinstance(result, Failed) else self._judged(task, result)
        self._settle(task)

    def _away(self, task: _Task, reason: str) -> None:
        """Nothing was tried, so no attempt is used up: the lease is kept, and it is tried again."""
        if self.trouble != reason:
            log.warning("%s: no handler is there: %s", task.leased.id, reason)
        self.trouble = reason
        task.in_vain += 1
        seconds = dispatch.again_after(self.limits, task.in_vain, self._dice())
        task.timer = self._loop.call_later(seconds, lambda: self._begin(task))

    def _judged(self, task: _Task, result: Handled) -> Failed | _Answer:
        answer = dispatch.answer(task.asked, result, self._speaker())
        return answer if isinstance(answer, Failed) else _Answer(answer)

    def _speaker(self) -> Speaker:
        return Speaker(self._me, self._ids(), self._now(), Bounds.of(self.limits))

    def _settle(self, task: _Task) -> None:
        """All of it in this turn; once more where that can't be."""
        task.timer = None
        receipt, decided = task.leased.receipt, task.decided
        try:
            self._leases.extend(receipt)  # whether it still is ours is known before all else
            if isinstance(decided, Failed):
                seconds = dispatch.again_after(self.limits, task.leased.attempt, self._dice())
                self._leases.nack(receipt, delay_seconds=seconds, reason=decided.reason)
                self._turn.tell(lambda _, told: self._told(task, told), "", None)
            elif decided is not None and self._sent(task, decided.message):
                self._leases.ack(receipt)
        except LeaseOver as error:
            self._lost(task, error)
        except TurnLost:
            self._later(task)

    def _sent(self, task: _Task, message: Message | None) -> bool:
        """Put the answer on its way; False where it has to wait. Raises TurnLost."""

        def told(_: str, outcome: Any) -> None:
            self._told(task, outcome)

        if message is not None:
            try:
                self._sending.send(message, told)
            except TurnLost:
                raise
            except FleetError as error:
                log.warning("%s: is handled, its answer not sent: %s", task.leased.id, error)
                if error.retryable:  # a full box: the answer is there, and kept until it fits
                    self._later(task)
                    return False
            else:
                return True
        self._turn.tell(told, "", None)
        return True

    def _told(self, task: _Task, outcome: Any) -> None:
        """After the commit, or what undid it."""
        if isinstance(outcome, FleetError):
            self._later(task)
        else:
            self._over(task)

    def _later(self, task: _Task) -> None:
        if task.timer is None and not self._ended:
            task.timer = self._loop.call_later(_AGAIN_SECONDS, lambda: self._settle(task))

    def _gave_up(self, id_: str, key: Key, reason: str) -> None:
        """A message is dead: who asked hears of it in the same commit. Raises TurnLost."""
        log.warning("%s: given up: %s", id_, reason)
        message = dispatch.apology(Asked(id_, key.sender, key.type), reason, self._speaker())
        if message is None:
            return
        try:
            self._sending.send(message, lambda _id, _outcome: None)
        except TurnLost:
            raise
        except FleetError as error:
            log.warning("%s: who asked does not hear of it: %s", id_, error)


class _Answer(NamedTuple):
    """A message is handled; ``message`` is what is answered, None where nothing is."""

    message: Message | None


class _Task:
    """One message on its way through a handler. ``timer`` is for what is tried again."""

    __slots__ = ("asked", "cancel", "decided", "in_vain", "leased", "timer")

    def __init__(self, leased: Leased) -> None:
        self.leased = leased
        self.asked = Asked(leased.id, leased.sender, leased.type)
        self.cancel: Callable[[], None] | None = None
        self.decided: Failed | _Answer | None = None
        self.timer: Timer | None = None
        self.in_vain = 0

    def end(self) -> None:
        """Let it be."""
        if self.cancel is not None:
            self.cancel()
        if self.timer is not None:
            self.timer.cancel()
