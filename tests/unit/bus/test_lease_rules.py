"""Leases against a model: whatever is done in whatever order, over restarts and jumps of the clock,
what is handed out, and what a receipt may still settle, is what the model says."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fleet_agent.bus.leases import Leased, LeaseOver
from fleet_agent.bus.life import Got
from fleet_agent.bus.steady import Steady
from fleet_agent.errors import RequestError
from fleet_agent.limits import Limits
from tests.unit.bus.busparts import Boxes, message

ATTEMPTS = 3
MOST_OUT = 3
LIMITS = Limits(
    {
        "inbox_attempts": ATTEMPTS,
        "inbox_handed_out": MOST_OUT,
        "inbox_lease_seconds": 10,
        "inbox_lease_most_seconds": 100,
    }
)
SENDERS = ("allegro", "bezalel")
TYPES = ("request", "broadcast", "response", "alert")
SECONDS = st.sampled_from([1.0, 5.0, 30.0])


class Expected:
    """A message as the model knows it."""

    def __init__(self, number: int, sender: str, kind: str) -> None:
        self.id = f"m{number}"
        self.sender = sender
        self.type = kind
        self.lane = 1 if kind == "alert" else 0
        self.state = Got.DELIVERED
        self.attempts = 0
        self.free_at = 0.0
        self.receipt: str | None = None

    @property
    def open(self) -> bool:
        return self.state in (Got.DELIVERED, Got.LEASED)


class Rules(RuleBasedStateMachine):
    """``inbox`` is the model, in the order of arrival; time that passes is ``passed``."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="leases-"))
        self.passed = 1000.0
        self.offset = 1_000_000.0
        self.count = 0
        self.inbox: list[Expected] = []
        self.leases: list[Leased] = []  # every one ever
        self.begin()

    def begin(self) -> None:
        clock = Steady(lambda: self.passed + self.offset, lambda: self.passed)
        self.boxes = Boxes(self.folder, LIMITS, clock=clock)

    def teardown(self) -> None:
        self.boxes.close()
        shutil.rmtree(self.folder)

    # What the model says.

    def leases_end(self) -> None:
        for one in self.inbox:
            if one.state is Got.LEASED and one.free_at <= self.passed:
                if one.attempts >= ATTEMPTS:
                    one.state = Got.DEAD
                else:
                    one.state, one.free_at = Got.DELIVERED, 0.0

    def next_ones(self, limit: int, types: tuple[str, ...]) -> list[Expected]:
        found = []
        for lane in (1, 0):
            for sender in SENDERS:
                pair = [
                    one
                    for one in self.inbox
                    if one.open and (one.lane, one.sender) == (lane, sender) and one.type in types
                ]
                if any(one.state is Got.LEASED for one in pair):
                    continue
                if pair and pair[0].free_at <= self.passed:
                    found.append(pair[0])
        out = sum(one.state is Got.LEASED for one in self.inbox)
        found.sort(key=lambda one: (-one.lane, self.inbox.index(one)))
        return found[: max(0, min(limit, MOST_OUT - out))]

    def of(self, lease: Leased) -> Expected:
        return next(one for one in self.inbox if one.id == lease.id)

    def may_settle(self, lease: Leased) -> bool:
        one = self.of(lease)
        return one.receipt == lease.receipt and one.open

    # What is done.

    @rule(sender=st.sampled_from(SENDERS), kind=st.sampled_from(TYPES))
    def arrives(self, sender: str, kind: str) -> None:
        self.count += 1
        one = Expected(self.count, sender, kind)
        more: dict[str, Any] = {"in_reply_to": "q"} if kind == "response" else {}
        to = "*" if kind == "broadcast" else "ezra"
        envelope = message(**{"id": one.id, "from": sender, "to": to, "type": kind, **more})
        self.boxes.inbox.put(envelope, self.boxes.done)
        self.boxes.turn.commit()
        self.inbox.append(one)

    @rule(
        limit=st.integers(1, 4),
        seconds=SECONDS,
        types=st.sampled_from([TYPES, ("request",), ("response", "broadcast"), ("alert",)]),
    )
    def leased(self, limit: int, seconds: float, types: tuple[str, ...]) -> None:
        found = self.boxes.leases.lease(limit=limit, seconds=seconds, only=types.__contains__)
        self.leases_end()
        expected = self.next_ones(limit, types)
        assert [one.id for one in found] == [one.id for one in expected]
        for one, wanted in zip(found, expected, strict=True):
            assert (one.attempt, one.type) == (wanted.attempts + 1, wanted.type)
            wanted.state, wanted.receipt = Got.LEASED, one.receipt
            wanted.attempts, wanted.free_at = one.attempt, self.passed + seconds
        self.leases += found

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def acked(self, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        one = self.of(lease)
        repeated = one.receipt == lease.receipt and one.state is Got.HANDLED
        if repeated or self.may_settle(lease):
            self.boxes.leases.ack(lease.receipt, id_=lease.id)
            one.state = Got.HANDLED
        else:
            self.refused(lambda: self.boxes.leases.ack(lease.receipt, id_=lease.id))

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), delay=st.sampled_from([0.0, 2.0, 20.0]))
    def nacked(self, data: st.DataObject, delay: float) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        one = self.of(lease)
        if not self.may_settle(lease):
            self.refused(lambda: self.boxes.leases.nack(lease.receipt, delay_seconds=delay))
            return
        state = self.boxes.leases.nack(lease.receipt, delay_seconds=delay, reason="no")
        if one.attempts >= ATTEMPTS:
            assert state is Got.DEAD
            one.state = Got.DEAD
        else:
            assert state is Got.DELIVERED
            one.state = Got.DELIVERED
            one.free_at = self.passed + delay if delay else 0.0

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), seconds=SECONDS)
    def extended(self, data: st.DataObject, seconds: float) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        one = self.of(lease)
        if not self.may_settle(lease):
            self.refused(lambda: self.boxes.leases.extend(lease.receipt, seconds=seconds))
            return
        self.boxes.leases.extend(lease.receipt, seconds=seconds)
        one.state, one.free_at = Got.LEASED, self.passed + seconds

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def released(self, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        one = self.of(lease)
        if one.receipt != lease.receipt or one.state in (Got.DEAD, Got.DROPPED):
            self.refused(lambda: self.boxes.leases.release(lease.receipt))
            return
        self.boxes.leases.release(lease.receipt)
        if one.state is Got.LEASED:
            one.state, one.free_at, one.attempts = Got.DELIVERED, 0.0, one.attempts - 1

    @rule(data=st.data(), dropped=st.booleans())
    def a_person_looks_at_a_dead_letter(self, data: st.DataObject, dropped: bool) -> None:
        dead = [one for one in self.inbox if one.state is Got.DEAD]
        act = self.boxes.leases.drop if dropped else self.boxes.leases.revive
        if not dead:
            self.refused(lambda: act(10_000))
            return
        one = data.draw(st.sampled_from(dead))
        rows = self.boxes.turn.read("SELECT seq FROM inbox WHERE id = ?", (one.id,))
        act(rows[0][0])
        if dropped:
            one.state = Got.DROPPED
            return
        one.state, one.attempts, one.free_at = Got.DELIVERED, 0, 0.0
        one.receipt = None
        self.inbox.remove(one)
        self.inbox.append(one)

    @rule()
    def responses_are_taken_by_who_waited(self) -> None:
        waiting = [one for one in self.inbox if one.type == "response" and one.open]
        assert self.boxes.leases.answered("q") == len(waiting)
        for one in waiting:
            one.state = Got.HANDLED

    @rule(seconds=st.sampled_from([0.5, 5.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.passed += seconds
        if self.boxes.leases.due() == 0:
            self.boxes.leases.ring()
            self.leases_end()

    @rule(seconds=st.sampled_from([-5000.0, 5000.0]))
    def the_clock_jumps(self, seconds: float) -> None:
        self.offset += seconds

    @rule()
    def the_turn_is_committed(self) -> None:
        self.boxes.turn.commit()

    @rule()
    def the_daemon_is_restarted(self) -> None:
        self.boxes.leases.due()  # a jump that nobody has seen is not one of ours
        self.boxes.close()
        self.begin()

    def refused(self, call: Any) -> None:
        try:
            call()
        except RequestError as error:
            assert isinstance(error, LeaseOver) or error.http_status == 404
        else:
            raise AssertionError("it was let through")

    @invariant()
    def the_tally_is_the_count(self) -> None:
        rows = self.boxes.turn.read("SELECT count(*) FROM inbox WHERE state < 2")
        assert self.boxes.inbox.depth == rows[0][0] == sum(one.open for one in self.inbox)


TestRules = Rules.TestCase
TestRules.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
