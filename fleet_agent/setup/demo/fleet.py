"""The demo's fleet-ops repository: what `fleet-agent init` makes, with a stand-in agent in it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from fleet_agent.setup import init
from fleet_agent.setup.demo.ground import LOOPBACK, Ground
from fleet_agent.setup.git import WorkTree
from fleet_agent.setup.target import Target
from fleet_agent.setup.wheel import build

MODEL: Final = "google/gemma-4-31b-it"
NEW_MODEL: Final = "qwen/qwen3-32b"
# Relative: a unit of ours starts in the node's root, which is a folder here.
_AGENT: Final = "srv/agent/agent.py"
_ANSWER: Final = "srv/agent/answer.py"
_CONFIG: Final = "srv/agent/config.json"

AGENT: Final = '''\
"""A stand-in for a wizard's agent: reads its configuration, says who it is, and stays."""

import json
import signal
import sys

with open(sys.argv[1], encoding="utf-8") as source:
    config = json.load(source)
if not config["model"]:
    sys.exit("no model is configured: a wizard without a model can't think")
print(f"{config['wizard']} thinks with {config['model']}", flush=True)
signal.pause()
'''
ANSWER: Final = '''\
"""Answers a request: the message comes over standard input, the answer goes to standard output."""

import json
import sys

message = json.load(sys.stdin)
with open(sys.argv[1], encoding="utf-8") as source:
    config = json.load(source)
said = f"{config['wizard']} thinks with {config['model']}"
print(json.dumps({"you asked": message["payload"], "answer": said}))
'''
CONFIG: Final = """\
{"wizard": "{{ wizard.name }}", "model": "{{ wizard.model }}"}
"""
BROKEN_CONFIG: Final = """\
{"wizard": "{{ wizard.name }}", "model": ""}
"""


def make(ground: Ground) -> str:
    """Make the repository, fill in the demo's fleet, push main; the first commit."""
    targets = [Target(node.host) for node in ground.nodes]
    init.init(ground.fleet_ops, targets, build())
    tree = WorkTree(ground.fleet_ops)
    write(tree, "fleet.yaml", registry(ground))
    write(tree, "agents/agent.py", AGENT)
    write(tree, "agents/answer.py", ANSWER)
    write(tree, "agents/config.json.j2", CONFIG)
    tree.git("remote", "add", "origin", str(ground.forge))
    commit = tree.commit(["fleet.yaml", "agents"], "Give each wizard its agent")
    tree.git("push", "--quiet", "--set-upstream", "origin", "main")
    return commit


def write(tree: WorkTree, path: str, text: str) -> None:
    """Write one file of the repository."""
    target = Path(tree.path) / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def registry(ground: Ground, model: str = MODEL) -> str:
    """fleet.yaml: the three wizards on loopback, all with ``model``."""
    entries = "".join(_entry(ground, number, model) for number in range(len(ground.nodes)))
    return f"""\
# The demo's fleet. Hosts are folders below nodes/; every gateway listens on loopback.
fleet: demo
deploy:
  repository: {ground.forge}
  hook_port: {ground.hook_port}
  settle_seconds: 1
wizards:
{entries}"""


def _entry(ground: Ground, number: int, model: str) -> str:
    node = ground.nodes[number]
    role = "    role: orchestrator\n" if number == 0 else ""
    handler = [sys.executable, "-I", "-S", f"{node.root}/{_ANSWER}", f"{node.root}/{_CONFIG}"]
    capability = ("ansible-deploy", "build", "compose")[number % 3]
    return f"""\
  {node.wizard}:
    host: {node.host}
{role}    listen: {{address: {LOOPBACK}, port: {node.port}}}
    health_endpoint: "{node.url}/health"
    model: {model}
    capabilities: [{capability}]
    soul: {{file: souls/{node.wizard}.md, place: /srv/agent/SOUL.md}}
    files:
      - {{source: agents/agent.py, place: /{_AGENT}, mode: "0644"}}
      - {{source: agents/answer.py, place: /{_ANSWER}, mode: "0644"}}
      - {{source: agents/config.json.j2, place: /{_CONFIG}, mode: "0644"}}
    runtime: {{command: [/usr/bin/python3, -I, -S, {_AGENT}, {_CONFIG}]}}
    handlers: {{request: {{exec: {json.dumps(handler)}}}}}
"""


def change_model(ground: Ground) -> None:
    """A change that everybody wants: all wizards get another model."""
    tree = WorkTree(ground.fleet_ops)
    write(tree, "fleet.yaml", registry(ground, NEW_MODEL))
    tree.commit(["fleet.yaml"], f"Let all wizards think with {NEW_MODEL}")


def break_agents(ground: Ground) -> None:
    """A change that nobody wants: a configuration that the agents can't start with."""
    tree = WorkTree(ground.fleet_ops)
    write(tree, "agents/config.json.j2", BROKEN_CONFIG)
    tree.commit(["agents"], "Tidy up the agents' configuration")


def mend_agents(ground: Ground) -> None:
    """Take the broken change back."""
    tree = WorkTree(ground.fleet_ops)
    write(tree, "agents/config.json.j2", CONFIG)
    tree.commit(["agents"], "Put the agents' configuration right")
