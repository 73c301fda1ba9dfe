"""One entry of the queue from fetch to end: what is asked of Git, what is decided, what is run.

Not for the order of entries (``services.deploy``) nor for what a deploy does (the pipeline).
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from fleet_agent.deploy import checkout, history, live, twins
from fleet_agent.deploy import rules as deploy_rules
from fleet_agent.deploy.entry import Kind, QueueEntry
from fleet_agent.deploy.paths import DeployPaths
from fleet_agent.deploy.progress import fold
from fleet_agent.deploy.queue import Queue
from fleet_agent.deploy.rules import Rules
from fleet_agent.deploy.source import Peeled, Source
from fleet_agent.deploy.verdict import Outcome
from fleet_agent.deploy.work import Execute, Recover, Work
from fleet_agent.errors import FleetError, RequestError
from fleet_agent.forge.refs import short
from fleet_agent.services.changes import Changes
from fleet_agent.wire import DeployState

_log = logging.getLogger("fleet_agent.deploy")

_LATELY_SECONDS: Final = 3600.0
_MOST_NUMBERS_AHEAD: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Worker:
    """Works entries, one at a time. ``changes`` rings for each thing that followers may see."""

    paths: DeployPaths
    queue: Queue
    source: Source
    execute: Execute
    recover: Recover
    changes: Changes
    read_rules: Callable[[DeployPaths], Rules] = deploy_rules.read

    def work(self, entry: QueueEntry) -> QueueEntry:
        """Bring a running entry to its end. Only an end of the process leaves it running."""
        directory = self.paths.run(entry.id)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self._note(entry, f"{entry.tag or entry.commit}, asked for by {entry.requested_by or '?'}")
        try:
            ready = self._prepare(entry)
            if isinstance(ready, twins.Nothing):
                _log.info("deploy %d: %s", entry.id, ready.reason)
                ended = self.queue.finish(
                    entry.id, ready.state, ready.reason, twin_of=ready.twin_of
                )
                return self._ended(ended)
        except FleetError as error:
            return self._refuse(entry, error)
        except Exception as error:  # noqa: BLE001 (one entry must not end the service)
            return self._bug(entry, error, unsure=False)
        return self._run(ready, self.execute)

    def resume(self, entry: QueueEntry) -> QueueEntry:
        """Deal with an entry that was running when the service ended: anew, or the way back."""
        if entry.executed_at is None or entry.kind is Kind.CHECK:
            return self._again(entry)
        _log.warning("deploy %d: was ended in mid-run; it is put back first", entry.id)
        self._note(entry, "fleet-deploy was ended in mid-run; the way back begins")
        try:
            work = self._work_of(entry, self.read_rules(self.paths))
        except FleetError as error:
            return self._bug(entry, error, unsure=True)
        return self._run(work, self.recover)

    def _again(self, entry: QueueEntry) -> QueueEntry:
        why = "fleet-deploy was ended before a node could be touched; it begins anew"
        _log.warning("deploy %d: %s", entry.id, why)
        self.queue.again(entry.id, why)
        return self.work(entry)

    def _prepare(self, entry: QueueEntry) -> Work | twins.Nothing:
        rules = self.read_rules(self.paths)
        if entry.fetch:
            began = time.monotonic()
            self.source.fetch(rules.repository, rules.limits["deploy_fetch_seconds"])
            self._note(entry, f"fetched in {time.monotonic() - began:.2f} s")
        peeled = self._peel(entry)
        entry = self.queue.peeled(entry.id, peeled.commit, peeled.tag_object)
        self.changes.ring()
        if entry.kind is Kind.HOOK:
            nothing = self._judge(entry, peeled, rules)
            if nothing is not None:
                return nothing
            self.source.must_lie_on(peeled.commit, rules.branch)
        elif entry.fetch and not self.source.lies_on(peeled.commit, rules.branch):
            self._note(
                entry,
                f"commit {short(peeled.commit)} is not on {rules.branch}; its templates and tasks "
                f"run on the orchestrator all the same, asked for by {entry.requested_by}",
            )
        self.source.keep(entry.id, peeled.commit)
        work = self._work_of(entry, rules)
        checkout.check_out(self.source, peeled.commit, work.tree, rules.limits)
        self._note(entry, f"commit {short(peeled.commit)} checked out")
        return work

    def _peel(self, entry: QueueEntry) -> Peeled:
        self.source.prepare()
        if entry.kind is Kind.HOOK:
            return self.source.peel(entry.ref)
        return self.source.find(entry.commit or entry.ref)

    def _judge(self, entry: QueueEntry, peeled: Peeled, rules: Rules) -> twins.Nothing | None:
        if not rules.hook.takes_tag(entry.tag):
            raise RequestError(
                f"tag {entry.tag} is not the one that deploys ({rules.tag})", where=entry.ref
            )
        with self.queue.reading() as db:
            events = history.events_of(db, entry.id)
            attempts = history.attempts(db, entry.ref, entry.id)
            fleet = history.fleet_now(db)
            now = time.time()
            failed = history.failed_of_hook(db, peeled.commit, now - _LATELY_SECONDS, now)
        known = {event.hint for event in events if self.source.has(event.hint)}
        return twins.judge(peeled, events, attempts, fleet, known) or twins.worn_out(
            peeled, failed, rules.limits.whole("deploy_hook_tries")
        )

    def _work_of(self, entry: QueueEntry, rules: Rules) -> Work:
        directory = self.paths.run(entry.id)

        def tell(event: Mapping[str, Any]) -> None:
            if "mode" not in event:
                live.append_note(directory, event)
            self.changes.ring()

        return Work(entry, self.paths, rules, directory, os.path.join(directory, "tree"), tell)

    def _run(self, work: Work, step: Execute | Recover) -> QueueEntry:
        entry = work.entry
        try:
            entry = self.queue.executing(entry.id)
            outcome = step(work)
        except FleetError as error:
            if not _maybe_touched(work.directory):
                return self._refuse(entry, error)
            if step is self.recover:
                return self._bug(entry, error, unsure=True)
            _log.error("deploy %d: %s; the way back begins", entry.id, error)
            return self._run(work, self.recover)
        except Exception as error:  # noqa: BLE001 (one entry must not end the service)
            return self._bug(entry, error, unsure=True)
        if outcome is None:
            return self._again(entry)
        return self._finish(entry, outcome)

    def _finish(self, entry: QueueEntry, outcome: Outcome) -> QueueEntry:
        failed = outcome.state is DeployState.FAILED
        reason = outcome.reason + self._renumbered(entry, outcome.result.get("seen", 0))
        ended = self.queue.finish(
            entry.id,
            outcome.state,
            reason,
            result=outcome.result,
            ran=True,
            unsure=failed and _in_doubt(outcome.result),
        )
        return self._ended(ended)

    def _renumbered(self, entry: QueueEntry, seen: int) -> str:
        """Go on above a number that nodes have seen: this history is younger than the fleet.

        So it is when an orchestrator was made anew. A node that lies may not use the numbers up.
        """
        if not entry.id <= seen <= entry.id + _MOST_NUMBERS_AHEAD:
            return ""
        self.queue.number_above(seen)
        _log.warning("deploy %d: a node has seen deploy %d; numbers go on above it", entry.id, seen)
        return f"; the next deploy's number is above {seen}, so deploy again"

    def _refuse(self, entry: QueueEntry, error: FleetError) -> QueueEntry:
        # Files of the commit are named as its author knows them.
        tree = os.path.join(self.paths.run(entry.id), "tree") + os.sep
        error.where = error.where.replace(tree, "")
        mistakes = [str(mistake).replace(tree, "") for mistake in getattr(error, "mistakes", ())]
        cause = {
            "host": "fleet-deploy",
            "phase": "",
            "what": error.what,
            "where": error.where,
            "mend": error.mend,
            "mistakes": mistakes,
        }
        result = {"cause": cause, "touched": [], "put_back": [], "unconfirmed": []}
        return self._ended(
            self.queue.finish(
                entry.id, DeployState.FAILED, f"{error}; no node was touched", result=result
            )
        )

    def _bug(self, entry: QueueEntry, error: Exception, *, unsure: bool) -> QueueEntry:
        _log.exception("deploy %d: failed by a mistake in fleet-agent", entry.id)
        doubt = "nodes may be left as they are" if unsure else "no node was touched"
        reason = f"{type(error).__name__}: {error}; {doubt} (see fleet-deploy's log)"
        return self._ended(
            self.queue.finish(entry.id, DeployState.FAILED, reason, ran=unsure, unsure=unsure)
        )

    def _ended(self, entry: QueueEntry) -> QueueEntry:
        directory = self.paths.run(entry.id)
        path = os.path.join(directory, "result.json")
        try:
            with open(path, "w", encoding="utf-8") as file:
                json.dump(entry.whole(), file, indent=1)
        except OSError as error:
            # The history has it already, and it is over: a failed report must undo nothing.
            _log.warning("deploy %d: %s: %s", entry.id, path, error.strerror)
        _log.info("deploy %d: %s: %s", entry.id, entry.state, entry.reason)
        self.changes.ring()
        return entry

    def _note(self, entry: QueueEntry, message: str) -> None:
        _log.info("deploy %d: %s", entry.id, message)
        event = {"t": time.time(), "event": "note", "message": message}
        live.append_note(self.paths.run(entry.id), event)
        self.changes.ring()

    def prune(self, keep: int, most_said_bytes: int) -> None:
        """Remove what all but the newest ``keep`` deploys left, or fewer where nodes said more in
        them than ``most_said_bytes``; the history's rows stay, without what was only evidence."""
        try:
            numbers = sorted(int(name) for name in os.listdir(self.paths.runs) if name.isdigit())
        except FileNotFoundError:
            return
        with self.queue.reading() as db:
            now = history.fleet_now(db)
        kept = self._kept(numbers, keep, most_said_bytes)
        self.queue.let_go(numbers[-keep] if len(numbers) > keep else 0)
        for number in numbers:
            if number in kept:
                continue
            if now is None or number != now.deploy:
                checkout.remove(self.paths.run(number))
                if not self._may_go_back_to(number):
                    self.source.forget(number)

    def _kept(self, numbers: list[int], keep: int, most_said_bytes: int) -> frozenset[int]:
        """Which of ``numbers``, oldest first, keep their files: always the newest one."""
        kept: set[int] = set()
        said = 0
        for number in reversed(numbers[-keep:]):
            said += _said_bytes(self.paths.run(number))
            if kept and said > most_said_bytes:
                break
            kept.add(number)
        return frozenset(kept)

    def _may_go_back_to(self, number: int) -> bool:
        try:
            with self.queue.reading() as db:
                entry = history.get(db, number)
        except RequestError:
            return False  # a folder that no deploy of this history made
        return entry.ran and entry.state is DeployState.VERIFIED


def _said_bytes(directory: str) -> int:
    """Bytes of the files of a deploy that grow with what nodes say."""
    sizes = 0
    for name in (*live.FILES, "ansible.log", "result.json"):
        with suppress(FileNotFoundError):
            sizes += os.lstat(os.path.join(directory, name)).st_size
    return sizes


def _maybe_touched(directory: str) -> bool:
    events, _ = live.read(directory, live.START)
    return bool(fold(events).maybe_touched)


def _in_doubt(result: Mapping[str, Any]) -> bool:
    """Whether a failed deploy leaves nodes of which nobody knows what they run."""
    return bool(result.get("unconfirmed", result.get("touched", True)))
