"""Wires the pipeline for fleet-deploy: a checked-out deploy in, its outcome out.

Which programs, keys and directories the conductor uses is decided here and nowhere else.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fleet_agent.deploy import plan as plans
from fleet_agent.deploy import prepare
from fleet_agent.deploy.ansible import Ways
from fleet_agent.deploy.authority import Authority
from fleet_agent.deploy.entry import Kind
from fleet_agent.deploy.keystore import KeyStore
from fleet_agent.deploy.paths import DeployPaths
from fleet_agent.deploy.run import Conductor
from fleet_agent.deploy.verdict import Outcome
from fleet_agent.deploy.work import Work
from fleet_agent.errors import ConfigError
from fleet_agent.wire import DeployState

PLAYBOOK_PROGRAM = "ansible-playbook"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Executes and recovers deploys with the ``fleet_agent`` package that this process runs."""

    package: str
    inherited: Mapping[str, str]

    def execute(self, work: Work) -> Outcome:
        """Run a deploy, or a dry run, to its outcome. Raises FleetError for a refusal."""
        entry = work.entry
        plan = prepare.prepare(
            deploy=entry.id,
            commit=entry.commit,
            ref=entry.tag or entry.commit,
            tree=work.tree,
            directory=work.directory,
            pins_directory=os.path.join(work.paths.state, "pins"),
            state_directory=work.paths.state,
            package=self.package,
            holder=f"fleet-deploy on {socket.gethostname()}, deploy {entry.id}",
            nonce=entry.nonce,
            check=entry.kind is Kind.CHECK,
        )
        conductor = self._conductor(work)
        if not plan.check:
            outcome = conductor.deploy(plan)
            if outcome.state is DeployState.VERIFIED:
                KeyStore(plan.keys).placed(plan.key_epochs[0])
                prepare.remember_pyz(plan, work.paths.state)
                authority = Authority(work.paths.authority)
                if authority.exists:
                    authority.verified(plan.rotation)
            return outcome
        progress, cause = conductor.check(plan)
        diffs = {host: [dict(part) for part in diff] for host, diff in progress.diffs.items()}
        changed = sum(1 for diff in diffs.values() if diff)
        if cause is not None:
            state, reason = DeployState.FAILED, f"would fail: {cause.sentence()}"
        else:
            state, reason = DeployState.VERIFIED, f"would change {changed} of {len(diffs)} nodes"
        result: dict[str, Any] = {
            "diffs": diffs,
            "cause": None if cause is None else cause.as_dict(),
            "touched": [],
            "unconfirmed": [],
        }
        return Outcome(state, reason, result)

    def recover(self, work: Work) -> Outcome | None:
        """Drive the way back of a deploy that was ended in mid-run; None when it had not begun."""
        path = os.path.join(work.directory, f"plan-{plans.FORWARD}.json")
        if not os.path.exists(path):
            return None
        return self._conductor(work).put_back(plans.load(path))

    def _conductor(self, work: Work) -> Conductor:
        return Conductor(self._ways(work.paths), self.inherited, work.tell)

    def _ways(self, paths: DeployPaths) -> Ways:
        control = os.path.join(paths.state, "cp")
        os.makedirs(control, mode=0o700, exist_ok=True)
        vault = os.path.join(paths.state, "vault-password")
        return Ways(
            playbook_program=self._playbook_program(paths),
            code=os.path.dirname(self.package),
            playbooks=os.path.realpath(os.path.join(self.package, "share", "playbooks")),
            ssh_key=paths.ssh_key,
            known_hosts=paths.known_hosts,
            control_directory=control,
            vault_password_file=vault if os.path.exists(vault) else "",
        )

    def _playbook_program(self, paths: DeployPaths) -> str:
        """ansible-playbook beside our interpreter, in the orchestrator's venv, or on PATH."""
        for directory in (os.path.dirname(sys.executable), paths.venv_bin):
            candidate = os.path.join(directory, PLAYBOOK_PROGRAM)
            if os.access(candidate, os.X_OK):
                return candidate
        found = shutil.which(PLAYBOOK_PROGRAM, path=self.inherited.get("PATH"))
        if found is None:
            raise ConfigError(
                "ansible-playbook is not installed",
                where=os.path.dirname(sys.executable),
                mend="run `fleet-agent bootstrap` again, or install ansible-core beside it",
            )
        return found
