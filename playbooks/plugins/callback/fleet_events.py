"""Writes one JSON line an event to the pipe that fleet-deploy reads, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import time

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: fleet_events
type: notification
short_description: Events of a deploy as JSON lines
description:
  - Writes phases and host results as JSON lines to the file descriptor named by the environment
    variable FLEET_AGENT_EVENTS_FD. Without it, does nothing.
"""


class CallbackModule(CallbackBase):
    """Ansible's events in the words of a deploy: phase, host, task, seconds, result."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "fleet_events"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        descriptor = os.environ.get("FLEET_AGENT_EVENTS_FD", "")
        self._descriptor = int(descriptor) if descriptor.isdigit() else None
        self._began = {}
        self._phase = ""

    def _write(self, event, **fields):
        if self._descriptor is None:
            return
        line = json.dumps({"t": round(time.time(), 3), "event": event, **fields}, default=str)
        data = line.encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except BrokenPipeError:
            # Nobody conducts this run any more (fleet-deploy died): don't go on alone.
            os.kill(os.getpid(), signal.SIGTERM)

    @staticmethod
    def _phase_of(task):
        role = getattr(task, "_role", None)
        return role.get_name() if role is not None else ""

    def v2_playbook_on_task_start(self, task, is_conditional):
        phase = self._phase_of(task)
        if phase and phase != self._phase:
            self._phase = phase
            self._write("phase", phase=phase, task=task.get_name().split(" : ")[-1])

    def v2_runner_on_start(self, host, task):
        self._began[(host.get_name(), task._uuid)] = time.monotonic()
        self._write(
            "start", phase=self._phase_of(task), host=host.get_name(), task=self._name(task)
        )

    @staticmethod
    def _name(task):
        return task.get_name().split(" : ")[-1]

    def _result(self, event, result, **more):
        task = result._task
        host = result._host.get_name()
        data = result._result
        began = self._began.pop((host, task._uuid), None)
        fields = {
            "phase": self._phase_of(task),
            "host": host,
            "task": self._name(task),
            "changed": bool(data.get("changed", False)),
            "seconds": None if began is None else round(time.monotonic() - began, 3),
        }
        # Of another action it would be what some module on a node says.
        ours = task.action == "fleet_phase"
        if ours and "fleet" in data:
            fields["result"] = data["fleet"]
        elif event != "ok":
            fields["unanswered"] = ours  # Ansible itself gave up, whatever its words for it
            fields["message"] = str(
                data.get("msg") or data.get("exception") or data.get("stderr") or "no message"
            )[-2000:]
        self._write(event, **fields, **more)

    def v2_runner_on_ok(self, result):
        self._result("ok", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._result("failed", result, ignored=bool(ignore_errors))

    def v2_runner_on_unreachable(self, result):
        self._result("unreachable", result)

    def v2_playbook_on_no_hosts_matched(self):
        self._write("note", message="no hosts matched")

    def v2_playbook_on_stats(self, stats):
        hosts = {host: stats.summarize(host) for host in sorted(stats.processed)}
        self._write("stats", hosts=hosts)
