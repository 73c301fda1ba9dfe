"""One deploy from its plan to its outcome: forward, confirmed, or the way back. Effects.

The way back never lives in the play: it is the same play in mode ``back``, driven from here.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fleet_agent.deploy import ansible, confirm, playbook, verdict
from fleet_agent.deploy import plan as plans
from fleet_agent.deploy.ansible import Ways
from fleet_agent.deploy.plan import BACK, FORWARD, Plan
from fleet_agent.deploy.progress import Failure, Progress, fold
from fleet_agent.deploy.verdict import Outcome
from fleet_agent.wire import DeployState, Phase

_log = logging.getLogger("fleet_agent.deploy")

_LAST_LOG_BYTES = 1500
_SLACK_SECONDS = 30.0
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Conductor:
    """Runs plans. ``tell`` gets each event as it happens, for whoever follows."""

    ways: Ways
    inherited: Mapping[str, str]
    tell: Callable[[Mapping[str, Any]], None]

    def deploy(self, plan: Plan) -> Outcome:
        """Run ``plan`` forward and confirm it, or say the cause and put the touched nodes back."""
        hosts = [node.host for node in plan.nodes]
        confirmed: tuple[str, ...] = ()
        with confirm.Connections(self.ways, plan) as connections:
            settles_alone = plans.settles_alone(plan)

            def hear(event: Mapping[str, Any], progress: Progress) -> None:
                began = event.get("event") == "phase" and event.get("phase") == Phase.VERIFY
                if began and settles_alone:
                    connections.open(progress.armed)

            progress, end = self._play(plan, None, hear)
            cause = verdict.cause_of(progress, end, hosts, self._last_words(plan))
            if cause is None:
                confirmed, failures = connections.confirm(progress.armed)
                cause = failures[0] if failures else None
        if cause is None:
            changed = len(progress.changed)
            outcome = Outcome(
                DeployState.VERIFIED,
                f"{len(hosts)} nodes verified, {changed} changed"
                if changed
                else f"{len(hosts)} nodes verified, nothing to change",
                {"touched": sorted(progress.touched), "confirmed": sorted(confirmed)},
            )
            return verdict.with_runs(outcome, forward=progress)
        self._say_cause(plan, cause)
        if not progress.maybe_touched:
            return verdict.with_runs(verdict.nothing_touched(cause), forward=progress)
        outcome, back = self._way_back(plan, cause, progress, progress.maybe_touched)
        return verdict.with_runs(outcome, forward=progress, back=back)

    def put_back(self, plan: Plan) -> Outcome:
        """The way back of a deploy whose conductor died: on every node that may be touched."""
        events = os.path.join(plan.directory, "events.jsonl")
        seen = fold(_read_events(events))
        at = _last_phase(events)
        cause = Failure(
            host="fleet-deploy",
            phase=at,
            task="",
            what=f"was ended in mid-deploy{f', in {at}' if at else ''}",
        )
        self._say_cause(plan, cause)
        every = frozenset(node.host for node in plan.nodes)
        outcome, back = self._way_back(plan, cause, seen, every)
        return verdict.with_runs(outcome, forward=seen, back=back)

    def check(self, plan: Plan) -> tuple[Progress, Failure | None]:
        """A dry run: the differences by host, and why it could not be told, if so."""
        progress, end = self._play(plan, None)
        hosts = [node.host for node in plan.nodes]
        return progress, verdict.cause_of(progress, end, hosts, self._last_words(plan))

    def _say_cause(self, plan: Plan, cause: Failure) -> None:
        _log.error("deploy %d: %s", plan.deploy, cause.sentence())
        self.tell(
            {"t": time.time(), "event": "cause", "phase": cause.phase, "host": cause.host,
             "message": cause.sentence(), "cause": cause.as_dict()}
        )  # fmt: skip

    def _way_back(
        self, plan: Plan, cause: Failure, forward: Progress, wanted: frozenset[str]
    ) -> tuple[Outcome, Progress]:
        _log.warning("deploy %d: going back on %d nodes", plan.deploy, len(wanted))
        progress, end = self._play(replace(plan, mode=BACK), wanted)
        if end.ended_because:
            _log.error("deploy %d: the way back was cut short: %s", plan.deploy, end.ended_because)
        outcome = verdict.going_back(
            cause, forward, progress, wanted, plan.limits["deploy_confirm_seconds"]
        )
        return outcome, progress

    def _play(
        self,
        plan: Plan,
        only: frozenset[str] | None,
        also: Callable[[Mapping[str, Any], Progress], None] | None = None,
    ) -> tuple[Progress, playbook.PlaybookEnd]:
        plan_path = os.path.join(plan.directory, f"plan-{plan.mode}.json")
        plans.write(plan, plan_path)
        inventory, variables = ansible.write_inputs(self.ways, plan, plan_path, only)
        progress = Progress()
        name = "events.jsonl" if plan.mode == FORWARD else "back-events.jsonl"
        with open(os.path.join(plan.directory, name), "a", encoding="utf-8") as record:

            def hear(event: Mapping[str, Any]) -> None:
                nonlocal progress
                known = len(progress.notes)
                progress = progress.after(event)
                for note in progress.notes[known:]:
                    _log.info("deploy %d: %s", plan.deploy, note)
                told = {**event, "mode": plan.mode}
                record.write(json.dumps(told, separators=(",", ":")) + "\n")
                record.flush()
                self.tell(told)
                if also is not None:
                    also(event, progress)

            end = playbook.run(
                ansible.argv(self.ways, plan, inventory, variables),
                ansible.environment(self.ways, plan, self.inherited, events_fd=0),
                cwd=plan.tree,
                log_path=os.path.join(plan.directory, "ansible.log"),
                run_seconds=plan.limits["deploy_run_seconds"],
                silent_seconds=plan.limits["deploy_phase_seconds"] + _SLACK_SECONDS,
                memory_bytes=int(plan.limits["deploy_ansible_memory_mib"]) * _MIB,
                on_event=hear,
            )
        return progress, end

    @staticmethod
    def _last_words(plan: Plan) -> str:
        try:
            with open(os.path.join(plan.directory, "ansible.log"), "rb") as log:
                log.seek(max(0, os.fstat(log.fileno()).st_size - _LAST_LOG_BYTES))
                return log.read().decode("utf-8", "replace").strip()
        except FileNotFoundError:
            return ""


def _read_events(path: str) -> list[dict[str, Any]]:
    events = []
    try:
        with open(path, encoding="utf-8", errors="replace") as source:
            for line in source:
                try:
                    events.append(json.loads(line))
                except ValueError:
                    break  # the last line of a conductor that was killed while it wrote
    except FileNotFoundError:
        pass  # killed before its first event
    return events


def _last_phase(path: str) -> str:
    phases = [event.get("phase") for event in _read_events(path) if event.get("event") == "phase"]
    last = phases[-1] if phases else ""
    return last if last in {phase.value for phase in Phase} else ""
