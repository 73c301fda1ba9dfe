"""The lab: nodes on a network, booted together and taken away again whatever happens.

One lab of a name runs at a time; others beside it take another name (FLEET_LAB_NAME).
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TextIO

from .network import MOST_NODES, OPERATOR_V4, Network, node_v4, node_v6
from .node import Node
from .shell import Completed, LabError, call
from .sweep import sweep
from .tools import require
from .tree import base_trees, lab_key

NAME = os.environ.get("FLEET_LAB_NAME", "lab")
HOME = Path(os.environ.get("FLEET_LAB_DIR", "/var/lib/fleet-agent-lab"))
DEFAULT_SUITES = ("debian12", "debian13", "debian12")
# The kernel's defaults leave later nodes without sshd, silently.
INOTIFY = {"fs.inotify.max_user_instances": 8192, "fs.inotify.max_user_watches": 1048576}
ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def place_of(name: str) -> Path:
    """The directory of the lab with this name: lock, nodes, git, logs."""
    if not re.fullmatch(r"[a-z][a-z0-9]{0,7}", name):
        raise LabError(f"no name for a lab: {name!r} (a letter, then at most 7 letters or digits)")
    return HOME / name


class Lab:
    """Machines n1, n2, … in a context: `with Lab() as lab: lab["n1"].run(["true"])`."""

    def __init__(self, suites: Sequence[str] = DEFAULT_SUITES, name: str = NAME) -> None:
        if not 1 <= len(suites) <= MOST_NODES:
            raise LabError(f"a lab has 1 to {MOST_NODES} nodes, not {len(suites)}")
        self.suites = tuple(suites)
        self.name = name
        self.place = place_of(name)
        self.logs = self.place / "logs"
        self.network = Network(name)
        self.nodes: list[Node] = []
        self.boot_s = 0.0
        self._lock: TextIO | None = None
        self._handlers: dict[signal.Signals, object] = {}

    def __enter__(self) -> Lab:
        require()
        self._lock = hold(self.place, self.name)
        self._on_signals()
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getitem__(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        raise LabError(f"no node {name} in this lab")

    @property
    def operator_address(self) -> str:
        """The operator's IPv4 address, as the nodes see it."""
        return OPERATOR_V4

    def operator_argv(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` in the operator's namespace, for your own Popen."""
        return ["ip", "netns", "exec", self.network.operator, *argv]

    def operator(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | str | None = None,
        check: bool = True,
        timeout_s: float = 60.0,
        stdin: str | bytes = "",
    ) -> Completed:
        """Run `argv` in the operator's namespace; `env` is added to this process's environment."""
        return call(
            self.operator_argv(argv),
            env=env,
            cwd=cwd,
            check=check,
            timeout_s=timeout_s,
            stdin=stdin,
        )

    def close(self) -> None:
        """Take everything away; a second Ctrl-C does not interrupt it."""
        with signals_held():
            sweep(self.name, self.place)
        self._on_signals(restore=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _build(self) -> None:
        sweep(self.name, self.place)
        shutil.rmtree(self.logs, ignore_errors=True)
        self.logs.mkdir(parents=True)
        raise_inotify()
        trees = base_trees(self.suites)
        began = time.monotonic()
        self.network.up()
        key = lab_key()
        for index, suite in enumerate(self.suites):
            name = f"n{index + 1}"
            node = Node(
                name=name,
                address=node_v4(index),
                address_v6=node_v6(index),
                suite=suite,
                tree=trees[suite],
                place=self.place / "nodes" / name,
                console=self.logs / f"{name}.console",
                cable=self.network.cable(name, index),
                key=key,
            )
            node.prepare()
            node.power_on()
            self.nodes.append(node)
        pool = ThreadPoolExecutor(len(self.nodes))
        try:
            list(pool.map(Node.wait_up, self.nodes))
        finally:
            # Interrupted, the waits end by themselves once their machines are swept away.
            pool.shutdown(wait=False, cancel_futures=True)
        self.boot_s = time.monotonic() - began
        count = len(self.nodes)
        print(f"lab {self.name}: {count} nodes up in {self.boot_s:.1f} s", file=sys.stderr)

    def _on_signals(self, restore: bool = False) -> None:
        """Let SIGTERM and SIGHUP unwind like a Ctrl-C, so that the lab is taken away."""
        if threading.current_thread() is not threading.main_thread():
            return

        def interrupt(number: int, _: FrameType | None) -> None:
            raise KeyboardInterrupt(f"signal {number}")

        for number in ENDING_SIGNALS:
            if restore:
                signal.signal(number, self._handlers.pop(number, signal.SIG_DFL))  # type: ignore[arg-type]
            else:
                self._handlers[number] = signal.signal(number, interrupt)


def hold(place: Path, name: str) -> TextIO:
    """Become the lab's owner until the returned file is closed or this process ends, however."""
    place.mkdir(parents=True, exist_ok=True)
    lock = (place / "owner").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        owner = lock.read().strip()
        lock.close()
        raise LabError(
            f"lab {name} is in use by process {owner}; end that, or set FLEET_LAB_NAME"
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


@contextmanager
def signals_held() -> Iterator[None]:
    """Keep Ctrl-C and the like waiting until the block is done."""
    numbers = (signal.SIGINT, *ENDING_SIGNALS)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def raise_inotify() -> None:
    """Raise this machine's inotify limits to what thirty systemds need; never lower them."""
    for key, least in INOTIFY.items():
        setting = Path("/proc/sys") / key.replace(".", "/")
        if int(setting.read_text()) < least:
            setting.write_text(str(least))
