"""Signals become calls on the loop, and go back to their owners."""

from __future__ import annotations

import os
import signal

from fleet_agent.httpd.loop import Loop
from fleet_agent.services.signals import Signals


def test_each_signal_is_one_call_on_the_loop() -> None:
    loop = Loop()
    heard: list[str] = []

    def ended() -> None:
        heard.append("term")
        loop.stop()

    before = signal.getsignal(signal.SIGHUP)
    signals = Signals(loop, {signal.SIGHUP: lambda: heard.append("hup"), signal.SIGTERM: ended})
    for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM):
        os.kill(os.getpid(), number)
    assert heard == [], "nothing happens between two instructions"
    loop.run()
    signals.close()
    loop.close()
    assert heard == ["hup", "hup", "term"]
    assert signal.getsignal(signal.SIGHUP) is before
    assert signal.set_wakeup_fd(-1) == -1
