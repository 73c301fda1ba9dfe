#!/usr/bin/python3
"""A handler that says who it is, or does its worst, as the message wants it."""

import json
import os
import socket
import sys
import time


def may_speak_to(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as line:
        try:
            line.connect(path)
        except OSError:
            return False
    return True


def bomb() -> None:
    """As many processes as there may be, each in a session of its own; none ends by itself."""
    while True:
        try:
            if not os.fork():
                os.setsid()
        except OSError:
            time.sleep(600)


wish = json.load(sys.stdin)["payload"]
if wish == "bomb":
    bomb()
if wish == "hog":
    held = []
    while True:
        held.append(bytearray(1 << 20))
with open("/proc/self/cgroup", encoding="ascii") as source:
    cgroup = source.read()
boxes, keys = "/var/lib/fleet-agent/bezalel/bus.db", "/etc/fleet-agent/bezalel/keys/pairs.json"
print(json.dumps({
    "uid": os.getuid(), "cgroup": cgroup,
    "reads": [path for path in (boxes, keys) if os.access(path, os.R_OK)],
    "runs others": may_speak_to("/run/fleet-agent/bezalel/exec.sock"),
    "is the agent": may_speak_to(os.environ["FLEET_AGENT_SOCKET"]),
    "writes the system": os.access("/usr", os.W_OK) or os.access("/etc", os.W_OK),
}))  # fmt: skip
