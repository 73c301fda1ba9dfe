"""The load of bench_bus: requests of a file over many connections, one at a time on each.

A process of its own, one thread, one epoll: `python busload.py PORT CONNECTIONS FILE`. Prints one
line of JSON. Knows nothing of messages, so that it costs little.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import time

LENGTH = struct.Struct("<I")


def read(path: str) -> list[bytes]:
    """The requests of a file, each behind its length."""
    with open(path, "rb") as file:
        data = file.read()
    found, at = [], 0
    while at < len(data):
        (length,) = LENGTH.unpack_from(data, at)
        at += LENGTH.size
        found.append(data[at : at + length])
        at += length
    return found


def run(port: int, connections: int, requests: list[bytes]) -> dict[str, float]:
    """Send all of ``requests``; seconds, latencies in ms, and how many were not 202."""
    requests.reverse()
    poll = select.epoll()
    lines: dict[int, socket.socket] = {}
    began: dict[int, float] = {}
    spent: list[float] = []
    refused = 0
    for _ in range(min(connections, len(requests))):
        line = socket.create_connection(("127.0.0.1", port))
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines[line.fileno()] = line
        poll.register(line.fileno(), select.EPOLLIN)
    start = time.perf_counter()
    for fd, line in lines.items():
        began[fd] = time.perf_counter()
        line.sendall(requests.pop())
    flying = len(lines)
    parts: dict[int, bytes] = {}
    while flying:
        for fd, _ in poll.poll():
            line = lines[fd]
            data = parts.pop(fd, b"") + line.recv(262144)
            if not whole(data):
                parts[fd] = data
                continue
            now = time.perf_counter()
            spent.append(now - began[fd])
            if data[9:12] != b"202":
                refused += 1
            if requests:
                began[fd] = now
                line.sendall(requests.pop())
            else:
                flying -= 1
    seconds = time.perf_counter() - start
    spent.sort()
    return {
        "seconds": seconds,
        "p50_ms": spent[len(spent) // 2] * 1000,
        "p99_ms": spent[len(spent) * 99 // 100] * 1000,
        "refused": refused,
    }


def whole(data: bytes) -> bool:
    """Whether one answer is there to its end."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return False
    at = data.find(b"Content-Length: ")
    return len(data) >= end + 4 + int(data[at + 16 : data.index(b"\r", at)])


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]), read(sys.argv[3]))))
