"""Ask a node's supervisor, in the words of systemctl or journalctl.

Run as `python -I -S call.py ROOT WORD…`: one answer, its exit code is the answer's.
"""

from __future__ import annotations

import json
import os
import socket
import sys

SOCKET = "run/supervisor.sock"
_CHUNK = 1 << 16


def connect(root: str) -> socket.socket:
    """A connection to the supervisor of ``root``. OSError when none listens.

    Through the folder's descriptor, since the path of a Unix socket ends after 107 bytes.
    """
    folder = os.open(os.path.join(root, os.path.dirname(SOCKET)), os.O_PATH)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(f"/proc/self/fd/{folder}/{os.path.basename(SOCKET)}")
    except OSError:
        connection.close()
        raise
    finally:
        os.close(folder)
    return connection


def main() -> int:
    """Send the words and print the answer."""
    root, words = sys.argv[1], sys.argv[2:]
    try:
        connection = connect(root)
    except OSError as error:
        print(f"no supervisor runs for {root}: {error.strerror}", file=sys.stderr)
        return 1
    with connection:
        connection.sendall(json.dumps({"words": words}).encode() + b"\n")
        parts = []
        while part := connection.recv(_CHUNK):
            parts.append(part)
    if not parts:
        print(f"the supervisor of {root} ended before it answered", file=sys.stderr)
        return 1
    answer = json.loads(b"".join(parts))
    sys.stdout.write(answer["out"])
    sys.stderr.write(answer["err"])
    return int(answer["code"])


if __name__ == "__main__":
    sys.exit(main())
