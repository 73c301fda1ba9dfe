"""Runs one ansible-playbook to its end, handing on its events as they come. Effects only."""

from __future__ import annotations

import logging
import os
import select
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final

from fleet_agent import proc
from fleet_agent.deploy import heard
from fleet_agent.deploy.ansible import EVENTS_FD_VARIABLE

_log = logging.getLogger("fleet_agent.deploy")

Event = Mapping[str, Any]
_POLL_SECONDS: Final = 1.0
_LONGEST_LINE: Final = 16 * 1024 * 1024
_READ_BYTES: Final = 65536


@dataclass(frozen=True, slots=True)
class PlaybookEnd:
    """How a run ended: Ansible's exit code, or why it was ended from outside."""

    code: int
    ended_because: str = ""


def run(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    cwd: str,
    log_path: str,
    run_seconds: float,
    silent_seconds: float,
    memory_bytes: int,
    on_event: Callable[[Event], None],
) -> PlaybookEnd:
    """Run ``argv`` and call ``on_event`` for each event line of the callback plugin.

    The run is ended when it takes longer than ``run_seconds`` in all, or says nothing for
    ``silent_seconds``: one hung host must not hang the fleet. Each of its processes may take
    ``memory_bytes``: one flooding host must not fill the orchestrator. Whatever raises in here (a
    stop of the service too) ends the run first.
    """
    reader, writer = os.pipe()
    with (
        open(os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log,
        open(reader, "rb", buffering=0) as events,
    ):
        try:
            running = proc.start(
                argv,
                env={**environment, EVENTS_FD_VARIABLE: str(writer)},
                cwd=cwd,
                out=log,
                err=log,
                pass_fds=(writer,),
                memory_bytes=memory_bytes,
            )
        finally:
            os.close(writer)
        process = os.pidfd_open(running.pid)
        try:
            return _watch(
                running, process, events,
                run_seconds=run_seconds, silent_seconds=silent_seconds, on_event=on_event,
            )  # fmt: skip
        finally:
            os.close(process)
            if running.poll() is None:
                proc.end(running)


def _watch(
    running: proc.Running,
    process: int,
    events: IO[bytes],
    *,
    run_seconds: float,
    silent_seconds: float,
    on_event: Callable[[Event], None],
) -> PlaybookEnd:
    began = heard = time.monotonic()
    lines = _Lines()
    speaking = True
    while True:
        ended = running.poll() is not None
        watched = ([events.fileno()] if speaking else []) + ([] if ended else [process])
        ready, _, _ = select.select(watched, [], [], 0 if ended else _POLL_SECONDS)
        said = events.fileno() in ready
        data = os.read(events.fileno(), _READ_BYTES) if said else b""
        speaking = speaking and (not said or bool(data))
        for event in lines.feed(data):
            heard = time.monotonic()
            on_event(event)
        if ended and not data:
            return PlaybookEnd(running.returncode)
        now = time.monotonic()
        if now - began > run_seconds:
            return PlaybookEnd(-1, f"the run took longer than {run_seconds:g} s")
        if now - heard > silent_seconds:
            return PlaybookEnd(-1, f"no host said anything for {silent_seconds:g} s")


class _Lines:
    """Splits what comes out of the pipe into events; a line that is no JSON is logged."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Event]:
        *whole, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            _log.error("an event of more than %d bytes was dropped", _LONGEST_LINE)
            self._rest = b""
        for line in whole:
            # Texts of modules are in it, which ran on nodes.
            event = heard.read(line.decode("utf-8", "replace"))
            if event is None:
                _log.error("not an event: %r", line[:200])
                continue
            if isinstance(event.get("result"), Mapping):
                event = {**event, "result": heard.result(event["result"])}
            yield event
