"""What fleet-deploy answers to each word of its socket. Reads and queues; never deploys itself."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from fleet_agent.deploy import history, live, protocol, states
from fleet_agent.deploy.entry import Kind, QueueEntry, Request, Seen, Submission
from fleet_agent.deploy.paths import DeployPaths
from fleet_agent.deploy.queue import Queue
from fleet_agent.deploy.rules import Rules
from fleet_agent.errors import RequestError, TryAgain
from fleet_agent.forge import refs
from fleet_agent.services.changes import Changes
from fleet_agent.services.deploy_rights import Caller, Rights

_log = logging.getLogger("fleet_agent.deploy")

_BEAT_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.5
_MOST_LISTED: Final = 1000
_MOST_WAITED_SECONDS: Final = 3600.0

Line = protocol.Line
# A word that another room answers (``status``): takes the question, returns what is added to ok.
Asked = Callable[[Line], Mapping[str, Any]]
# The same for a word that must know who asks.
AskedBy = Callable[[Caller, Line], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Words:
    """Answers. ``read_rules`` reads the rules in force; ``more`` and ``keys`` are others' words.

    ``followers`` are the places of those who wait for what comes.
    """

    paths: DeployPaths
    queue: Queue
    changes: Changes
    rights: Rights
    read_rules: Callable[[DeployPaths], Rules]
    followers: threading.Semaphore
    more: Mapping[str, Asked] = field(default_factory=dict)
    keys: Mapping[str, AskedBy] = field(default_factory=dict)

    def answer(self, caller: Caller, line: Line) -> Iterable[Line]:
        """The answers to one question. Raises FleetError, RequestError for a bad question."""
        do = line.get("do")
        if not isinstance(do, str):
            raise RequestError('a question needs a word, {"do": ...}')
        self.rights.check(caller, do)
        if do == protocol.FOLLOW:
            return self._follow(line)
        if do in self.more:
            return [{"ok": True, **self.more[do](line)}]
        if do in self.keys:
            return [{"ok": True, **self.keys[do](caller, line)}]
        word = _WORDS.get(do)
        if word is None:
            raise RequestError(f"there is no word {do!r}", status=404)
        return [{"ok": True, **word(self, caller, line)}]

    # From the hook.

    def submit(self, caller: Caller, line: Line) -> Mapping[str, Any]:
        """A pushed tag. The rule is looked at again: a daemon can ask for no other ref."""
        pushed = protocol.read_as(Submission, line)
        rules = self.read_rules(self.paths)
        tag = pushed.ref.removeprefix(refs.TAGS)
        if tag == pushed.ref or not refs.is_ref_name(tag) or not rules.hook.takes_tag(tag):
            raise RequestError(
                f"{pushed.ref} is not what deploys ({refs.TAGS}{rules.tag})", where="submit"
            )
        receipt = self.queue.submit(pushed)
        _log.info(
            "deploy %d: %s of %s by %s (%s %s): %s",
            receipt.deploy, pushed.event, pushed.ref, pushed.pusher or "?", pushed.forge,
            pushed.delivery, receipt.status,
        )  # fmt: skip
        self.changes.ring()
        return {
            "deploy": receipt.deploy,
            "state": receipt.state.value,
            "status": receipt.status,
            "reason": receipt.reason,
        }

    def record(self, caller: Caller, line: Line) -> Mapping[str, Any]:
        """A delivery that deploys nothing."""
        seen = protocol.read_as(Seen, line)
        if seen.outcome not in ("ignored", "refused"):
            raise RequestError("outcome must be ignored or refused", where="record")
        number = self.queue.record(seen)
        self.changes.ring()
        return {"number": number}

    # By hand.

    def deploy(self, caller: Caller, line: Line) -> Mapping[str, Any]:
        """Deploy a ref (by default the configured tag), also what is running already."""
        return self._asked(caller, line, Kind.MANUAL)

    def check(self, caller: Caller, line: Line) -> Mapping[str, Any]:
        """A dry run of a ref."""
        return self._asked(caller, line, Kind.CHECK)

    def _asked(self, caller: Caller, line: Line, kind: Kind) -> Mapping[str, Any]:
        ref, fetch = line.get("ref"), line.get("fetch", True)
        if ref is None:
            tag = self.read_rules(self.paths).tag
            if not refs.is_ref_name(tag):
                raise RequestError(
                    f"the tag rule {tag!r} is a pattern", mend="say which: --ref TAG"
                )
            ref = refs.TAGS + tag
        if not isinstance(ref, str) or not refs.is_ref_name(ref) or not isinstance(fetch, bool):
            raise RequestError(f"{ref!r} cannot be a tag, branch or commit", where=kind.value)
        asked = self.queue.ask(Request(kind, ref, caller.name, "socket", fetch))
        self.changes.ring()
        return {"deploy": asked.summary()}

    def rollback(self, caller: Caller, line: Line) -> Mapping[str, Any]:
        """Deploy the verified commit before, from the mirror: nothing of the network is needed."""
        with self.queue.reading() as db:
            target, commit = history.way_back(db)
        request = Request(
            Kind.ROLLBACK, f"refs/deploys/{target}", caller.name, "socket", False, commit, target
        )
        asked = self.queue.ask(request)
        self.changes.ring()
        return {"deploy": asked.summary(), "back_to": target}

    # Questions.

    def listed(self, caller: Caller, line: Line) -> Mapping[str, Any]:
        """The newest deploys."""
        with self.queue.reading() as db:
            found = history.listed(db, _number(line, "limit", 20, _MOST_LISTED))
        return {"deploys": [one.summary() for one in found]}

    def show(self, caller: Caller, line: Line) -> Mapping[str, Any]:
        """Everything about one deploy, the newest one where no number is given."""
        with self.queue.reading() as db:
            found = self._deploy(line)
            return {
                "deploy": found.whole(),
                "moves": history.moves(db, found.id),
                "deliveries": history.deliveries(db, deploy=found.id),
            }

    def deliveries(self, caller: Caller, line: Line) -> Mapping[str, Any]:
        """The newest deliveries; with ``wait`` (seconds) the first one after ``after``."""
        wait = line.get("wait", 0)
        if not isinstance(wait, int | float) or not 0 <= wait <= _MOST_WAITED_SECONDS:
            raise RequestError(f"wait must lie between 0 and {_MOST_WAITED_SECONDS:g} seconds")
        after, limit = line.get("after", 0), _number(line, "limit", 20, _MOST_LISTED)
        if not isinstance(after, int):
            raise RequestError("after must be the number of a delivery")
        end = time.monotonic() + wait
        with self._place():
            while True:
                seen = self.changes.count
                with self.queue.reading() as db:
                    found = history.deliveries(db, after=after, limit=limit)
                    last = history.last_delivery(db)
                left = end - time.monotonic()
                if found or left <= 0:
                    return {"deliveries": found, "last": last}
                self.changes.wait(seen, left)

    def _follow(self, line: Line) -> Iterator[Line]:
        """A deploy's events and states until it has ended."""
        with self._place():
            yield from self._followed(self._deploy(line), line)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self.followers.acquire(blocking=False):
            raise TryAgain("too many clients follow fleet-deploy", mend="try again")
        try:
            yield
        finally:
            self.followers.release()

    def _followed(self, entry: QueueEntry, line: Line) -> Iterator[Line]:
        position = live.position_of(line.get("position"))
        told: QueueEntry | None = None
        beat = time.monotonic()
        while True:
            seen = self.changes.count
            with self.queue.reading() as db:
                entry = history.get(db, entry.id)
            ended = entry.state in states.ENDED
            # Ended is read before the events: what was written until then is still told.
            events, position = live.read(self.paths.run(entry.id), position)
            if told is None or (told.state, told.commit) != (entry.state, entry.commit):
                if not ended:
                    yield {"ok": True, "deploy": entry.summary()}
                told = entry
            for event in events[:-1]:
                yield {"ok": True, "event": event}
            if events:
                yield {"ok": True, "event": events[-1], "position": list(position)}
            if ended and not events:
                yield {"ok": True, "deploy": entry.whole(), "done": True}
                return
            if events or time.monotonic() - beat >= _BEAT_SECONDS:
                beat = time.monotonic()
                if not events:
                    yield {"ok": True}  # still here; and a client that is gone is noticed
            self.changes.wait(seen, _LOOK_SECONDS)

    def _deploy(self, line: Line) -> QueueEntry:
        number = line.get("deploy")
        with self.queue.reading() as db:
            if number is None:
                found = history.latest(db)
                if found is None:
                    raise RequestError("there was no deploy yet", status=404)
                return found
            if not isinstance(number, int) or isinstance(number, bool):
                raise RequestError("deploy must be a number")
            return history.get(db, number)


def _number(line: Line, name: str, default: int, most: int) -> int:
    value = line.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= most:
        raise RequestError(f"{name} must be a number from 1 to {most}")
    return value


_WORDS: Final[Mapping[str, Callable[[Words, Caller, Line], Mapping[str, Any]]]] = {
    protocol.SUBMIT: Words.submit,
    protocol.RECORD: Words.record,
    protocol.DEPLOY: Words.deploy,
    protocol.CHECK: Words.check,
    protocol.ROLLBACK: Words.rollback,
    protocol.LIST: Words.listed,
    protocol.SHOW: Words.show,
    protocol.DELIVERIES: Words.deliveries,
}
