"""Acknowledged publishes to JetStream: `natsload.py PORT CONNECTIONS SECONDS`, message on stdin.

A process of its own, one epoll, one message under way on each connection. Prints one line of JSON.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time

SUBJECT, STREAM = "bench.inbox", "BENCH"
CONNECT = b'CONNECT {"verbose":false,"pedantic":false}\r\n'


def connect(port: int, inbox: str) -> socket.socket:
    """A connection that listens to ``inbox``."""
    line = socket.create_connection(("127.0.0.1", port))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line.recv(65536)  # INFO
    line.sendall(CONNECT + f"SUB {inbox} 1\r\nPING\r\n".encode())
    while b"PONG" not in line.recv(65536):
        pass
    return line


def publish(subject: str, inbox: str, body: bytes) -> bytes:
    """One publish that asks for an answer at ``inbox``."""
    return f"PUB {subject} {inbox} {len(body)}\r\n".encode() + body + b"\r\n"


def main(port: int, connections: int, seconds: int) -> dict[str, float]:
    """Publish for some seconds; how many, how fast, and the 99th percentile in ms."""
    body = sys.stdin.buffer.read()
    first = connect(port, "_INBOX.make")
    wanted = {"name": STREAM, "subjects": [SUBJECT], "storage": "file"}
    create = f"$JS.API.STREAM.CREATE.{STREAM}"
    first.sendall(publish(create, "_INBOX.make", json.dumps(wanted).encode()))
    first.recv(65536)
    poll = select.epoll()
    lines, asks, began, spent = {}, {}, {}, []
    for number in range(connections):
        line = connect(port, f"_INBOX.{number}")
        lines[line.fileno()] = line
        asks[line.fileno()] = publish(SUBJECT, f"_INBOX.{number}", body)
        poll.register(line.fileno(), select.EPOLLIN)
    start = time.perf_counter()
    for fd, line in lines.items():
        began[fd] = time.perf_counter()
        line.sendall(asks[fd])
    while (now := time.perf_counter()) < start + seconds:
        for fd, _ in poll.poll(0.1):
            data = lines[fd].recv(65536)
            if b'"seq"' not in data:  # a PING, or the first half of an answer
                if b"error" in data:
                    raise SystemExit(data.decode())
                if data.startswith(b"PING"):
                    lines[fd].sendall(b"PONG\r\n")
                continue
            now = time.perf_counter()
            spent.append(now - began[fd])
            began[fd] = now
            lines[fd].sendall(asks[fd])
    spent.sort()
    return {
        "count": len(spent),
        "per_s": len(spent) / (now - start),
        "p99_ms": spent[len(spent) * 99 // 100] * 1000,
    }


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:]))))
