"""10,000 wizards: `registry check` on the operator's side, reading the compiled JSON on a node.

Prints medians for people and, last, one line of JSON with check_s, check_command_s, load_s.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, TOP)

from fleet_agent.registry import compiled, parse  # noqa: E402

WIZARDS = 10_000
ROUNDS = 3


def registry_text(wizards: int) -> str:
    """A registry whose entries say what a real one's say: about sixteen lines each."""
    return "wizards:\n" + "".join(_entry(number) for number in range(wizards))


def _entry(number: int) -> str:
    name = f"wizard-{number}"
    host = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
    role = "orchestrator" if number == 0 else "worker"
    return f"""\
  {name}:
    host: {host}
    role: {role}
    region: eu
    model: google/gemma-4-31b-it
    health_endpoint: "http://{host}:8646/health"
    capabilities: [run-tests, review, capability-{number % 100}]
    soul: {{file: souls/{name}.md, place: /home/{name}/.hermes/SOUL.md}}
    files:
      - {{source: agents/hermes.yaml.j2, place: /home/{name}/.hermes/config.yaml, mode: "0640"}}
    state: [/home/{name}/.hermes/memories]
    runtime: {{unit: hermes.service, scope: system}}
    handlers: {{request: {{exec: [/opt/agent/bin/answer]}}}}
    ssh: {{user: fleet, port: 22}}
"""


def median_seconds(action: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Median wall time of ``action`` in seconds."""
    spent = []
    for _ in range(rounds):
        begin = time.perf_counter()
        action()
        spent.append(time.perf_counter() - begin)
    return statistics.median(spent)


def main() -> None:
    text = registry_text(WIZARDS)
    check = median_seconds(lambda: parse.parse(text))
    with tempfile.TemporaryDirectory() as directory:
        path = _write_repository(directory, text)
        command = [sys.executable, "-m", "fleet_agent", "registry", "check", path]
        whole = median_seconds(lambda: subprocess.run(command, check=True, cwd=TOP), 1)
    whole_json = json.dumps(compiled.compile(parse.parse(text)))
    public_json = json.dumps(compiled.public(json.loads(whole_json)))
    load = median_seconds(lambda: compiled.read(json.loads(whole_json)))
    load_public = median_seconds(lambda: compiled.read(json.loads(public_json)))
    print(f"{WIZARDS} wizards, fleet.yaml {len(text) / 1e6:.1f} MB")
    print(f"check in process           {check:.2f} s")
    print(f"fleet-agent registry check {whole:.2f} s   (limit 5 s)")
    print(f"read all of it, compiled   {load:.2f} s   ({len(whole_json) / 1e6:.1f} MB)")
    print(f"read its public part       {load_public:.2f} s   (limit 0.5 s)")
    found = {"check_s": check, "check_command_s": whole, "load_all_s": load, "load_s": load_public}
    print(json.dumps({"wizards": WIZARDS} | {key: round(at, 3) for key, at in found.items()}))


def _write_repository(directory: str, text: str) -> str:
    """A fleet-ops folder with every soul and template, so that the command finds no mistake."""
    for folder in ("souls", "agents"):
        os.mkdir(os.path.join(directory, folder))
    sources = [f"souls/wizard-{number}.md" for number in range(WIZARDS)]
    for source in (*sources, "agents/hermes.yaml.j2"):
        with open(os.path.join(directory, source), "w", encoding="utf-8") as out:
            out.write("be kind\n")
    path = os.path.join(directory, "fleet.yaml")
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    return path


if __name__ == "__main__":
    main()
