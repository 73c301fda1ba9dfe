"""Tag push to `verified` on three and on thirty machines, beside others at the same work.

Needs root: boots the lab's machines. Interleaved rounds; prints medians and ratios, and last one
line of JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from tests.bench.peers.run import Peers
from tests.lab import test_thirty, wheels
from tests.lab.fixtures import their_agent
from tests.lab.fleet import Deployed, Fleet
from tests.lab.gitserver import GitServer
from tests.lab.lab import Lab

THREE = ("debian12", "debian13", "debian12")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; the exit code is 0 when every deploy of ours was verified."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument("--no-thirty", action="store_true", help="leave the thirty machines out")
    parser.add_argument("--no-peers", action="store_true", help="leave the others out")
    parser.add_argument("--phases", action="store_true", help="print what each phase took")
    asked = parser.parse_args(argv)
    figures = three(asked.rounds, peers=not asked.no_peers, phases=asked.phases)
    if not asked.no_thirty:
        figures["thirty_changed_s"] = thirty()
    ratio = figures.get("plain_playbook_s", 0.0) / figures["three_warm_s"]
    figures["ratio_plain_playbook"] = round(ratio, 1)
    for name, value in figures.items():
        print(f"{name:24} {value:8.2f}")
    print(json.dumps(figures))
    return 0


def three(rounds: int, *, peers: bool, phases: bool) -> dict[str, float]:
    """Medians of deploys on three machines, ours and the others' in turn."""
    seen: dict[str, list[float]] = defaultdict(list)
    with Lab(THREE, name="bench") as lab, GitServer(lab) as git:
        their_agent(lab["n2"])
        fleet = Fleet(lab, git)
        fleet.init()
        fleet.found()
        others = Peers(lab, lab.place / "peers")
        for number in range(rounds):
            _cold(fleet)
            seen["three_cold_s"].append(_changed(fleet, f"c{number}", phases))
            seen["three_warm_s"].append(_changed(fleet, f"w{number}", phases))
            nothing = fleet.push({"README.md": f"Nothing, {number}.\n".encode()})
            seen["three_noop_s"].append(_seconds(nothing, phases))
            if peers:
                seen["pyinfra_s"].append(others.pyinfra(number))
                seen["plain_playbook_s"].append(others.plain(number))
            print(f"round {number + 1}: " + _told(seen), flush=True)
    return {name: round(statistics.median(values), 2) for name, values in seen.items()}


def thirty() -> float:
    """Seconds of one deploy of everything on thirty machines."""
    suites = [("debian12", "debian13")[index % 2] for index in range(test_thirty.COUNT)]
    with Lab(suites, name="benchxxx") as lab, GitServer(lab) as git:
        fleet = Fleet(lab, git)
        fleet.init(test_thirty.registry(lab), test_thirty.files())
        fleet.found()
        return round(_changed(fleet, "thirty", phases=True), 2)


def _changed(fleet: Fleet, label: str, phases: bool) -> float:
    """Everything changes: the code, each wizard's model, soul and so its agent and daemon."""

    def edit(registry: dict[str, Any]) -> None:
        for entry in registry["wizards"].values():
            entry["model"] = f"lab/{label}"

    souls = {
        path: data + f"\n{label}\n".encode()
        for path, data in fleet.checkout.base.items()
        if path.startswith("souls/")
    }
    return _seconds(fleet.push({**wheels.another_version(label), **souls}, edit), phases)


def _cold(fleet: Fleet) -> None:
    """End every ssh connection that fleet-deploy kept open."""
    fleet.orchestrator.inside(["pkill", "-u", "fleet-deploy", "-x", "ssh"], check=False)


def _seconds(record: Deployed, phases: bool) -> float:
    if record.state != "verified" or record.from_push_s is None:
        raise SystemExit(f"not verified, so not measured:\n{record}")
    if phases:
        print(f"  deploy {record.id}: {record.from_push_s:.2f} s; " + _by_phase(record.result))
    return record.from_push_s


def _by_phase(result: Mapping[str, Any]) -> str:
    longest: dict[str, float] = {}
    for seconds in result["runs"]["forward"]["phases"].values():
        for phase, value in seconds.items():
            longest[phase] = max(longest.get(phase, 0.0), value)
    return " ".join(f"{phase} {value:.2f}" for phase, value in longest.items())


def _told(seen: Mapping[str, list[float]]) -> str:
    return ", ".join(f"{name} {values[-1]:.2f}" for name, values in seen.items())


if __name__ == "__main__":
    sys.exit(main())
