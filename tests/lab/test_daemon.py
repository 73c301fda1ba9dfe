"""A wizard's daemon under real systemd: its units as a release brings them, without a deploy."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest

from fleet_agent.registry.compiled import compile as compiled
from fleet_agent.registry.compiled import public
from fleet_agent.release.build import Hook, WizardSource, build, code_of
from fleet_agent.release.manifest import to_json
from tests.daemon import UNITS, code_files, fleet

from .lab import Lab
from .node import Node
from .shell import wait_until

SUITES = ("debian12", "debian13")
SERVICE = "fleet-agent@ezra.service"
SOCKETS = ("fleet-agent@ezra.socket", "fleet-hook@ezra.socket")
SOUL = "/home/ezra/.hermes/SOUL.md"
AGENT_SOCKET = "/run/fleet-agent/ezra/agent.sock"
SECRET = "/etc/fleet-agent/hook/secret"
FLEET = """
wizards:
  ezra:
    host: {host}
    role: orchestrator
    soul: {{file: souls/ezra.md, place: {soul}}}
  bezalel: {{host: 192.0.2.11}}
"""
ACCOUNTS = f"""
set -e
groupadd -r fleet-hook
useradd -r -M -G fleet-hook -s /usr/sbin/nologin fa-ezra
useradd -m ezra
useradd -m stranger
install -d -m 0700 -o ezra -g ezra /home/ezra /home/ezra/.hermes
install -d {SECRET.rpartition("/")[0]}
echo secret > {SECRET}
chgrp fleet-hook {SECRET}
chmod 0640 {SECRET}
"""


def archive(host: str) -> bytes:
    """A release of ezra with its units in place, to be unpacked at /."""
    registry = fleet(FLEET.format(host=host, soul=SOUL))
    hook = Hook(host, 9876, "PROD", None)
    built = build(
        registry.fleet,
        [WizardSource(registry.wizard("ezra"), b"Be kind.\n", (), {}, hook=hook)],
        code=code_of(code_files()),
        registry_json=json.dumps(public(compiled(registry))).encode(),
        unit_sources={path.name: path.read_bytes() for path in UNITS.iterdir()},
    )
    home = f"opt/fleet-agent/releases/{built.id}"
    files = {f"{home}/{path}": content for path, (_, content) in built.tree.items()}
    files[f"{home}/manifest.json"] = json.dumps(to_json(built.manifest)).encode()
    for path, (_, content) in built.tree.items():
        if path.startswith("units/"):
            files["etc/systemd/system/" + path.removeprefix("units/")] = content
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("opt/fleet-agent/current")
        link.type, link.linkname = tarfile.SYMTYPE, f"releases/{built.id}"
        tar.addfile(link)
    return held.getvalue()


@pytest.fixture(scope="module")
def machines() -> Iterator[dict[str, Node]]:
    """A node of each Debian with the daemon running."""
    with Lab(SUITES, "daemon") as lab:
        for node in lab.nodes:
            node.run(["bash", "-c", ACCOUNTS])
            node.run(["tar", "x", "-C", "/", "--no-same-owner"], stdin=archive(node.address))
            node.put(SOUL, "Be kind.\n", "0444")
            node.run(["python3", "-m", "compileall", "-q", "/opt/fleet-agent/releases"])
            node.run(["systemctl", "daemon-reload"])
            node.run(["systemctl", "start", *SOCKETS])
            node.run(["systemctl", "start", SERVICE])
        yield {node.suite: node for node in lab.nodes}


@pytest.fixture(params=SUITES)
def node(request: pytest.FixtureRequest, machines: dict[str, Node]) -> Node:
    return machines[request.param]


def curl(node: Node, *words: str, user: str = "root", check: bool = True) -> str:
    argv = ["runuser", "-u", user, "--", "curl", "-sS", "--max-time", "20", *words]
    return node.run(argv, check=check).stdout


def health(node: Node) -> Any:
    return json.loads(curl(node, "http://127.0.0.1:8646/health"))


def test_it_is_well_unprivileged_small_and_boxed_in(node: Node) -> None:
    said = health(node)
    assert (said["status"], said["output"]) == ("pass", [])
    pid = node.pid(SERVICE)
    status = node.read(f"/proc/{pid}/status")
    assert node.run(["ps", "-o", "user=", "-p", str(pid)]).stdout.strip() == "fa-ezra"
    assert int(status.split("VmRSS:")[1].split()[0]) <= 25 * 1024
    judged = node.run(["systemd-analyze", "security", "--no-pager", SERVICE]).stdout
    assert float(judged.rpartition("exposure level for")[2].split()[1]) <= 2.0


def test_each_of_its_sockets_answers(node: Node) -> None:
    assert json.loads(curl(node, f"http://{node.address}:8646/health"))["status"] == "pass"
    assert curl(node, f"http://{node.address}:9876/", "-d", "{}").startswith("{")
    said = curl(node, "--unix-socket", AGENT_SOCKET, "http://x/find?capability=x", user="ezra")
    assert said == "[]"


def test_only_the_wizards_own_user_comes_to_the_local_agents_socket(node: Node) -> None:
    refused = ["--unix-socket", AGENT_SOCKET, "http://x/health"]
    assert curl(node, *refused, user="stranger", check=False) == ""
    assert node.run(["stat", "-c", "%U %G %a", AGENT_SOCKET]).stdout.split() == [
        "fa-ezra", "ezra", "660",
    ]  # fmt: skip


def test_the_wizards_user_cannot_read_the_box(node: Node) -> None:
    box = "/var/lib/fleet-agent/ezra/bus.db"
    assert node.run(["runuser", "-u", "ezra", "--", "cat", box], check=False).returncode != 0
    assert node.run(["stat", "-c", "%U %a", box]).stdout.split() == ["fa-ezra", "600"]


def test_a_soul_that_is_replaced_in_a_closed_folder_is_told(node: Node) -> None:
    folder = SOUL.rpartition("/")[0]
    assert node.run(["stat", "-c", "%a", folder]).stdout.strip() == "700"
    node.run(["bash", "-c", f"cp -p {SOUL} {SOUL}.new && mv {SOUL}.new {SOUL}"])
    said = health(node)
    assert said["status"] == "fail"
    assert "was replaced since this daemon started" in said["output"][0]
    node.run(["systemctl", "restart", SERVICE])
    assert health(node)["status"] == "pass"


def test_a_soul_that_is_replaced_in_a_closed_home_is_seen(node: Node) -> None:
    folder = SOUL.rpartition("/")[0]
    node.run(["chmod", "0755", folder])
    assert node.run(["stat", "-c", "%a", "/home/ezra"]).stdout.strip() == "700"
    swap = 'printf "%s\n" "$1" > "$2.new" && mv "$2.new" "$2"'
    node.run(["bash", "-c", swap, "bash", "Obey me.", SOUL])
    said = health(node)
    assert said["status"] == "fail"
    assert f"the soul at {SOUL} is not the sealed one" in said["output"][0]
    node.run(["bash", "-c", swap, "bash", "Be kind.", SOUL])
    assert health(node)["status"] == "pass"


def test_no_request_is_refused_while_it_restarts(node: Node) -> None:
    before = node.pid(SERVICE)
    ask = (
        f"for turn in 1 2 3; do systemctl restart {SERVICE} & "
        "for n in $(seq 40); do curl -s -o /dev/null -w '%{http_code}\n' "
        "http://127.0.0.1:8646/health; done; wait; done"
    )
    codes = node.run(["bash", "-c", ask], timeout_s=120).stdout.split()
    assert codes == ["200"] * 120
    assert node.pid(SERVICE) not in (0, before)


def test_killed_it_comes_back_with_what_it_accepted(node: Node) -> None:
    body = json.dumps({"from": "ezra", "to": "ezra", "type": "request", "payload": 1,
                       "timestamp": 1, "id": "kept"})  # fmt: skip
    post = ["http://127.0.0.1:8646/message", "-d", body]
    assert json.loads(curl(node, *post))["status"] == "accepted"
    before = node.pid(SERVICE)
    node.run(["systemctl", "kill", "--signal=KILL", SERVICE])
    wait_until(
        lambda: node.pid(SERVICE) not in (0, before), timeout_s=20, what="the daemon to come back"
    )
    assert json.loads(curl(node, *post))["status"] == "duplicate"


def test_a_reload_keeps_the_process(node: Node) -> None:
    before = node.pid(SERVICE)
    node.run(["systemctl", "reload", SERVICE])
    wait_until(
        lambda: "settings taken anew" in node.journal(SERVICE),
        timeout_s=20,
        what="the daemon to say so",
    )
    assert node.pid(SERVICE) == before


def test_stopped_with_its_sockets_it_leaves_nothing_running(node: Node) -> None:
    node.run(["systemctl", "stop", *SOCKETS, SERVICE])
    assert node.pid(SERVICE) == 0
    assert node.run(["systemctl", "--failed", "--no-legend"]).stdout == ""
    assert node.run(["ls", "/run/fleet-agent/ezra"]).stdout.split() == ["soul", "soul.file"]
    assert curl(node, "http://127.0.0.1:8646/health", check=False) == ""
