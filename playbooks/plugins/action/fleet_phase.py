"""Runs one phase of the node's own code over Ansible's connection: spec in, one JSON line out.

Glue only: what is sent and what an answer means is fleet_agent.deploy.hosttask.
"""

from __future__ import annotations

import os
import shlex
import time

from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader

from fleet_agent.deploy import hosttask, nodebuild, parcel
from fleet_agent.deploy import plan as plans
from fleet_agent.deploy.flood import bounded
from fleet_agent.deploy.heard import MOST_BYTES
from fleet_agent.deploy.retries import watched
from fleet_agent.errors import FleetError, NodeError
from fleet_agent.node import command
from fleet_agent.wire import Phase

# Ansible holds an answer several times over while it reads it.
_MOST_GROWTH_BYTES = 8 * MOST_BYTES


class ActionModule(ActionBase):
    """Action of a role's one task."""

    _VALID_ARGS = frozenset(("phase", "plan"))
    _requires_connection = True
    _supports_check_mode = True
    _supports_async = False
    _supports_diff = True

    def run(self, tmp=None, task_vars=None):
        """Run the phase; the result carries the node's answer whole under ``fleet``."""
        result = super().run(tmp, task_vars)
        phase = Phase(self._task.args["phase"])
        plan = plans.load(self._task.args["plan"])
        node = plan.node(task_vars["inventory_hostname"])
        self._broke = []  # ssh's words for each connection that broke and was made again
        try:
            answer = self._phase(phase, plan, node, task_vars)
        except FleetError as error:
            answer = hosttask.NodeAnswer(
                ok=False,
                error={"what": error.what, "where": error.where, "mend": error.mend},
            )
        for why in self._broke:
            answer = hosttask.with_note(answer, hosttask.made_again(phase, why))
        result["fleet"] = answer.as_dict()
        result["changed"] = answer.changed
        if self._task.diff and answer.diff:
            result["diff"] = [
                {"prepared": f"{part['path']}\n{part['text']}"} for part in answer.diff
            ]
        if not answer.ok:
            result["failed"] = True
            result["msg"] = _sentence(answer.error or {})
        return result

    def _phase(self, phase, plan, node, task_vars):
        manifest = None
        if plan.mode != plans.BACK:
            if phase is Phase.PREFLIGHT:
                nodebuild.build(plan, node, self._render(task_vars))
            manifest = nodebuild.manifest(plan, node)
        pack = b""
        if hosttask.wants_pack(plan, phase):
            pack = nodebuild.pack(plan, node, text_only=plan.check)
        keys = b""
        if hosttask.wants_parcel(plan, phase):
            keys = parcel.build(plan, node, manifest, self._render(task_vars))
        spec = hosttask.spec(
            plan,
            node,
            now=time.time(),
            manifest=manifest,
            pack_bytes=len(pack),
            parcel_bytes=len(keys),
        )
        answer = self._answer(phase, plan, node, spec + pack + keys)
        if phase is Phase.PREFLIGHT and answer.ok and manifest is not None and not plan.check:
            nodebuild.remember_have(plan, node, answer.evidence.get("have", ()))
        return answer

    def _answer(self, phase, plan, node, stdin):
        """The node's answer; asked once more where the connection broke in mid-phase.

        Ansible's ssh repeats its command then, and meets the phase that still runs. Its lock lets
        the second one wait, and a phase that is done has nothing more to do.
        """
        code, out, err = self._call(phase, plan, node, stdin, plan.nonce)
        if not hosttask.still_runs(code, err + out):
            return hosttask.answer(phase, code, out, err)
        code, out, err = self._call(phase, plan, node, stdin, f"{plan.nonce}-again")
        return hosttask.with_note(hosttask.answer(phase, code, out, err), hosttask.BROKE)

    def _call(self, phase, plan, node, stdin, unit):
        direct = command.phase(
            plan.pyz_sha256, unit, phase, node.layout, plan.limits, mode=plan.mode
        )
        # Of new code the first phase knows without asking that it is not there yet.
        if not plan.check and (plan.pyz_known or phase is not Phase.PREFLIGHT):
            code, out, err = self._execute(direct, stdin)
            if not hosttask.no_such_code(code, err + out):
                return code, out, err
        with open(plan.pyz, "rb") as source:
            pyz = source.read()
        loader = command.load_and_run(unit, phase, node.layout, plan.limits, mode=plan.mode)
        before = command.loader_header(pyz, plan.pyz_sha256, install=not plan.check)
        return self._execute(loader, before + stdin)

    def _execute(self, argv, stdin):
        try:
            with bounded(_MOST_GROWTH_BYTES), watched(self._connection, self._broke):
                done = self._low_level_execute_command(
                    shlex.join(argv), in_data=stdin, sudoable=True
                )
        except MemoryError:
            raise NodeError(
                f"said more than memory holds: over {MOST_BYTES} bytes are too many"
            ) from None
        return done["rc"], done.get("stdout", ""), done.get("stderr", "")

    def _render(self, task_vars):
        """Ansible's own templating, as its lookup ``template`` does it."""

        def render(path, values):
            lookup = lookup_loader.get("template", loader=self._loader, templar=self._templar)
            found = lookup.run(
                [os.path.abspath(path)],
                variables=task_vars,
                template_vars=values,
                convert_data=False,
            )
            return str(found[0])

        return render


def _sentence(error):
    text = f"{error.get('where')}: {error.get('what')}" if error.get("where") else error.get("what")
    return f"{text} ({error['mend']})" if error.get("mend") else str(text)
