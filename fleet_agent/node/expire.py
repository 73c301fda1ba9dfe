"""What the confirm timer runs: nobody confirmed, so this node puts itself back."""

from __future__ import annotations

import time
from typing import Final

from fleet_agent.errors import FleetError
from fleet_agent.node import back, lock, timer, work
from fleet_agent.node import journal as journals
from fleet_agent.node.journal import ARMED, CLAIMED, EXPIRING, REVERTED, Book, Journal
from fleet_agent.node.layout import Layout
from fleet_agent.node.log import Log

PHASE: Final = "the node's own way back"
# An orchestrator that claimed the way back and then went silent is waited for like any other.
WAITING: Final = (ARMED, CLAIMED, EXPIRING)
_TRIES: Final = 3
_PAUSE_SECONDS: Final = 5.0
_LOCK_SECONDS: Final = 600.0


def run(layout: Layout, nonce: str) -> bool:
    """Wait for the deadline, which phases move on, then go back; whether all is well.

    Raises FleetError when the lock is not to be had.
    """
    while True:
        journal = journals.read(layout)
        if journal is None or journal.nonce != nonce or journal.state not in WAITING:
            return True
        left = _left(journal)
        if left > 0 and journal.state != EXPIRING:
            time.sleep(min(left, 1.0))
            continue
        who = lock.me(journal.deploy, nonce, PHASE, journal.holder)
        with lock.taken(layout, who, _LOCK_SECONDS, own=True):
            done = _expire(layout, nonce)
        if done is not None:
            return done


def _left(journal: Journal) -> float:
    return 0.0 if journal.deadline is None else journal.deadline - timer.uptime()


def _expire(layout: Layout, nonce: str) -> bool | None:
    """Go back, under the lock; None when a phase has moved the deadline while we waited for it."""
    book = Book(layout)
    journal = book.of(nonce)
    if journal is None or journal.state not in WAITING:
        return True
    if journal.state != EXPIRING and _left(journal) > 0:
        return None
    log = Log(f"deploy {journal.deploy}")
    log.say(
        f"is {journal.state}, and nobody was heard of for {journal.confirm_seconds:g} s; this node "
        f"puts itself back to {journal.baseline or 'nothing'}"
    )
    for attempt in range(1, _TRIES + 1):
        act = work.of_journal(layout, book, journal, log)
        try:
            back.own(act, book.of(nonce) or journal)
        except Exception as error:  # noqa: BLE001 (whatever it is, the node must try again)
            log.say(f"way back, try {attempt} of {_TRIES}: {_told(error)}")
            if attempt < _TRIES:
                time.sleep(_PAUSE_SECONDS)
            continue
        now = book.of(nonce)
        log.say(f"the node is back ({now.note if now else REVERTED})")
        return True
    log.say("this node could not put itself back whole; it tries again at its next boot")
    return False


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, FleetError) else f"{type(error).__name__}: {error}"
