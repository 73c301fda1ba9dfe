"""Units of systemd as values, and the few acts on them. What is to happen is decided elsewhere.

A unit in the scope of a user is asked for as that user: root may not enter a user's bus.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from fleet_agent import proc
from fleet_agent.errors import NodeError
from fleet_agent.node.errors import UnitError
from fleet_agent.node.layout import Layout

LOG_LINES: Final = 20
# Stands for systemd's LoadState where the manager of a user can't be asked.
NO_MANAGER: Final = "no-manager"
_ASK_SECONDS: Final = 30.0
_STOP_TRIES: Final = 4
_STOP_PAUSE_SECONDS: Final = 0.25
_MOST_READINGS: Final = 5
_READING_PAUSE_SECONDS: Final = 0.15
_PROPERTIES: Final = (
    "LoadState", "ActiveState", "SubState", "UnitFileState", "Result", "ExecMainStatus", "MainPID",
    "InvocationID", "NRestarts", "ActiveEnterTimestampMonotonic", "ExecMainStartTimestampMonotonic",
    "NeedDaemonReload", "StatusText",
)  # fmt: skip


class Ref(NamedTuple):
    """A unit, and the account in whose scope it is; empty for the system's."""

    unit: str
    user: str = ""

    @property
    def key(self) -> str:
        """As it stands in files."""
        return f"{self.user}/{self.unit}" if self.user else self.unit

    def __str__(self) -> str:
        return f"unit {self.unit}" + (f" of user {self.user}" if self.user else "")


def ref(key: str) -> Ref:
    """The unit that ``key`` stands for."""
    user, _, unit = key.rpartition("/")
    return Ref(unit, user)


class State(NamedTuple):
    """What systemd says of a unit. Times are seconds after boot, 0 for never.

    ``said`` is what its process last said of itself (STATUS= of sd_notify(3)).
    """

    load: str = "not-found"
    active: str = "inactive"
    sub: str = "dead"
    file: str = ""
    result: str = ""
    exit_status: str = ""
    pid: int = 0
    invocation: str = ""
    restarts: int = 0
    started: float = 0.0
    stale: bool = False
    said: str = ""

    @property
    def known(self) -> bool:
        """Whether there is such a unit."""
        return self.load == "loaded"

    @property
    def is_active(self) -> bool:
        """Whether it runs, or listens."""
        return self.active in ("active", "reloading")

    @property
    def has_failed(self) -> bool:
        """Whether it is known not to come up by itself, or died and is tried again."""
        return self.active == "failed" or self.sub == "auto-restart"

    @property
    def enabled(self) -> bool:
        """Whether it starts at boot."""
        return self.file in ("enabled", "enabled-runtime")


