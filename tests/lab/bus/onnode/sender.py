"""Sends numbered messages over the wizard's own daemon until each has its 202; one thread a stream.

Killed and started again it goes on where its record ends, with the same bytes for the same id.
Usage: sender.py SPEC.json
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from typing import Any

from calling import Daemon, Record  # type: ignore[import-not-found]

AGAIN_SECONDS = 0.15
LARGEST_BATCH = 40
NDJSON = "application/x-ndjson"


class Stream(threading.Thread):
    """All messages to one receiver in one lane, each accepted before the next is sent."""

    def __init__(
        self, spec: dict[str, Any], to: str, lane: int, count: int, record: Record
    ) -> None:
        super().__init__()
        self._spec, self._to, self._lane, self._count = spec, to, lane, count
        self._record = record
        self._prefix = f"{spec['run']}:{spec['wizard']}:{to}:{lane}"
        self._daemon = Daemon(spec["socket"])
        self._dice = random.Random(f"{spec['seed']}.{spec['wizard']}.{to}.{lane}.{time.time()}")
        self.accepted = 0
        self.sent: dict[str, float] = {}  # of what is not accepted yet: its first time

    def run(self) -> None:
        rate = self._spec["rate"] * self._count / self._spec["count"]
        began = self._spec["began"]
        while self.accepted < self._count:
            due = began + self.accepted / rate
            time.sleep(max(0.0, min(due - time.time(), 1.0)))
            if time.time() >= due:
                # Those that waited meanwhile go as one batch.
                late = int((time.time() - began) * rate) - self.accepted
                size = self._dice.choice((1, 1, self._dice.randint(2, LARGEST_BATCH)))
                self._send(max(1, min(size, late, self._count - self.accepted)))

    def _send(self, size: int) -> None:
        numbers = range(self.accepted, self.accepted + size)
        ids = [self.id(number) for number in numbers]
        new = [(id_, number) for id_, number in zip(ids, numbers, strict=True)
               if id_ not in self.sent]  # fmt: skip
        now = round(time.time(), 6)
        self.sent |= {id_: now for id_, _ in new}
        self._record.write(*(
            {"what": "send", "id": id_, "from": self._spec["wizard"], "to": self._to,
             "lane": self._lane, "n": number, "stamp": now} for id_, number in new
        ))  # fmt: skip
        body = b"\n".join(
            self._bytes(id_, number) for id_, number in zip(ids, numbers, strict=True)
        )
        while not self._accepted(ids, body):
            time.sleep(AGAIN_SECONDS)
        self.accepted += size

    def _accepted(self, ids: list[str], body: bytes) -> bool:
        media = NDJSON if len(ids) > 1 else "application/json"
        try:
            status, said = self._daemon.ask("POST", "/message", body, media)
        except OSError as error:
            self._refused(ids[0], len(ids), str(error).partition(":")[0])
            return False
        answers = [said] if len(ids) == 1 else []
        if status < 400 and len(ids) > 1:
            answers = [json.loads(line) for line in said.splitlines()]
        taken, bad = [], {}
        for id_, one in zip(ids, answers, strict=False):
            if one.get("id") == id_ and one.get("status") in ("accepted", "duplicate"):
                taken.append({"what": "accepted", "id": id_, "status": one["status"]})
            else:
                bad[id_] = one.get("problem", one).get("status", status)
        self._record.write(*taken)
        if not answers:
            self._refused(ids[0], len(ids), status)
        for id_, why in bad.items():
            self._refused(id_, 1, why)
        return len(taken) == len(ids)

    def _refused(self, id_: str, count: int, why: object) -> None:
        self._record.write({"what": "refused", "id": id_, "count": count, "why": why})

    def id(self, number: int) -> str:
        """The id of a message, the same at every attempt."""
        return f"{self._prefix}:{number}"

    def _bytes(self, id_: str, number: int) -> bytes:
        dice = random.Random(id_)
        envelope: dict[str, Any] = {
            "from": self._spec["wizard"], "to": self._to,
            "type": "alert" if self._lane else "request", "id": id_,
            "timestamp": self.sent[id_],
            "payload": {"n": number, "pad": "x" * dice.choice((10, 100, 400, 4000))},
        }  # fmt: skip
        if dice.random() < self._spec["mortal"]:
            envelope["ttl"] = 2
        return json.dumps(envelope, separators=(",", ":")).encode()


def main() -> int:
    """Send all that the specification asks for; 0 when each has its 202."""
    with open(sys.argv[1]) as file:
        spec = json.load(file)
    record = Record(spec["sends"], spec["wizard"])
    streams = {(to, lane): Stream(spec, to, lane, count, record)
               for to, lane, count in spec["streams"]}  # fmt: skip
    _go_on(spec["sends"], streams)
    for stream in streams.values():
        stream.start()
    for stream in streams.values():
        stream.join()
    return 0


def _go_on(path: str, streams: dict[tuple[str, int], Stream]) -> None:
    """Read what was sent before this start. Messages are accepted in the order of their numbers,
    but for a batch that came in in part: its rest is sent again, as it was."""
    accepted = set()
    with open(path) as lines:
        for line in lines:
            event = json.loads(line)
            if event["what"] == "send":
                streams[event["to"], event["lane"]].sent[event["id"]] = event["stamp"]
            elif event["what"] == "accepted":
                accepted.add(event["id"])
    for stream in streams.values():
        while stream.id(stream.accepted) in accepted:
            stream.accepted += 1


if __name__ == "__main__":
    sys.exit(main())
