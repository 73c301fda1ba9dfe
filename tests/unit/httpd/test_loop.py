import logging
import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from fleet_agent.httpd.loop import Loop


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


def test_a_timer_is_called_after_its_time_and_not_before(loop: Loop) -> None:
    began = time.monotonic()
    loop.call_later(0.05, loop.stop)
    loop.run()
    assert time.monotonic() - began >= 0.05


def test_timers_are_called_in_the_order_of_their_times(loop: Loop) -> None:
    called: list[str] = []
    loop.call_later(0.02, lambda: called.append("later"))
    loop.call_later(0.01, lambda: called.append("sooner"))
    loop.call_later(0.03, loop.stop)
    loop.run()
    assert called == ["sooner", "later"]


def test_a_cancelled_timer_is_never_called(loop: Loop) -> None:
    called: list[str] = []
    loop.call_later(0.01, lambda: called.append("never")).cancel()
    loop.call_later(0.02, loop.stop)
    loop.run()
    assert called == []


def test_a_readable_descriptor_is_told_each_turn_until_it_is_removed(loop: Loop) -> None:
    ours, theirs = socket.socketpair()
    turns = 0

    def readable() -> None:
        nonlocal turns
        turns += 1
        if turns == 3:
            loop.remove_reader(ours.fileno())
            loop.call_later(0.02, loop.stop)

    with ours, theirs:
        loop.add_reader(ours.fileno(), readable)
        theirs.send(b"x")
        loop.run()
    assert turns == 3


def test_a_descriptor_can_be_read_and_written_at_once(loop: Loop) -> None:
    ours, theirs = socket.socketpair()
    told: set[str] = set()

    def tell(what: str) -> None:
        told.add(what)
        if told == {"readable", "writable"}:
            loop.stop()

    with ours, theirs:
        theirs.send(b"x")
        loop.add_reader(ours.fileno(), lambda: tell("readable"))
        loop.add_writer(ours.fileno(), lambda: tell("writable"))
        loop.run()
        loop.remove_writer(ours.fileno())
        loop.remove_reader(ours.fileno())
    assert told == {"readable", "writable"}


def test_a_broken_descriptor_without_interest_does_not_keep_the_loop_busy(loop: Loop) -> None:
    ours, theirs = socket.socketpair()
    turns = 0

    def count() -> None:
        nonlocal turns
        turns += 1

    with ours:
        loop.add_reader(ours.fileno(), lambda: None)
        loop.remove_reader(ours.fileno())
        theirs.close()
        loop.on_turn_end(count)
        loop.call_later(0.05, loop.stop)
        loop.run()
    assert turns <= 2


def test_calls_from_another_thread_wake_the_loop_and_run_on_its_own(loop: Loop) -> None:
    seen: list[int] = []

    def call() -> None:
        seen.append(threading.get_ident())
        loop.stop()

    other = threading.Thread(target=lambda: loop.call_soon_threadsafe(call))
    loop.call_later(0.01, other.start)
    loop.run()
    other.join()
    assert seen == [threading.get_ident()]


def test_the_end_of_a_turn_comes_after_what_arrived_in_it_and_before_what_leaves(
    loop: Loop,
) -> None:
    order: list[str] = []
    ours, theirs = socket.socketpair()

    def arrived() -> None:
        order.append("arrived")
        ours.recv(10)
        loop.stop()

    with ours, theirs:
        loop.add_reader(ours.fileno(), arrived)
        loop.after_turn(lambda: order.append("leaves"))
        loop.on_turn_end(lambda: order.append("commit"))
        loop.call_next_turn(lambda: order.append("from the turn before"))
        theirs.send(b"x")
        loop.run()
        loop.remove_reader(ours.fileno())
    assert order == ["from the turn before", "arrived", "commit", "leaves"]


def test_a_call_for_the_next_turn_does_not_wait_for_an_event(loop: Loop) -> None:
    ends = 0

    def end() -> None:
        nonlocal ends
        ends += 1
        if ends == 3:
            loop.stop()
        else:
            loop.call_next_turn(lambda: None)

    loop.on_turn_end(end)
    loop.call_next_turn(lambda: None)
    loop.run()
    assert ends == 3


def test_an_error_of_a_callback_is_logged_and_the_loop_goes_on(
    loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise RuntimeError("broken callback")

    loop.call_later(0, broken)
    loop.call_later(0.01, loop.stop)
    with caplog.at_level(logging.ERROR):
        loop.run()
    assert "broken callback" in caplog.text


def test_an_error_of_a_commit_ends_the_loop_and_nothing_leaves_after_it(loop: Loop) -> None:
    left: list[str] = []

    def commit() -> None:
        raise OSError("fsync failed")

    loop.on_turn_end(commit)
    loop.after_turn(lambda: left.append("an answer"))
    loop.call_next_turn(lambda: None)
    with pytest.raises(OSError, match="fsync failed"):
        loop.run()
    assert left == []


def test_a_descriptor_closed_by_another_callback_of_the_turn_is_not_told(loop: Loop) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    told: list[int] = []

    def readable(number: int) -> None:
        told.append(number)
        other = pairs[1 - number][0]
        loop.remove_reader(other.fileno())
        loop.remove_reader(pairs[number][0].fileno())
        loop.stop()

    for number, (ours, theirs) in enumerate(pairs):
        theirs.send(b"x")
        loop.add_reader(ours.fileno(), lambda number=number: readable(number))  # type: ignore[misc]
    loop.run()
    for ours, theirs in pairs:
        ours.close()
        theirs.close()
    assert len(told) == 1


def test_the_longest_stall_is_measured(loop: Loop) -> None:
    assert loop.longest_stall_ms == 0
    loop.call_later(0, lambda: time.sleep(0.03))
    loop.call_later(0.01, loop.stop)
    loop.run()
    assert loop.longest_stall_ms >= 30


def test_a_signal_handler_may_wake_the_loop(loop: Loop) -> None:
    import signal

    before = signal.signal(signal.SIGUSR1, lambda *_: loop.call_soon_threadsafe(loop.stop))
    try:
        loop.call_later(0.01, lambda: os.kill(os.getpid(), signal.SIGUSR1))
        loop.run()
    finally:
        signal.signal(signal.SIGUSR1, before)
