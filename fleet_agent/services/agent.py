"""A wizard's daemon: wires store, bus, gateway and HTTP core, and lives until SIGTERM.

Decides nothing about requests; the rooms below do.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Final, NoReturn

from fleet_agent.bus.keyring import Keyring
from fleet_agent.errors import ConfigError, FleetError
from fleet_agent.gateway import checks, health, routes
from fleet_agent.gateway.clock import Clock
from fleet_agent.gateway.serving import Serving
from fleet_agent.gateway.soulseal import SoulSeal
from fleet_agent.gateway.tlscheck import tls_check
from fleet_agent.httpd.loop import Loop
from fleet_agent.httpd.server import Server
from fleet_agent.httpd.types import Request, Response
from fleet_agent.services import descriptors
from fleet_agent.services.bus import DATABASE, Bus
from fleet_agent.services.diskroom import open_with_room
from fleet_agent.services.listeners import Listening, open_listeners, shown
from fleet_agent.services.notify import Notifier
from fleet_agent.services.origin import Fleet, Origin
from fleet_agent.services.secure import Tls
from fleet_agent.services.settings import Settings
from fleet_agent.services.signals import Signals
from fleet_agent.store.errors import StoreBroken
from fleet_agent.wire import SOCKET_GATEWAY, SOCKET_HOOK

if TYPE_CHECKING:
    from fleet_agent.bus.handling import Handler
    from fleet_agent.services.hook import HookPort

# The manager wants to hear from us once in WatchdogSec; thrice leaves room for a stalled disk.
_WATCHDOG_SHARE: Final = 3
# What the listeners and the HTTP core took at the start; a reload does not reach it.
_FIXED: Final = (
    "fleet", "role", "address", "port", "tls", "hook", "handlers", "state_dir", "run_dir",
    "keys_dir", "deploy_socket",
)  # fmt: skip

log = logging.getLogger("fleet_agent.services")


class Agent:
    """One daemon. ``run`` serves until SIGTERM has drained it.

    Raises FleetError when it can't start. When it is unknown what the disk holds it ends the
    process on the spot, having told nobody anything after it.
    """

    def __init__(self, origin: Origin, environment: MutableMapping[str, str]) -> None:
        self._origin = origin
        self._notifier = Notifier(environment)
        self._settings = settings = origin.settings()
        fleet = origin.fleet(settings)
        self._serving = Serving(
            settings.wizard, settings.fleet, fleet.registry, fleet.public_json,
            unsigned=settings.unsigned, keyring=Keyring.read(settings.keys_dir, settings.wizard),
            window_seconds=settings.limits["signature_window_seconds"],
        )  # fmt: skip
        self._soul = _soul_of(origin, settings)
        self._tls = Tls(settings)
        self._loop = Loop()
        os.makedirs(settings.state_dir, mode=0o700, exist_ok=True)
        path = os.path.join(settings.state_dir, DATABASE)
        self._bus = open_with_room(
            settings.wizard,
            self._notifier,
            lambda: Bus(
                self._loop, self._serving, path, settings.limits,
                handlers=self._handlers(), failed=self._checkpoint_failed,
                secure=self._tls.client,
            ),
        )  # fmt: skip
        most = descriptors.connections(settings.limits)
        self._server = Server(self._loop, settings.limits, most_connections=most)
        self._hook: HookPort | None = None
        self._listening = open_listeners(settings, environment)
        self._connect(self._listening)

    def run(self) -> None:
        """Serve until SIGTERM (or SIGINT) has drained what was begun."""
        wizard, loop = self._settings.wizard, self._loop
        calls = {signal.SIGTERM: self._end, signal.SIGINT: self._end, signal.SIGHUP: self._reload}
        signals = Signals(loop, calls)
        self._bus.start()
        if self._notifier.watchdog_seconds is not None:
            self._keep_alive(self._notifier.watchdog_seconds / _WATCHDOG_SHARE)
        sockets = (*self._listening.gateway, *self._listening.hook)
        log.info("%s: serving on %s", wizard, ", ".join(self._shown(sock) for sock in sockets))
        self._notifier.ready(f"serving {wizard}")
        # What is here now stays: looking through it for garbage again and again stalls turns.
        gc.freeze()
        try:
            self._server.serve_forever()
        except StoreBroken as error:
            _end_at_once(wizard, error)
        signals.close()
        self._bus.close()
        self._server.server_close()
        if self._listening.own_path is not None:
            os.unlink(self._listening.own_path)
        loop.close()
        log.info("%s: ended", wizard)

    def _connect(self, listening: Listening) -> None:
        if listening.hook:
            from fleet_agent.services.hook import HookPort

            self._hook = HookPort(self._loop, self._settings, lambda: self._settings)
            for sock in listening.hook:
                self._server.add_listener(sock, SOCKET_HOOK, self._hook.router)
        router = routes.build(self._serving, self._bus.routes(), self._health(self._hook))
        for sock in listening.gateway:
            secured = self._tls.server if self._tls.speaks(sock) else None
            self._server.add_listener(sock, SOCKET_GATEWAY, router, secured)

    def _shown(self, sock: socket.socket) -> str:
        return shown(sock, tls=sock in self._listening.gateway and self._tls.speaks(sock))

    def _handlers(self) -> Mapping[str, Handler]:
        settings = self._settings
        if not settings.handlers:
            return {}
        from fleet_agent.services.handlers import handlers_of

        return handlers_of(
            settings.handlers, self._loop, settings.run_dir, lambda: self._settings.limits
        )

    def _health(self, hook: HookPort | None) -> Callable[[Request], Response]:
        installed = self._origin.installed
        looks = [
            checks.disk_check(self._settings.state_dir, lambda: self._settings.limits),
            checks.clock_check(Clock(time.time, _passed)),
            *self._bus.looks(),
            checks.stall_check(lambda: self._loop.longest_stall_ms, lambda: self._settings.limits),
            checks.uptime_check(),
            checks.trust_check(self._serving),
            checks.keys_check(self._serving),
            checks.reload_check(self._serving),
            *([tls_check(self._tls, lambda: self._settings.limits)] if self._tls.on else []),
            checks.soul_check(lambda: self._soul),
        ]
        if hook is not None:
            looks.append(checks.hook_check(lambda: hook.failure))
        release: Callable[[], health.Release] = health.Release
        if installed is not None:
            release, look = checks.release_check(installed)
            looks.insert(0, look)
        return health.health_handler(self._serving, release, looks)

    def _end(self) -> None:
        """SIGTERM: finish what was begun; a second one does not wait for it."""
        if self._server.draining:
            self._loop.stop()
            return
        log.info("%s: ending", self._settings.wizard)
        self._notifier.stopping()
        self._bus.end()
        self._server.drain(self._settings.limits["http_drain_seconds"])

    def _reload(self) -> None:
        """SIGHUP: take settings and registry anew; what is broken leaves the old ones in force."""
        self._notifier.reloading()
        try:
            settings = self._origin.settings()
            if settings.wizard != self._settings.wizard:
                raise ConfigError(
                    f"they are {settings.wizard}'s, this is {self._settings.wizard}", where="wizard"
                )
            fleet = self._origin.fleet(settings)
            soul = _soul_of(self._origin, settings)
            keyring = Keyring.read(settings.keys_dir, settings.wizard)
        except FleetError as error:
            self._serving.reload_failure = str(error)
            log.error("%s: settings not taken, the old ones stay: %s", self._settings.wizard, error)
        else:
            self._serving.reload_failure = _for_the_next_start(self._settings, settings)
            self._tls.reload()
            self._take(settings, fleet, soul, keyring)
            if self._hook is not None:
                self._hook.reload()
        finally:
            self._notifier.ready(f"serving {self._settings.wizard}")

    def _take(
        self, settings: Settings, fleet: Fleet, soul: SoulSeal | None, keyring: Keyring
    ) -> None:
        serving = self._serving
        serving.registry, serving.registry_json = fleet.registry, fleet.public_json
        serving.unsigned, serving.keyring = settings.unsigned, keyring
        serving.window_seconds = settings.limits["signature_window_seconds"]
        self._bus.take(settings.limits)
        self._soul = soul
        self._settings = settings
        log.info(
            "%s: settings taken anew, %d wizards in the registry%s", settings.wizard,
            len(fleet.registry), "; " + serving.reload_failure if serving.reload_failure else "",
        )  # fmt: skip

    def _keep_alive(self, seconds: float) -> None:
        self._notifier.alive()
        self._loop.call_later(seconds, lambda: self._keep_alive(seconds))

    def _checkpoint_failed(self, error: Exception) -> None:
        """From the checkpoint's thread. Its pages are still in the log, so nothing is lost: a full
        disk is met by the next one, and after a failing one the next commit ends the process."""
        log.error("%s: a checkpoint of the inbox failed: %s", self._settings.wizard, error)


def _end_at_once(wizard: str, error: StoreBroken) -> NoReturn:
    """Not by way of the interpreter's end: closing the file would move its log into it, and delete
    the log, by the word of a disk that has just failed."""
    log.critical("%s: %s; it ends, and starts anew from what is on disk", wizard, error)
    logging.shutdown()
    os._exit(error.exit_code)


def _soul_of(origin: Origin, settings: Settings) -> SoulSeal | None:
    soul = settings.soul
    if soul is None:
        return None
    views = origin.soul_views(soul, settings.run_dir)
    return SoulSeal(soul.seal, soul.place or views[0], views) if views else None


def _for_the_next_start(old: Settings, new: Settings) -> str:
    """Which changed settings only a restart takes; empty where there are none."""
    fixed = [key for key in _FIXED if getattr(old, key) != getattr(new, key)]
    fixed += [
        name for name in new.limits if _of_http(name) and new.limits[name] != old.limits[name]
    ]
    return f"needs a restart: {', '.join(fixed)}" if fixed else ""


def _of_http(limit: str) -> bool:
    return limit.startswith(("http_", "hook_"))


def _passed() -> float:
    """Seconds since boot, sleep included: what the wall clock is compared with."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
