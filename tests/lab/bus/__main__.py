"""`make lab-bus`: the proof of no loss. Ends with one JSON line; 0 when the bus kept its promises.

With `--bug NAME` a bug is put into the release first, and 0 means that it was noticed.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from pathlib import Path

from ..lab import NAME
from ..shell import LabError
from .bugs import BUGS, put_in
from .checker import check
from .ground import founded
from .history import read
from .run import prove
from .schedule import USUAL, Kind, plan

ARTIFACTS = Path(__file__).parents[3] / "artifacts" / "lab-bus"
# A round of all kinds takes most of a minute.
MESSAGES_A_ROUND = 15_000


def main() -> int:
    """Run one proof; 0 when it came out as it must."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.bus", description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, help="of the schedule (default: another each time)")
    parser.add_argument("--rounds", type=int, help="of the faults (default: by the messages)")
    parser.add_argument(
        "--faults",
        default=",".join(USUAL),
        help="kinds, by comma, or none (default: %(default)s)",
    )
    parser.add_argument("--bug", choices=sorted(BUGS), help="put this bug in first")
    parser.add_argument("--judge", type=Path, metavar="FILE", help="only judge this history")
    asked = parser.parse_args()
    if asked.judge:
        verdict = check(read(asked.judge))
        print(json.dumps(verdict.to_json()))
        return int(not verdict.well)
    seed = secrets.randbelow(1_000_000) if asked.seed is None else asked.seed
    kinds = [] if asked.faults == "none" else [Kind(word) for word in asked.faults.split(",")]
    rounds = asked.rounds or max(1, asked.messages // MESSAGES_A_ROUND)
    try:
        with founded(NAME) as ground:
            if asked.bug:
                put_in(ground.fleet, asked.bug)
            faults = plan(seed, [node.name for node in ground.fleet.machines], kinds=kinds,
                          rounds=rounds)  # fmt: skip
            name = asked.bug or "proof"
            proof = prove(ground, faults, name=name, messages=asked.messages, seed=seed,
                          artifacts=ARTIFACTS)  # fmt: skip
    except LabError as error:
        print(f"lab-bus: {error}", file=sys.stderr)
        return 2
    print(proof.line(), flush=True)
    return int(proof.well == bool(asked.bug))


if __name__ == "__main__":
    sys.exit(main())
