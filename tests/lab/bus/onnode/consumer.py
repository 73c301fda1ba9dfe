"""Leases what came in, handles it once, acks: the idempotent handler that the promises speak of.

A handling is a line in a journal that was fsynced before the ack. What was handled and whose ack
did not come through is handled no second time; what was acked is over, and the daemon's to know.
Usage: consumer.py SPEC.json
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from calling import Daemon, Record  # type: ignore[import-not-found]

WAIT_SECONDS = 2
AGAIN_SECONDS = 0.15


class Journal:
    """The handler's own memory, on the disk that loses its power. Not for the daemon's sake."""

    def __init__(self, path: str) -> None:
        self.unacked: set[str] = set()
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        os.fsync(self._file)
        folder = os.open(os.path.dirname(path), os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        self._length = 0
        with open(path, "rb") as lines:
            for line in lines:
                if not line.endswith(b"\n") or b"\0" in line:
                    break  # what a power cut tore was never acked
                self._length += len(line)
                event = json.loads(line)
                take = self.unacked.add if event["what"] == "handled" else self.unacked.discard
                take(event["id"])
        os.ftruncate(self._file, self._length)

    def handle(self, ids: list[str]) -> None:
        """Handle these: on disk when this returns. Raises OSError, and then nothing was done.

        After a failed fsync it is not known what the disk holds, so the process ends.
        """
        self._append("handled", ids)
        try:
            os.fsync(self._file)
        except OSError as error:
            raise SystemExit(1) from error
        self.unacked.update(ids)

    def acked(self, ids: list[str]) -> None:
        """These are over. Not fsynced: a forgotten ack only makes the next handling more careful.

        A full disk forgets it, too.
        """
        self.unacked.difference_update(ids)
        try:
            self._append("acked", ids)
        except OSError:
            self.unacked.update(ids)

    def _append(self, what: str, ids: list[str]) -> None:
        now = round(time.time(), 6)
        data = "".join(f'{{"what":"{what}","id":{json.dumps(id_)},"t":{now}}}\n' for id_ in ids)
        try:
            written = os.write(self._file, data.encode())
            if written != len(data.encode()):
                raise OSError("the disk is full")
        except OSError:
            os.ftruncate(self._file, self._length)
            raise
        self._length += written


class Handler:
    """The agent of one wizard, as far as it takes messages."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._me = spec["wizard"]
        self._target = f"/inbox?wait={WAIT_SECONDS}&limit=64&lease={spec['lease']}"
        self._run = spec["run"] + ":"
        self._record = Record(spec["gets"], self._me)
        self._journal = Journal(spec["journal"])
        self._daemon = Daemon(spec["socket"])

    def turn(self) -> None:
        """Take what there is, handle it, ack it. Raises OSError where the daemon is not there."""
        status, said = self._daemon.ask("GET", self._target)
        if status != 200:
            raise OSError(f"GET /inbox: {status}")
        leased = said["messages"]
        ours = [one for one in leased if one["id"].startswith(self._run)]
        self._record.write(*({
            "what": "delivery", "id": one["id"], "from": one["message"]["from"],
            "lane": int(one["message"]["type"] == "alert"), "attempt": one["attempt"],
        } for one in ours))  # fmt: skip
        new = [one["id"] for one in ours if one["id"] not in self._journal.unacked]
        while new:
            try:
                self._journal.handle(new)
                break
            except OSError:
                time.sleep(AGAIN_SECONDS)  # a full disk; perhaps the leases end meanwhile
        for one in leased:
            self._ack(one)

    def _ack(self, one: dict[str, Any]) -> None:
        body = json.dumps({"receipt": one["receipt"]}).encode()
        status, _ = self._daemon.ask("POST", f"/inbox/{one['id']}/ack", body)
        if one["id"].startswith(self._run):
            self._record.write({"what": "ack", "id": one["id"], "status": status})
            if status < 300:
                self._journal.acked([one["id"]])
        elif status < 300:
            self._note(one["message"])

    def _note(self, message: dict[str, Any]) -> None:
        """A word of the daemon itself: it gave a message of ours up."""
        payload = message["payload"]
        of_daemon = message["from"] == self._me and isinstance(payload, dict)
        if of_daemon and payload.get("error") == "dead-letter":
            self._record.write({
                "what": "told", "id": message["in_reply_to"], "reason": payload["reason"],
            })  # fmt: skip


def main() -> None:
    """Go on for ever; whoever ends it uses a signal."""
    with open(sys.argv[1]) as file:
        handler = Handler(json.load(file))
    while True:
        try:
            handler.turn()
        except OSError:
            time.sleep(AGAIN_SECONDS)


if __name__ == "__main__":
    main()
