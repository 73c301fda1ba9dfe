"""At boot: finishes a run that this machine's going down cut off, before the daemons start.

Timers vanish with a boot, so what waited for a confirmation is put back at once. Nothing is
started and waited for here, because everything that could be started is ordered after us.
"""

from __future__ import annotations

from typing import Final

from fleet_agent.node import back, lock, timer, work
from fleet_agent.node import journal as journals
from fleet_agent.node.journal import Book
from fleet_agent.node.layout import Layout
from fleet_agent.node.log import Log

PHASE: Final = "recovery at boot"
_LOCK_SECONDS: Final = 60.0


def run(layout: Layout) -> bool:
    """Whether anything was put back. Raises FleetError where that can't be done."""
    journal = journals.read(layout)
    if journal is None or not journal.unfinished or journal.boot == timer.boot_id():
        return False
    log = Log(f"deploy {journal.deploy}")
    with lock.taken(
        layout,
        lock.me(journal.deploy, journal.nonce, PHASE, journal.holder),
        _LOCK_SECONDS,
        own=True,
    ):
        book = Book(layout)
        found = book.of(journal.nonce)
        if found is None or not found.unfinished:
            return False
        log.say(
            f"was {found.state} (after step {found.step or 'none'}) when this machine went down; "
            f"putting it back to {found.baseline or 'nothing'}"
        )
        back.own_at_boot(work.of_journal(layout, book, found, log), found)
        log.say("this machine goes on booting as it was before the deploy")
    return True
