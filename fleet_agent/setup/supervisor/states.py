"""The states of a service: which sub state belongs to which active state, and the allowed moves.

Pure. Words and meaning as in systemd (``systemctl show -p ActiveState,SubState,Result``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fleet_agent.errors import IllegalMove

DEAD: Final = "dead"
START: Final = "start"
RUNNING: Final = "running"
EXITED: Final = "exited"
RELOAD: Final = "reload"
STOP: Final = "stop-sigterm"
AUTO_RESTART: Final = "auto-restart"
FAILED: Final = "failed"

ACTIVE_OF: Final[Mapping[str, str]] = {
    DEAD: "inactive",
    START: "activating",
    RUNNING: "active",
    EXITED: "active",
    RELOAD: "reloading",
    STOP: "deactivating",
    AUTO_RESTART: "activating",
    FAILED: "failed",
}

MOVES: Final[Mapping[str, frozenset[str]]] = {
    DEAD: frozenset({START}),
    START: frozenset({RUNNING, EXITED, STOP, AUTO_RESTART, DEAD, FAILED}),
    RUNNING: frozenset({RELOAD, STOP, AUTO_RESTART, DEAD, FAILED}),
    EXITED: frozenset({STOP, DEAD}),
    RELOAD: frozenset({RUNNING, STOP, AUTO_RESTART, DEAD, FAILED}),
    STOP: frozenset({DEAD, FAILED, AUTO_RESTART}),
    AUTO_RESTART: frozenset({START, DEAD, FAILED}),
    FAILED: frozenset({START, DEAD}),
}

SUCCESS: Final = "success"
EXIT_CODE: Final = "exit-code"
SIGNAL: Final = "signal"
TIMEOUT: Final = "timeout"
PROTOCOL: Final = "protocol"
RESOURCES: Final = "resources"
START_LIMIT: Final = "start-limit-hit"

# SIGHUP, SIGINT, SIGPIPE, SIGTERM end a service cleanly (systemd.service(5), SuccessExitStatus=)
_CLEAN_SIGNALS: Final = frozenset({1, 2, 13, 15})


def move(unit: str, now: str, wanted: str) -> str:
    """``wanted`` when a service may go there from ``now``; IllegalMove otherwise."""
    if wanted not in MOVES[now]:
        raise IllegalMove(unit, now, wanted)
    return wanted


def result_of(code: int, also_clean: frozenset[int] = frozenset()) -> str:
    """The result of a main process that ended with ``code`` (negative: by a signal)."""
    if code < 0:
        return SUCCESS if -code in _CLEAN_SIGNALS else SIGNAL
    return SUCCESS if code == 0 or code in also_clean else EXIT_CODE


def restarts(policy: str, result: str) -> bool:
    """Whether ``Restart=policy`` starts a service again that ended by itself with ``result``."""
    if result == START_LIMIT:
        return False
    if policy == "always":
        return True
    if policy == "on-failure":
        return result != SUCCESS
    if policy == "on-success":
        return result == SUCCESS
    if policy == "on-abnormal":
        return result in {SIGNAL, TIMEOUT}
    return False
