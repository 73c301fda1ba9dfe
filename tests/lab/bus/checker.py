"""Judges a history: is every accepted message handled once and in order, or dead with its reason?

A pure function over events; nothing of it knows the code that it judges.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .history import Event, What

# As many ids of each kind are named in a verdict.
_NAMED = 20


class Sent(NamedTuple):
    """A message that was about to be sent, and its place among those of its pair and lane."""

    pair: tuple[str, str, int]
    number: int


@dataclass(frozen=True)
class Verdict:
    """The count of a history. Only `lost` to `untold` speak against the bus."""

    sent: int  # messages whose sender got a 202
    handled: int
    dead: int  # given up, with a reason
    lost: int  # accepted, neither handled nor dead with a reason
    handled_twice: int
    out_of_order: int  # handled behind a later one of its (from, to, lane)
    invented: int  # handled though nobody sent it
    untold: int  # dead in the sender's box, and its agent was not told
    redelivered: int  # handed out more than once, as the handler or its ack failed
    repeated: int  # a 202 that never arrived: sent again and answered `duplicate`
    unanswered: int  # sent without a 202 to the end: may be anywhere
    refused: Mapping[str, int] = field(default_factory=dict)
    faults: Mapping[str, int] = field(default_factory=dict)
    named: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def well(self) -> bool:
        """Whether the bus kept its promises."""
        return not (
            self.lost or self.handled_twice or self.out_of_order or self.invented or self.untold
        )

    def to_json(self) -> dict[str, Any]:
        """As it is printed; what has names is named only where something is wrong."""
        told = {name: getattr(self, name) for name in _COUNTS}
        told |= {"refused": dict(self.refused), "faults": dict(self.faults)}
        return told if self.well else told | {"named": {k: list(v) for k, v in self.named.items()}}


_COUNTS = (
    "sent", "lost", "handled_twice", "out_of_order", "invented", "untold", "handled", "dead",
    "redelivered", "repeated", "unanswered",
)  # fmt: skip


def check(events: Iterable[Event]) -> Verdict:
    """Judge a whole history. Events of one `at` must be in the order of their happening."""
    known: dict[str, Sent] = {}
    accepted: set[str] = set()
    handled: dict[str, list[str]] = {}  # receiver → ids in the order of their handling
    dead: set[str] = set()
    undelivered: set[str] = set()
    told: set[str] = set()
    deliveries: Counter[str] = Counter()
    repeated: set[str] = set()
    refused: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for event in events:
        match event["what"]:
            case What.SEND:
                pair = event["from"], event["to"], event["lane"]
                known[event["id"]] = Sent(pair, event["n"])
            case What.ACCEPTED:
                accepted.add(event["id"])
                if event["status"] != "accepted":
                    repeated.add(event["id"])
            case What.REFUSED:
                refused[str(event["why"])] += event["count"]
            case What.DELIVERY:
                deliveries[event["id"]] += 1
            case What.HANDLED:
                handled.setdefault(event["at"], []).append(event["id"])
            case What.DEAD if event["reason"]:
                dead.add(event["id"])
                if event["box"] == "outbox":
                    undelivered.add(event["id"])
            case What.TOLD:
                told.add(event["id"])
            case What.FAULT if event["phase"] == "begin":
                faults[event["kind"]] += 1
    times = Counter(id_ for ids in handled.values() for id_ in ids)
    wrong = {
        "lost": sorted(accepted - times.keys() - dead),
        "handled_twice": sorted(id_ for id_, count in times.items() if count > 1),
        "out_of_order": [id_ for ids in handled.values() for id_ in _behind(ids, known)],
        "invented": sorted(times.keys() - known.keys()),
        "untold": sorted(undelivered - told),
    }
    return Verdict(
        sent=len(accepted),
        handled=len(times),
        dead=len(dead),
        **{name: len(ids) for name, ids in wrong.items()},
        redelivered=sum(count > 1 for count in deliveries.values()),
        repeated=len(repeated),
        unanswered=len(known.keys() - accepted),
        refused=refused,
        faults=faults,
        named={name: tuple(ids[:_NAMED]) for name, ids in wrong.items() if ids},
    )


def _behind(ids: Iterable[str], known: Mapping[str, Sent]) -> list[str]:
    """The ids that were handled for the first time behind a later one of their pair and lane."""
    newest: dict[tuple[str, str, int], int] = {}
    seen: set[str] = set()
    found = []
    for id_ in ids:
        if id_ in seen or id_ not in known:
            continue
        seen.add(id_)
        pair, number = known[id_]
        if number < newest.get(pair, -1):
            found.append(id_)
        else:
            newest[pair] = number
    return found
