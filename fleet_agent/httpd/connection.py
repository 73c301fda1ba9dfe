"""The life of one connection: bytes in, requests handled, answers out in the order of requests.

Not for what bytes mean (``reader``), when it is overdue (``deadlines``) or who may connect
(``server``).
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from fleet_agent.httpd.answer import refuse
from fleet_agent.httpd.deadlines import Close, Times, overdue
from fleet_agent.httpd.deferred import Deferred
from fleet_agent.httpd.outgoing import Outgoing
from fleet_agent.httpd.parse import Head
from fleet_agent.httpd.reader import Arrived, Reader, Stage
from fleet_agent.httpd.refusal import SPEAK_TLS, Refusal
from fleet_agent.httpd.say import log
from fleet_agent.httpd.shared import Shared
from fleet_agent.httpd.slot import Slot
from fleet_agent.httpd.types import Peer, Response
from fleet_agent.httpd.write import CONTINUE

if TYPE_CHECKING:
    from fleet_agent.httpd.tls import Secured

_RECEIVE_BYTES: Final = 64 * 1024

Respond = Callable[[Head, bytes, Peer], Response | Deferred]


class Connection:
    """One accepted socket. All methods run on the loop's thread."""

    __slots__ = ("_ended_since", "_fd", "_held", "_last", "_on_close", "_out", "_outgoing",
                 "_paused", "_peer_ended", "_postponed", "_reader", "_respond", "_secured",
                 "_served", "_settled", "_shared", "_slots", "_socket", "_stage", "_stage_since",
                 "closed", "ended_by", "peer")  # fmt: skip

    def __init__(  # noqa: PLR0917 (made in one place)
        self,
        shared: Shared,
        connected: socket.socket,
        peer: Peer,
        body_limit: Callable[[Head], int],
        respond: Respond,
        on_close: Callable[[Connection], None],
        secured: Secured | None = None,
    ) -> None:
        self._shared = shared
        self._socket = connected
        self._fd = connected.fileno()
        self.peer = peer
        self._reader = Reader(shared.sizes, body_limit)
        self._respond = respond
        self._on_close = on_close
        self._secured = secured
        self._slots: deque[Slot] = deque()  # requests without their answer sent, in order
        self._out: list[bytes] = []  # rendered, to be sent with the next flush
        self._outgoing = Outgoing(shared.loop, connected, self._taken, self.close)
        self._stage = Stage.NOTHING
        self._stage_since = shared.loop.now
        self._held = 0
        self._served = False
        self._last = False  # no further request is read: close after the answers
        self._peer_ended = False
        self._ended_since: float | None = None  # all is said and our direction is shut
        self._paused = False  # reading stopped until answers are taken
        self._postponed = False  # goes on in the next turn
        self._settled = False  # is in the list of those to settle
        self.closed = False
        self.ended_by = ""  # why it was closed
        shared.loop.add_reader(self._fd, self._readable)

    # Bytes come.

    def _readable(self) -> None:
        if self._postponed:
            return  # what is here comes first; epoll will say again that there is more
        secured = self._secured
        if secured is not None and not secured.open and not self._shared.may_shake_hands():
            return
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self.close(f"reading: {error.strerror}")
            return
        if self._last:
            # Nothing of it counts any more; taking it lets our last answer arrive.
            if not data:
                self._peer_left()
            return
        if not data:
            self._peer_left()
        elif secured is None:
            self._reader.feed(data)
        elif not self._unsealed(secured, data):
            return
        self.advance()

    def _unsealed(self, secured: Secured, data: bytes) -> bool:
        """Give the reader what ``data`` holds; whether there is something to do."""
        was_open = secured.open
        plain = secured.feed(data)
        if secured.plain:
            self._secured = None
            self._shared.say_unsecured(self.peer, "it speaks plain HTTP to a port that speaks TLS")
            self._refuse(SPEAK_TLS)
            return True
        if replies := secured.replies():
            self._outgoing.send(replies)
        if secured.broken:
            self._shared.say_unsecured(self.peer, secured.broken)
            self._last = True
            self._drop_slots()
            self._flush()
            return False
        if secured.open and not was_open:
            self._stage_since = self._shared.loop.now  # for the first request, as for a plain one
        if plain:
            self._reader.feed(plain)
        if secured.ended:
            self._peer_left()
        return bool(plain or secured.ended) and not self.closed

    def _peer_left(self) -> None:
        self._peer_ended = True
        self._shared.loop.remove_reader(self._fd)
        for slot in self._slots:
            if slot.deferred is not None:
                slot.deferred.cancel()
        if self._ended_since is not None:
            self.close("done")

    def advance(self) -> None:
        """Handle the requests that are there, as far as limits allow, and send what is ready."""
        self._postponed = False
        if self.closed:
            return
        shared = self._shared
        share = most = shared.most_pipelined
        next_, slots = self._reader.next, self._slots
        took = False
        while not self._last:
            if len(slots) >= most or self._outgoing.unsent > shared.most_unsent:  # _full, uncalled
                self._pause()
                break
            if share <= 0 or shared.turn_left <= 0:
                self._postpone()
                break
            message = next_()
            if message is None:
                if self._peer_ended:
                    self._input_over()
                break
            took = True
            if isinstance(message, Refusal):
                self._refuse(message)
                break
            share -= 1
            shared.turn_left -= 1
            self._handle(message)
        self._note_stage(took)
        self._flush()

    def _handle(self, message: Arrived) -> None:
        head, body = message
        self._shared.counts.requests += 1
        if not head.keep_alive:
            self._last = True
        answer = self._respond(head, body, self.peer)
        response = answer.response if isinstance(answer, Deferred) else answer
        if response is not None and not self._slots:
            self._emit(head, response)
            return
        slot = Slot(self, head, self._shared.loop.now)
        slot.response = response
        if isinstance(answer, Deferred) and response is None:
            slot.deferred = answer
            answer.on_resolve(slot.resolved)
            if self._peer_ended:
                answer.cancel()
        self._slots.append(slot)

    def _refuse(self, refusal: Refusal, head: Head | None = None) -> None:
        """Answer a refusal in its turn (``head``: of that request), and read nothing more: where a
        next request would begin is not known."""
        self._shared.counts.refused += 1
        self._last = True
        self._reader.stop()
        self._count_held(0)
        response = refuse(refusal.status, refusal.what, mend=refusal.mend)
        if not self._slots:
            self._emit(head, response)
            return
        slot = Slot(self, head, self._shared.loop.now)
        slot.response = response
        self._slots.append(slot)

    def _input_over(self) -> None:
        if self._reader.stage is Stage.NOTHING:
            self._last = True
        else:
            self._refuse(Refusal(400, "the connection ended in the middle of a request"))

    def _note_stage(self, took: bool) -> None:
        """Keep the time since which the reader is where it is, and the bytes that it holds."""
        shared = self._shared
        stage = self._reader.stage
        if took or stage is not self._stage:
            self._stage = stage
            self._stage_since = shared.loop.now
        if stage is not Stage.NOTHING:
            self._count_held(self._reader.held)
            # Heads are small and as many as connections; bodies are what fills memory.
            if stage is Stage.BODY and shared.counts.held_bytes > shared.most_held:
                self._refuse(Refusal(503, "too much is being received at once", "try again"))
        elif self._held:
            self._count_held(0)

    def _count_held(self, held: int) -> None:
        self._shared.counts.held_bytes += held - self._held
        self._held = held

    # Answers go.

    def answered(self, slot: Slot) -> None:
        """A deferred answer is there: send it at the end of this turn, in its place."""
        if self._slots and self._slots[0] is slot and not self._settled:
            self._settled = True
            self._shared.settled.append(self)

    def settle(self) -> None:
        """Send the answers that are ready and have none before them."""
        self._settled = False
        if self.closed:
            return
        slots = self._slots
        while slots and (response := slots[0].response) is not None:
            self._emit(slots.popleft().head, response)
        if not slots:
            self._stage_since = self._shared.loop.now
        self._flush()
        if self._paused:
            self._resume()

    def _emit(self, head: Head | None, response: Response) -> None:
        """Render an answer; the connection's last one says so."""
        shared = self._shared
        if shared.draining and self._reader.stage is Stage.NOTHING:
            self._last = True
        minor = 1 if head is None else head.minor
        keep = not self._last or bool(self._slots)
        bare = head is not None and head.method == "HEAD"
        try:
            data = shared.writer.render(response, minor=minor, keep_alive=keep, head=bare)
        except Exception:  # noqa: BLE001 (what cannot be rendered is a handler's bug)
            log().exception("an answer cannot be rendered")
            shared.counts.failed += 1
            data = shared.writer.render(refuse(500, "the answer is broken"), minor=minor,
                                        keep_alive=keep, head=bare)  # fmt: skip
        self._out.append(data)
        self._served = True

    def _flush(self) -> None:
        if self.closed:
            return
        if self._reader.wants_continue and not self._slots and not self._last:
            self._reader.wants_continue = False
            if self._reader.stage is Stage.BODY:
                self._out.append(CONTINUE)
        out = self._out
        if out:
            self._out = []
            data = out[0] if len(out) == 1 else b"".join(out)
            self._outgoing.send(data if self._secured is None else self._secured.seal(data))
            if self.closed:
                return
        if self._last and not self._slots and not self._outgoing.unsent:
            self._end()

    def _taken(self) -> None:
        """The peer took some of what waited."""
        if not self._outgoing.unsent:
            self._stage_since = max(self._stage_since, self._shared.loop.now)
            self._flush()
        self._resume()

    # Backpressure.

    def _full(self) -> bool:
        """Whether enough answers wait: for their handlers, or to be taken by the peer."""
        return (
            len(self._slots) >= self._shared.most_pipelined
            or self._outgoing.unsent > self._shared.most_unsent
        )

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._shared.loop.remove_reader(self._fd)

    def _resume(self) -> None:
        """Read again when answers were taken. In the next turn: a request that is handled at this
        turn's end would miss its commit."""
        if not self._paused or self.closed or self._full():
            return
        self._paused = False
        if not self._peer_ended:
            self._shared.loop.add_reader(self._fd, self._readable)
        self._postpone()

    def _postpone(self) -> None:
        if not self._postponed:
            self._postponed = True
            if not self._shared.postponed:
                self._shared.loop.call_next_turn(self._shared.go_on)
            self._shared.postponed.append(self)

    # The end.

    def drain(self, *, patient: bool = False) -> None:
        """Finish what was begun; close at once when nothing was. ``patient``: not when nothing was
        ever asked here either, since a first request is on its way and its sender would not try
        again as it does on a connection that was kept alive."""
        if self._last or self.closed:
            return
        if not self._paused and not self._postponed:
            self._readable()  # a request may have arrived in this moment
        if patient and not self._served:
            return
        if self._stage is Stage.NOTHING and not (
            self._slots or self._outgoing.unsent or self._last or self._postponed
        ):
            self.close("drained")

    def check(self, now: float) -> None:
        """End the connection if one of its deadlines is over."""
        asked_at = self._slots[0].asked_at if self._slots else None
        times = Times(self._stage, self._stage_since, self._outgoing.since, asked_at, self._served,
                      self._ended_since)  # fmt: skip
        verdict = overdue(times, self._shared.deadlines, now)
        if verdict is None:
            return
        self._shared.counts.timed_out += 1
        if isinstance(verdict, Close):
            self.close(verdict.why)
            return
        head = self._slots[0].head if self._slots else None
        self._drop_slots()
        self._refuse(verdict, head)
        self._flush()

    def _end(self) -> None:
        """All is said: shut our direction and let the peer read the rest before it is closed.
        Closing with unread bytes would send a reset, which can overtake the answer."""
        if self._ended_since is not None:
            return
        if self._secured is not None and (last := self._secured.goodbye()):
            self._outgoing.send(last)  # a full buffer loses it: our end of TCP's direction is told
        if self._peer_ended:
            self.close("done")
            return
        self._ended_since = self._shared.loop.now
        self._stage = Stage.NOTHING
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            self.close(f"ending: {error.strerror}")
            return
        if self._paused:
            self._paused = False
            self._shared.loop.add_reader(self._fd, self._readable)

    def _drop_slots(self) -> None:
        slots, self._slots = self._slots, deque()
        for slot in slots:
            if slot.deferred is not None:
                slot.deferred.cancel()

    def close(self, why: str) -> None:
        """Close at once; those who work on answers are told that nobody waits for them."""
        if self.closed:
            return
        self.closed = True
        self.ended_by = why
        self._count_held(0)
        self._shared.loop.remove_reader(self._fd)
        self._outgoing.stop()
        self._socket.close()
        self._reader.stop()  # a batch it read may be large, and a collection far away
        self._out = []
        self._drop_slots()
        self._on_close(self)
