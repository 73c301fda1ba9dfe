"""A run's events folded into what is known: who was touched, who is through, what failed first.

Pure: ``Progress.after(event)`` returns the next value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fleet_agent.wire import Phase

_TOUCHING = tuple(phase.value for phase in Phase)[1:]
# What an older ansible-core says of a node that went silent behind a connection that is still open;
# and any ansible-core of a sudo that asks DNS for the machine's own name.
_SILENT = "waiting for privilege escalation prompt"
_UNREACHABLE_MEND = "is it on, and does ssh reach it?"
_SILENT_MEND = f"{_UNREACHABLE_MEND} Then sudo is slow there: is its own name in its /etc/hosts?"
_UNANSWERED_MEND = f"Ansible's own words are in ansible.log of the run; {_SILENT_MEND}"


@dataclass(frozen=True, slots=True)
class Failure:
    """What failed on one host, in the node's or Ansible's own words.

    ``seen`` is the deploy number that the node has seen, where it refused a lower one.
    """

    host: str
    phase: str
    task: str
    what: str
    where: str = ""
    mend: str = ""
    unreachable: bool = False
    unit_log: tuple[str, ...] = ()
    health: Mapping[str, Any] | None = None
    seen: int = 0

    def sentence(self) -> str:
        """One line for a log or a table."""
        where = f" ({self.where})" if self.where else ""
        return f"{self.host} failed in {self.phase or 'the play'}{where}: {self.what}"

    def as_dict(self) -> dict[str, Any]:
        """The failure as it stands in results."""
        return {
            "host": self.host,
            "phase": self.phase,
            "task": self.task,
            "what": self.what,
            "where": self.where,
            "mend": self.mend,
            "unreachable": self.unreachable,
            "unit_log": list(self.unit_log),
            "health": None if self.health is None else dict(self.health),
            "seen": self.seen,
        }


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run's events have told so far.

    ``maybe_touched``: hosts on which a phase that may write was begun. ``armed``: hosts that wait
    for their confirmation. ``through``: hosts whose last phase ended well. ``phases``: seconds by
    host and phase. ``evidence``: the last one by host and phase.
    """

    hosts: frozenset[str] = frozenset()
    maybe_touched: frozenset[str] = frozenset()
    touched: frozenset[str] = frozenset()
    armed: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    through: frozenset[str] = frozenset()
    failures: tuple[Failure, ...] = ()
    phases: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    evidence: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    diffs: Mapping[str, tuple[Mapping[str, str], ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def after(self, event: Mapping[str, Any]) -> Progress:
        """The progress after one more event."""
        kind, host, phase = event.get("event"), event.get("host"), str(event.get("phase") or "")
        if not isinstance(host, str):
            return self
        if kind == "start":
            begun = self.maybe_touched | {host} if phase in _TOUCHING else self.maybe_touched
            return replace(self, hosts=self.hosts | {host}, maybe_touched=begun)
        if kind not in ("ok", "failed", "unreachable"):
            return self
        known = self._with_result(host, phase, event)
        if kind == "ok":
            through = phase == Phase.AUDIT.value
            return replace(known, through=known.through | {host}) if through else known
        if event.get("ignored"):
            return known
        failure = _failure(host, phase, event)
        return replace(known, failures=(*known.failures, failure), through=known.through - {host})

    def _with_result(self, host: str, phase: str, event: Mapping[str, Any]) -> Progress:
        result = _result(event)
        seconds = self.phases.get(host, {})
        if event.get("seconds") is not None:
            total = round(seconds.get(phase, 0.0) + float(event["seconds"]), 3)
            seconds = {**seconds, phase: total}
        diff = self.diffs.get(host, ()) + tuple(result.get("diff") or ())
        seen = {
            **self.evidence.get(host, {}),
            **({phase: result["evidence"]} if result.get("evidence") else {}),
        }
        one = frozenset((host,))
        return replace(
            self,
            hosts=self.hosts | one,
            phases={**self.phases, host: seconds},
            touched=self.touched | one if result.get("touched") else self.touched,
            armed=self.armed | one if result.get("armed") else self.armed,
            changed=self.changed | one if event.get("changed") else self.changed,
            diffs={**self.diffs, host: diff},
            evidence={**self.evidence, host: seen},
            notes=self.notes + tuple(f"{host}: {note}" for note in result.get("notes") or ()),
        )


def fold(events: Iterable[Mapping[str, Any]]) -> Progress:
    """The progress after all of ``events``."""
    progress = Progress()
    for event in events:
        progress = progress.after(event)
    return progress


def _result(event: Mapping[str, Any]) -> Mapping[str, Any]:
    found = event.get("result")
    return found if isinstance(found, Mapping) else {}


def _failure(host: str, phase: str, event: Mapping[str, Any]) -> Failure:
    error = _result(event).get("error") or {}
    what = error.get("what") or event.get("message") or "no message"
    silent = not error and _SILENT in str(what)
    unreachable = silent or event.get("event") == "unreachable"
    mend = error.get("mend") or ""
    if unreachable and not mend:
        mend = _SILENT_MEND if silent else _UNREACHABLE_MEND
    if event.get("unanswered") is True and not mend:
        mend = _UNANSWERED_MEND
    return Failure(
        host=host,
        phase=phase,
        task=str(event.get("task") or ""),
        what=f"cannot be reached: {what}" if unreachable else str(what),
        where=str(error.get("where") or ""),
        mend=str(mend),
        unreachable=unreachable,
        unit_log=tuple(str(line) for line in error.get("unit_log") or ()),
        health=error.get("health"),
        seen=int(error.get("seen") or 0),
    )
