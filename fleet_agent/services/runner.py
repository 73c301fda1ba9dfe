"""A wizard's runner: wires its socket, its cells and the release's handlers; lives until SIGTERM.

Runs as the wizard's own user, never as the daemon's. Decides nothing; ``runner`` does.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
from collections.abc import Mapping, MutableMapping
from typing import Final

from fleet_agent.errors import ConfigError
from fleet_agent.httpd.listen import listen_unix
from fleet_agent.httpd.loop import Loop
from fleet_agent.runner.bounds import Bounds
from fleet_agent.runner.cells import open_cells
from fleet_agent.runner.server import Ground, Runner
from fleet_agent.services.activation import take_sockets
from fleet_agent.services.listeners import AGENT_SOCKET, EXEC_SOCKET
from fleet_agent.services.notify import Notifier
from fleet_agent.services.origin import Origin
from fleet_agent.services.settings import Settings
from fleet_agent.services.signals import Signals
from fleet_agent.wire import SOCKET_EXEC

# What systemd tells us is for nobody else's ears.
_OURS: Final = frozenset({
    "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS",
    "LISTEN_FDNAMES", "INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID", "MAINPID",
    "MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE", "CREDENTIALS_DIRECTORY",
})  # fmt: skip

log = logging.getLogger("fleet_agent.runner")


class ExecRunner:
    """One runner. ``run`` serves until SIGTERM. Raises FleetError when it can't start."""

    def __init__(
        self, origin: Origin, environment: MutableMapping[str, str], *, delegated: bool
    ) -> None:
        self._settings = settings = origin.settings()
        self._notifier = Notifier(environment)
        self._digest = _digest(origin.release, settings.wizard)
        if origin.release is not None:
            # Whoever removes old releases sees so that this one is in use.
            os.chdir(origin.release)
        self._listening, self._own_path = _listening(settings, environment)
        self._loop = Loop()
        bounds = Bounds.of(settings.limits)
        cells = open_cells(self._loop, bounds, delegated=delegated)
        table = {kind: handler.exec for kind, handler in settings.handlers.items() if handler.exec}
        env = job_environment(settings, environment)
        home = env.get("HOME", "")
        cwd = home if os.path.isdir(home) else "/"
        ground = Ground(self._loop, cells, bounds, table, env, cwd)
        self._runner = Runner(ground, self._listening)
        log.info(
            "%s: running %s for its daemon, %d at once, each in a %s", settings.wizard,
            ", ".join(sorted(table)) or "nothing", bounds.jobs, cells.kind,
        )  # fmt: skip

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; jobs that run then are ended, and handed out again."""
        signals = Signals(self._loop, {signal.SIGTERM: self._end, signal.SIGINT: self._end})
        self._runner.start()
        # The phases of a deploy compare it: a runner of another input is ended.
        self._notifier.ready(f"input {self._digest}")
        self._loop.run()
        signals.close()
        self._listening.close()
        if self._own_path is not None:
            os.unlink(self._own_path)
        self._loop.close()
        log.info("%s: the runner ended", self._settings.wizard)

    def _end(self) -> None:
        self._notifier.stopping()
        self._runner.stop()
        self._loop.stop()


def job_environment(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """What a program finds around it: ours without systemd's words, and how to reach its daemon."""
    return {
        **{name: value for name, value in environment.items() if name not in _OURS},
        "FLEET_AGENT_WIZARD": settings.wizard,
        "FLEET_AGENT_SOCKET": os.path.join(settings.run_dir, AGENT_SOCKET),
    }


def _listening(
    settings: Settings, environment: MutableMapping[str, str]
) -> tuple[socket.socket, str | None]:
    """systemd's socket, or one made here, with its path."""
    for name, sock in take_sockets(environment):
        if name == SOCKET_EXEC:
            return sock, None
        sock.close()
    os.makedirs(settings.run_dir, mode=0o755, exist_ok=True)
    path = os.path.join(settings.run_dir, EXEC_SOCKET)
    return listen_unix(path, 0o600), path


def _digest(release: str | None, wizard: str) -> str:
    """What the release says that this runner is made of; "by hand" outside of a fleet."""
    if release is None:
        return "by hand"
    path = os.path.join(release, "manifest.json")
    try:
        with open(path, "rb") as source:
            value = json.load(source)["wizards"][wizard]["units"]["runner"]["input"]
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=path) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"the release declares no runner for {wizard}", where=path,
            mend="a wizard has one when its `handlers:` have an exec",
        ) from error  # fmt: skip
    return str(value)
