"""The journal of this node's deploys: one frozen value, a table of moves, a file replaced whole.

Whoever moves it holds the node's lock; a move names the states it may come from, so that
confirming and expiring are one compare-and-set. What the way back needs is ``baseline.json``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from fleet_agent.errors import IllegalMove, NodeError
from fleet_agent.node import durable, steps
from fleet_agent.node.layout import Layout

VERSION: Final = 1

OPEN: Final = "open"
ARMED: Final = "armed"
CONFIRMED: Final = "confirmed"
CLAIMED: Final = "claimed"
EXPIRING: Final = "expiring"
REVERTED: Final = "reverted"

# open → armed → confirmed; the orchestrator's way back is claimed → reverted, the node's own
# expiring → reverted. A way back of the node's own that failed may be taken over.
MOVES: Final[Mapping[str, frozenset[str]]] = {
    OPEN: frozenset((ARMED, CLAIMED, EXPIRING)),
    ARMED: frozenset((CONFIRMED, CLAIMED, EXPIRING)),
    CONFIRMED: frozenset((CLAIMED,)),
    EXPIRING: frozenset((CLAIMED, REVERTED)),
    CLAIMED: frozenset((EXPIRING, REVERTED)),
    REVERTED: frozenset(),
}
UNFINISHED: Final = frozenset((OPEN, ARMED, CLAIMED, EXPIRING))


class Journal(NamedTuple):
    """One run on this node. Times are Unix seconds, ``boot`` is the boot that it began in.

    ``deadline`` is in seconds of that boot's uptime, ``deadline_at`` says the same to people.
    """

    state: str
    deploy: int
    nonce: str
    commit: str
    holder: str
    layout: Mapping[str, Any]
    boot: str
    opened_at: float
    baseline: str | None
    target: str
    limits: Mapping[str, float]
    step: str = ""
    deadline: float | None = None
    deadline_at: float | None = None
    ended_at: float | None = None
    note: str = ""

    @property
    def confirm_seconds(self) -> float:
        """How long this node waits to hear of the run again before it goes back by itself."""
        return self.limits["deploy_confirm_seconds"]

    @property
    def unfinished(self) -> bool:
        """Whether it still waits for something: a phase, a confirmation, a way back."""
        return self.state in UNFINISHED


class WrongState(NodeError):  # noqa: N818 (it reads as what it is)
    """The journal is not in a state that this act may begin from."""

    title = "the node's journal is in another state"


def after(journal: Journal, to: str, **changes: Any) -> Journal:
    """``journal`` moved to ``to``. Raises IllegalMove when the table has no such move."""
    if to not in MOVES[journal.state]:
        raise IllegalMove("the journal of a node", journal.state, to)
    return journal._replace(state=to, **changes)


def read(layout: Layout) -> Journal | None:
    """The journal on this node, None where nothing was ever deployed.

    Raises NodeError when it can't be understood: then nobody knows what this node must return to.
    """
    data = durable.read_json(layout.journal)
    if data is None:
        return None
    if not isinstance(data, dict) or data.pop("v", None) != VERSION:
        raise NodeError("is of another version", where=layout.journal)
    try:
        found = Journal(**data)
    except TypeError as error:
        raise NodeError(f"is damaged: {error}", where=layout.journal) from None
    if found.state not in MOVES:
        raise NodeError(f"has the unknown state {found.state!r}", where=layout.journal)
    return found


class Book:
    """The journal in the hand of one process, which must hold the lock when it writes.

    ``kill_at`` is a step that a test wants this process to die at.
    """

    def __init__(self, layout: Layout, kill_at: str = "") -> None:
        self._layout = layout
        self._kill_at = kill_at
        self._journal = read(layout)

    @property
    def journal(self) -> Journal | None:
        """What was read or written last."""
        return self._journal

    def of(self, nonce: str) -> Journal | None:
        """The journal if it is that of the run ``nonce``."""
        found = self._journal
        return found if found is not None and found.nonce == nonce else None

    def open(self, journal: Journal) -> None:
        """Begin a run. Raises WrongState while another run is unfinished."""
        before = self._journal
        if before is not None and before.unfinished:
            raise WrongState(
                f"deploy {before.deploy} is still {before.state} here", where=self._layout.journal
            )
        self._write(journal)
        self.step(steps.JOURNAL_OPENED)

    def move(self, come_from: Collection[str], to: str, **changes: Any) -> Journal:
        """Move on, fsynced. Raises WrongState unless the state is one of ``come_from``."""
        before = self._journal
        if before is None or before.state not in come_from:
            raise WrongState(
                "nothing was deployed here" if before is None else _told(before),
                where=self._layout.journal,
            )
        moved = after(before, to, **changes)
        self._write(moved)
        return moved

    def move_deadline(self, deadline: float, deadline_at: float) -> None:
        """Give a run that the timer waits for more time, fsynced."""
        if self._journal is not None and self._journal.deadline is not None:
            self._write(self._journal._replace(deadline=deadline, deadline_at=deadline_at))

    def step(self, name: str) -> None:
        """Note that ``name`` is done, fsynced, if a run is under way."""
        if self._journal is not None and self._journal.unfinished:
            self._write(self._journal._replace(step=name))
        steps.die_here(self._layout, self._kill_at, name)

    def _write(self, journal: Journal) -> None:
        durable.write_json(self._layout.journal, {"v": VERSION, **journal._asdict()})
        self._journal = journal


def _told(journal: Journal) -> str:
    why = f" ({journal.note})" if journal.note else ""
    return f"deploy {journal.deploy} (run {journal.nonce}) is {journal.state} here{why}"
