"""One thread, one epoll: file descriptors, timers, calls from other threads, ends of turns.

Knows nothing of HTTP. Nothing that is called from here may block; the longest stall is measured.
"""

from __future__ import annotations

import heapq
import os
import select
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from fleet_agent.httpd.say import log

Call = Callable[[], object]

_EVENTS_A_TURN: Final = 512
_STALL_WINDOW_SECONDS: Final = 300.0
_READABLE: Final = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR
_WRITABLE: Final = select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR


class Timer:
    """One call in the future; ``cancel`` takes it back."""

    __slots__ = ("call", "when")

    def __init__(self, when: float, call: Call) -> None:
        self.when = when
        self.call: Call | None = call

    def cancel(self) -> None:
        """Take the call back; nothing happens when it was made already."""
        self.call = None

    def __lt__(self, other: Timer) -> bool:
        return self.when < other.when


class Loop:
    """The event loop. All methods but ``call_soon_threadsafe`` belong to its own thread.

    A turn: what epoll reports, due timers, calls from other threads, then the calls of
    ``on_turn_end`` (where durable work is committed), then those of ``after_turn`` (where the
    answers leave). ``now`` is the monotonic time of the turn's start, in seconds.
    """

    def __init__(self) -> None:
        self.now = time.monotonic()
        self._epoll = select.epoll()
        self._readers: dict[int, Call] = {}
        self._writers: dict[int, Call] = {}
        self._timers: list[Timer] = []
        self._soon: deque[Call] = deque()
        self._next_turn: list[Call] = []
        self._turn_end: list[Call] = []
        self._after_turn: list[Call] = []
        self._stopped = False
        self._stalls = [0.0, 0.0]  # seconds: this window's longest, the one before's
        self._window_ends = self.now + _STALL_WINDOW_SECONDS
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.add_reader(self._wake, self._woken)

    # File descriptors.

    def add_reader(self, fd: int, call: Call) -> None:
        """Call ``call`` in each turn in which ``fd`` is readable, at its end, or broken."""
        self._watch(fd, self._readers, call)

    def add_writer(self, fd: int, call: Call) -> None:
        """Call ``call`` in each turn in which ``fd`` is writable or broken."""
        self._watch(fd, self._writers, call)

    def remove_reader(self, fd: int) -> None:
        """Stop watching ``fd`` for reading; nothing happens when it was not watched."""
        self._unwatch(fd, self._readers)

    def remove_writer(self, fd: int) -> None:
        """Stop watching ``fd`` for writing; nothing happens when it was not watched."""
        self._unwatch(fd, self._writers)

    def _watch(self, fd: int, table: dict[int, Call], call: Call) -> None:
        known = fd in self._readers or fd in self._writers
        table[fd] = call
        if known:
            self._epoll.modify(fd, self._mask(fd))
        else:
            self._epoll.register(fd, self._mask(fd))

    def _unwatch(self, fd: int, table: dict[int, Call]) -> None:
        if table.pop(fd, None) is None:
            return
        mask = self._mask(fd)
        # Without any interest it must leave epoll: errors and hang-ups are reported whatever the
        # mask says, and nobody would take them.
        if mask:
            self._epoll.modify(fd, mask)
        else:
            self._epoll.unregister(fd)

    def _mask(self, fd: int) -> int:
        return (select.EPOLLIN if fd in self._readers else 0) | (
            select.EPOLLOUT if fd in self._writers else 0
        )

    # Calls.

    def call_later(self, seconds: float, call: Call) -> Timer:
        """Call ``call`` after ``seconds``; the timer returned can be cancelled."""
        timer = Timer(time.monotonic() + seconds, call)
        heapq.heappush(self._timers, timer)
        return timer

    def call_next_turn(self, call: Call) -> None:
        """Call ``call`` in the next turn, which then begins without waiting."""
        self._next_turn.append(call)

    def call_soon_threadsafe(self, call: Call) -> None:
        """Call ``call`` on the loop's thread, soon. From any thread, and from a signal handler."""
        self._soon.append(call)
        if self._wake >= 0:  # a signal may come after the end
            os.eventfd_write(self._wake, 1)

    def on_turn_end(self, call: Call) -> None:
        """Call ``call`` at the end of each turn: commit there what arrived in it."""
        self._turn_end.append(call)

    def after_turn(self, call: Call) -> None:
        """Call ``call`` after all calls of ``on_turn_end``: what they decided leaves there."""
        self._after_turn.append(call)

    # Running.

    @property
    def longest_stall_ms(self) -> float:
        """The longest turn of the last five to ten minutes, in milliseconds."""
        self._turn_window()
        return max(self._stalls) * 1000

    def run(self) -> None:
        """Turn until ``stop``. An error of a callback is logged with its traceback; one of a
        commit (``on_turn_end``) ends the loop and is raised: nothing may be answered after it."""
        try:
            while not self._stopped:
                self._turn()
        finally:
            self._stopped = False

    def stop(self) -> None:
        """End ``run`` after this turn; when none is on, the next one ends before it begins."""
        self._stopped = True

    def close(self) -> None:
        """Give back epoll and the wake-up descriptor; watched descriptors are their owners'."""
        wake, self._wake = self._wake, -1
        self._epoll.close()
        os.close(wake)

    def _turn(self) -> None:
        events = self._epoll.poll(self._patience(), _EVENTS_A_TURN)
        self.now = began = time.monotonic()
        if self._next_turn:
            waiting, self._next_turn = self._next_turn, []
            for call in waiting:
                self._safely(call)
        readers, writers = self._readers, self._writers
        for fd, mask in events:
            # A callback may have closed another descriptor of this turn: then it is in no table.
            # One opened meanwhile under the same number is only asked once in vain.
            if mask & _READABLE and fd in readers:
                try:
                    readers[fd]()
                except Exception:  # noqa: BLE001 (as in _safely, without its call)
                    self._failed()
            if mask & _WRITABLE and fd in writers:
                self._safely(writers[fd])
        while self._timers and self._timers[0].when <= began:
            due = heapq.heappop(self._timers).call
            if due is not None:
                self._safely(due)
        for call in self._turn_end:
            call()
        for call in self._after_turn:
            self._safely(call)
        self._measure(time.monotonic() - began)

    def _patience(self) -> float | None:
        """Seconds that epoll may wait; None for ever."""
        if self._next_turn:
            return 0
        while self._timers and self._timers[0].call is None:
            heapq.heappop(self._timers)
        if not self._timers:
            return None
        return max(0.0, self._timers[0].when - time.monotonic())

    def _woken(self) -> None:
        os.eventfd_read(self._wake)
        # Only what is there now: a call that calls again comes in the next turn.
        for _ in range(len(self._soon)):
            self._safely(self._soon.popleft())

    @staticmethod
    def _safely(call: Call) -> None:
        try:
            call()
        except Exception:  # noqa: BLE001 (one broken callback must not end the daemon)
            Loop._failed()

    @staticmethod
    def _failed() -> None:
        log().exception("a callback of the loop failed; the loop goes on")

    def _measure(self, seconds: float) -> None:
        if self.now >= self._window_ends:
            self._turn_window()
        self._stalls[0] = max(self._stalls[0], seconds)

    def _turn_window(self) -> None:
        now = time.monotonic()
        if now < self._window_ends:
            return
        # A daemon that slept through a whole window has nothing left of the one before.
        slept = now >= self._window_ends + _STALL_WINDOW_SECONDS
        self._stalls = [0.0, 0.0 if slept else self._stalls[0]]
        self._window_ends = now + _STALL_WINDOW_SECONDS
