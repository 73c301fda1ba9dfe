"""One phase on one host: what goes in over the connection and what came out of it. Pure.

The action plugin ``fleet_phase`` is the only caller with a connection in its hand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from fleet_agent.deploy import heard
from fleet_agent.deploy.plan import BACK, NodePlan, Plan
from fleet_agent.wire import Phase

SPEC_VERSION: Final = 1
BROKE: Final = "the connection broke in mid-phase; it was asked again"
_LAST_WORDS: Final = 2000


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """A phase's result from a node, or why there is none."""

    ok: bool
    changed: bool = False
    touched: bool = False
    armed: bool = False
    diff: tuple[Mapping[str, str], ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The answer as it stands in events and results."""
        return {
            "ok": self.ok,
            "changed": self.changed,
            "touched": self.touched,
            "armed": self.armed,
            "diff": [dict(part) for part in self.diff],
            "evidence": dict(self.evidence),
            "notes": list(self.notes),
            "error": None if self.error is None else dict(self.error),
        }


def spec(
    plan: Plan,
    node: NodePlan,
    *,
    now: float,
    manifest: Mapping[str, Any] | None,
    pack_bytes: int = 0,
    parcel_bytes: int = 0,
) -> bytes:
    """The JSON line that a phase reads first; the pack follows it, and then the parcel of keys.

    ``now`` is this machine's Unix time.
    """
    line: dict[str, Any] = {
        "v": SPEC_VERSION,
        "fleet": plan.fleet,
        "deploy": plan.deploy,
        "nonce": plan.nonce,
        "mode": plan.mode,
        "check": plan.check,
        "node": node.host,
        "commit": plan.commit,
        "holder": plan.holder,
        "now": now,
        "limits": dict(plan.limits),
        "layout": dict(node.layout),
        "pack_bytes": pack_bytes,
        "parcel_bytes": parcel_bytes,
    }
    if plan.mode != BACK:
        line["manifest"] = manifest
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def wants_pack(plan: Plan, phase: Phase) -> bool:
    """Whether ``phase`` needs the release's files: to place them, or with check to compare them."""
    return plan.mode != BACK and (phase is Phase.DEPLOY or plan.check)


def wants_parcel(plan: Plan, phase: Phase) -> bool:
    """Whether ``phase`` is the one that brings keys. They only go forward."""
    return plan.mode != BACK and phase is Phase.KEYS


def no_such_code(code: int, stderr: str) -> bool:
    """Whether Python said that the node's own code is not there yet (a bare or a stale node)."""
    return code == 2 and "can't open file" in stderr


def still_runs(code: int, stderr: str) -> bool:
    """Whether systemd refused a phase because its unit is there: an earlier call still runs."""
    return code != 0 and "was already loaded or has a fragment file" in stderr


def made_again(phase: str, why: str) -> str:
    """What people are told of a connection that broke in ``phase`` with ssh's words ``why``."""
    return f"the ssh connection broke in {phase} ({why}) and was made again"


def with_note(said: NodeAnswer, note: str) -> NodeAnswer:
    """``said`` with one more sentence for people."""
    return replace(said, notes=(*said.notes, note))


def answer(phase: str, code: int, stdout: str, stderr: str) -> NodeAnswer:
    """What a node said. Its own words come first; without any, the program's last ones."""
    if len(stdout) > heard.MOST_BYTES:
        return _no_answer(phase, f"said {len(stdout)} bytes, {heard.MOST_BYTES} are too many")
    for line in reversed(stdout.strip().splitlines()):
        if line.startswith("{"):
            said = heard.read(line)
            if said is None:
                break
            if isinstance(said.get("ok"), bool):
                return NodeAnswer(**heard.result(said))
    words = stderr.strip() or stdout.strip() or "no output"
    return _no_answer(phase, f"gave no answer (exit {code}): {heard.text(words[-_LAST_WORDS:])}")


def _no_answer(phase: str, what: str) -> NodeAnswer:
    return NodeAnswer(
        ok=False,
        error={
            "what": f"phase {phase} {what}",
            "where": f"node code, phase {phase}",
            "mend": "run the deploy again; if it stays, look at the node's journal: "
            "journalctl -u 'fleet-phase-*'",
        },
    )
