"""Rows of the queue and its history as values. Not for SQL (``queue``, ``history``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from fleet_agent.forge.refs import short
from fleet_agent.wire import DeployState


class Kind(StrEnum):
    """What asked for a deploy."""

    HOOK = "hook"
    MANUAL = "manual"
    ROLLBACK = "rollback"
    CHECK = "check"


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """One deploy as it stands. Times are Unix seconds, None where it did not come to that.

    ``commit`` and ``tag_object`` are empty until the ref was peeled. ``ran``: the pipeline was run
    to its end. ``unsure``: it ended, and some node may run something else than the fleet should.
    """

    id: int
    state: DeployState
    kind: Kind
    ref: str
    hint: str
    commit: str
    tag_object: str
    nonce: str
    requested_by: str
    source: str
    fetch: bool
    back_to: int | None
    twin_of: int | None
    queued_at: float
    started_at: float | None
    executed_at: float | None
    ended_at: float | None
    ran: bool
    unsure: bool
    reason: str
    result: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """The name of the ref without refs/tags/ or refs/heads/."""
        return self.ref.removeprefix("refs/tags/").removeprefix("refs/heads/")

    @property
    def seconds(self) -> float | None:
        """From its start to its end."""
        if self.started_at is None or self.ended_at is None:
            return None
        return self.ended_at - self.started_at

    def summary(self) -> dict[str, Any]:
        """What lists show; everything but the result."""
        value = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "result"}
        return value | {"commit_short": short(self.commit), "seconds": self.seconds}

    def whole(self) -> dict[str, Any]:
        """Everything."""
        return self.summary() | {"result": dict(self.result)}


COLUMNS = ", ".join(f'"{one.name}"' for one in fields(QueueEntry))


def from_row(row: tuple[Any, ...]) -> QueueEntry:
    """The entry of a row that was selected by COLUMNS."""
    value = dict(zip((one.name for one in fields(QueueEntry)), row, strict=True))
    value["state"] = DeployState(value["state"])
    value["kind"] = Kind(value["kind"])
    value["result"] = json.loads(value["result"])
    for name in ("fetch", "ran", "unsure"):
        value[name] = bool(value[name])
    return QueueEntry(**value)


@dataclass(frozen=True, slots=True)
class Submission:
    """A pushed tag, as the hook hands it over. ``twin``: the second event of a push."""

    forge: str
    event: str
    delivery: str
    ref: str
    hint: str = ""
    twin: bool = False
    pusher: str = ""
    repository: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """A delivery that deploys nothing: ``outcome`` is ``ignored`` or ``refused``."""

    forge: str
    event: str
    delivery: str
    outcome: str
    reason: str
    signed: bool
    ref: str = ""
    pusher: str = ""
    repository: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a submission: ``queued``, ``folded`` into a deploy, or ``repeated``."""

    deploy: int
    state: DeployState
    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A deploy that somebody asked for by hand. ``fetch``: bring the mirror up to date first."""

    kind: Kind
    ref: str
    requested_by: str
    source: str
    fetch: bool = True
    commit: str = ""
    back_to: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One delivery of a pushed tag, as far as judging twins needs it."""

    deploy: int
    hint: str
    twin: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """A deploy of a ref that was begun or overtaken: what the ref named, and what it answers.

    ``commit`` and ``tag_object`` are empty as long as the ref was not peeled.
    """

    deploy: int
    state: DeployState
    commit: str
    tag_object: str
    events: tuple[Event, ...]

    def is_at(self, value: str) -> bool:
        """Whether ``value``, a forge's hint, is where the ref pointed (as far as is known)."""
        if self.commit:
            return bool(value) and value in (self.commit, self.tag_object)
        return bool(value) and any(value == event.hint for event in self.events)

    @property
    def answered_push(self) -> bool:
        """Whether a push (not its twin) to where the ref pointed is already counted for it."""
        return any(not event.twin and self.is_at(event.hint) for event in self.events)


@dataclass(frozen=True, slots=True)
class FleetNow:
    """What the fleet runs by the history: the last verified deploy. ``unsure``: a later one
    failed with a node unconfirmed, so some node may run something else."""

    deploy: int
    commit: str
    unsure: bool
