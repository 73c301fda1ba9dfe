"""Sockets handed over by systemd: in a child process, as the descriptors are numbered from 3."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
# Moves the inherited descriptors to 3, 4, …, and tells what was taken.
CHILD = """
import json, os, sys
moved = [os.dup(int(fd)) for fd in sys.argv[2:]]
spare = [os.dup2(fd, 40 + n) for n, fd in enumerate(moved)]
for n, fd in enumerate(spare):
    os.dup2(fd, 3 + n)
os.environ["LISTEN_PID"] = str(os.getpid()) if sys.argv[1] == "mine" else sys.argv[1]
from fleet_agent.errors import FleetError
from fleet_agent.services.activation import hand_on, take_sockets
try:
    found = take_sockets(os.environ)
    if sys.argv[1] == "mine":
        hand_on(os.environ, found)  # and take them again, as the program that this becomes does
        assert all(sock.detach() >= 3 for _, sock in found if sock.get_inheritable())
        found = take_sockets(os.environ)
except FleetError as error:
    print(json.dumps([error.what, error.where]))
else:
    print(json.dumps({"taken": [[name, sock.getsockname()[1]] for name, sock in found],
                      "inheritable": [sock.get_inheritable() for _, sock in found],
                      "left": [name for name in os.environ if name.startswith("LISTEN_")],
                      "again": len(take_sockets(os.environ))}))
"""


def take(
    *sockets: socket.socket, names: str = "gateway:hook", count: str = "", pid: str = "mine"
) -> Any:
    fds = [sock.fileno() for sock in sockets]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, pid, *map(str, fds)],
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"],
             "LISTEN_FDS": count or str(len(fds)), "LISTEN_FDNAMES": names},
        pass_fds=fds, stdout=subprocess.PIPE, timeout=60, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def listening() -> socket.socket:
    made = socket.create_server(("127.0.0.1", 0))
    made.set_inheritable(True)
    return made


def test_sockets_come_with_their_names_once_and_for_this_process_alone() -> None:
    with listening() as one, listening() as two:
        said = take(one, two)
        ports = [one.getsockname()[1], two.getsockname()[1]]
    assert said == {
        "taken": [["gateway", ports[0]], ["hook", ports[1]]],
        "inheritable": [False, False],
        "left": [],
        "again": 0,
    }


def test_sockets_for_another_process_are_not_taken() -> None:
    with listening() as one:
        assert take(one, pid="1")["taken"] == []


def test_nonsense_counts_as_nothing() -> None:
    assert take(count="many")["taken"] == []


def test_missing_names_are_empty() -> None:
    with listening() as one, listening() as two:
        assert [name for name, _ in take(one, two, names="gateway")["taken"]] == ["gateway", ""]


def test_a_socket_that_does_not_listen_is_refused() -> None:
    with socket.socket() as one:
        what, where = take(one)
    assert "does not listen" in what
    assert where == "descriptor 3 (gateway)"


def test_a_descriptor_that_is_no_socket_is_refused() -> None:
    with open(os.devnull) as file:
        what, _ = take(file)  # type: ignore[arg-type]
    assert "no socket" in what