class Units:
    """systemd on one node, or what stands for it in the demo."""

    def __init__(self, layout: Layout, start_seconds: float) -> None:
        self._layout = layout
        self._start_seconds = start_seconds

    def show(self, refs: Iterable[Ref]) -> dict[Ref, State]:
        """The state of each unit, with one question a scope.

        Units of a user whose manager does not run are inactive, and say so when they fail: one
        manager that is gone must not stand in the way of everything else on the node.
        """
        found: dict[Ref, State] = {}
        refs = list(refs)
        for user, units in _by_user(refs).items():
            argv = ["show", f"--property={','.join(_PROPERTIES)}", "--", *units]
            done = self._call(user, argv, check=not user)
            if done.code != 0:
                gone = State(load=NO_MANAGER, active="inactive", sub=done.complaint)
                found.update({Ref(unit, user): gone for unit in units})
                continue
            blocks = done.text.split("\n\n")
            if len(blocks) != len(units):
                raise NodeError(
                    f"systemctl told of {len(blocks)} units, not of {len(units)}", where="systemctl"
                )
            for unit, block in zip(units, blocks, strict=True):
                found[Ref(unit, user)] = _state(block)
        return found

    def version(self) -> int:
        """The version of systemd, 0 when it can't be told."""
        words = self._call("", ["--version"]).text.split()
        return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0

    def daemon_reload(self) -> None:
        """Let systemd read its unit files again."""
        self._call("", ["daemon-reload"])

    def enable(self, refs: Sequence[Ref]) -> None:
        """Let the units start at boot. A daemon_reload is to follow."""
        for user, units in _by_user(refs).items():
            self._call(user, ["enable", "--quiet", "--no-reload", "--", *units])

    def disable(self, refs: Sequence[Ref]) -> None:
        """Let the units not start at boot. A daemon_reload is to follow."""
        for user, units in _by_user(refs).items():
            self._call(user, ["disable", "--quiet", "--no-reload", "--", *units])

    def start(self, refs: Sequence[Ref]) -> None:
        """Start the units and wait. Raises UnitError for the first one that does not come up."""
        self._act("start", refs)

    def start_without_waiting(self, refs: Sequence[Ref]) -> None:
        """Ask for the units to be started, and go on: they may be ordered after this process."""
        for user, units in _by_user(refs).items():
            self._call(user, ["start", "--no-block", "--", *units])

    def restart(self, refs: Sequence[Ref]) -> None:
        """Restart the units and wait. Raises UnitError for the first one that does not come up."""
        self._act("restart", refs)

    def reload(self, refs: Sequence[Ref]) -> None:
        """Let the units read their configuration anew, without a new process."""
        self._act("reload", refs)

    def stop(self, refs: Sequence[Ref], *, wait: bool = True) -> None:
        """Stop the units; what is not there is stopped already.

        Tried again where it fails: a service that systemd is just starting anew cancels the stop
        of its socket.
        """
        for user, units in _by_user(refs).items():
            argv = ["stop", *([] if wait else ["--no-block"]), "--", *units]
            for tries_left in reversed(range(_STOP_TRIES)):
                done = self._call(user, argv, check=False)
                # 5: not loaded (systemctl(1), EXIT STATUS).
                if done.code in (0, 5):
                    break
                if not tries_left:
                    raise NodeError(
                        f"could not be stopped: {done.complaint}",
                        where=f"units {', '.join(units)}",
                    )
                time.sleep(_STOP_PAUSE_SECONDS)

    def forget_failures(self, refs: Sequence[Ref]) -> None:
        """Let earlier failures not count: systemd refuses the sixth start within ten seconds."""
        for user, units in _by_user(refs).items():
            # It complains of units that are not loaded, which have nothing to be forgotten.
            self._call(user, ["reset-failed", "--", *units], check=False)

    def log(self, unit: Ref, since: float) -> tuple[str, ...]:
        """The last lines that the unit's processes wrote since the Unix time ``since``."""
        if not self._layout.systemd_run:
            argv = ["status", f"--lines={LOG_LINES}", "--output=cat", "--", unit.unit]
            text = self._call(unit.user, argv, check=False).text
            return tuple(text.partition("\n\n")[2].splitlines()[-LOG_LINES:])
        which = [f"--unit={unit.unit}"]
        if unit.user:
            which = [f"--user-unit={unit.unit}", f"_UID={_account(unit.user)[0]}"]
        # From the end: forward, with a `--since`, systemd 252 gives the first lines, not the last.
        argv = ["journalctl", "--quiet", "--reverse", f"--lines={LOG_LINES}", "--output=cat",
                "--no-pager", f"--since=@{int(since)}", *which]  # fmt: skip
        return tuple(reversed(_when_all_said(argv)[:LOG_LINES]))

    def failure(self, unit: Ref, state: State, since: float) -> UnitError:
        """An error that says how the unit failed, with its own last words."""
        how = f"{state.active} ({state.sub}), result {state.result or 'unknown'}"
        status = f", exit status {state.exit_status}" if state.exit_status not in ("", "0") else ""
        mend = f"systemctl status {unit.unit}; journalctl -u {unit.unit}"
        if state.load == NO_MANAGER:
            mend = f"let the user's manager run: loginctl enable-linger {unit.user}"
        if state.result == "start-limit-hit":
            mend = f"started too often: systemctl reset-failed {unit.unit}; {mend}"
        return UnitError(f"is {how}{status}", where=str(unit), mend=mend, log=self.log(unit, since))

    def _act(self, verb: str, refs: Sequence[Ref]) -> None:
        since = time.time()
        for user, units in _by_user(refs).items():
            argv = [verb, "--", *units]
            try:
                done = self._call(user, argv, check=False, seconds=self._start_seconds)
                complaint = done.complaint
            except proc.ProcessError as late:
                done, complaint = None, late.what
            if done is not None and done.code == 0:
                continue
            here = [Ref(unit, user) for unit in units]
            states = self.show(here)
            for one in here:
                if not states[one].is_active:
                    raise self.failure(one, states[one], since)
            raise NodeError(f"systemctl {verb}: {complaint}", where=f"units {', '.join(units)}")

    def _call(
        self, user: str, argv: Sequence[str], *, check: bool = True, seconds: float = _ASK_SECONDS
    ) -> proc.Completed:
        prefix, env = [], None
        if user:
            uid, gid = _account(user)
            if uid != os.geteuid():
                prefix = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--init-groups", "--"]
            env = {
                "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
                "XDG_RUNTIME_DIR": f"/run/user/{uid}",
            }
        scope = ["--user"] if user else []
        return proc.run(
            [*prefix, *self._layout.systemctl, *scope, *argv],
            timeout_seconds=seconds,
            check=check,
            env=env,
        )


def _account(user: str) -> tuple[int, int]:
    import pwd

    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise NodeError("there is no such account", where=f"user {user}") from None
    return entry.pw_uid, entry.pw_gid


def _by_user(refs: Iterable[Ref]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for one in refs:
        groups.setdefault(one.user, []).append(one.unit)
    return groups


def _state(block: str) -> State:
    said = dict(line.partition("=")[::2] for line in block.strip().splitlines())
    return State(
        load=said.get("LoadState", "not-found"),
        active=said.get("ActiveState", "inactive"),
        sub=said.get("SubState", ""),
        file=said.get("UnitFileState", ""),
        result=said.get("Result", ""),
        exit_status=said.get("ExecMainStatus", ""),
        pid=_number(said, "MainPID"),
        invocation=said.get("InvocationID", ""),
        restarts=_number(said, "NRestarts"),
        started=(
            _number(said, "ExecMainStartTimestampMonotonic")
            or _number(said, "ActiveEnterTimestampMonotonic")
        )
        / 1e6,
        stale=said.get("NeedDaemonReload") == "yes",
        said=said.get("StatusText", ""),
    )


def _number(said: Mapping[str, str], name: str) -> int:
    text = said.get(name, "")
    return int(text) if text.isdigit() else 0


def _when_all_said(argv: Sequence[str]) -> list[str]:
    """The journal's lines once it has no new ones.

    What a process said last may not have come to the journal yet, and `--sync` only writes down
    what the journal has already taken from it.
    """
    lines: list[str] | None = None
    for _ in range(_MOST_READINGS):
        proc.run(["journalctl", "--sync"], timeout_seconds=_ASK_SECONDS, check=False)
        before, lines = (
            lines,
            proc.run(argv, timeout_seconds=_ASK_SECONDS, check=False).text.splitlines(),
        )
        if lines == before:
            break
        time.sleep(_READING_PAUSE_SECONDS)
    return lines or []
