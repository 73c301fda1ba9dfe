"""The demo's place and ports."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from pathlib import Path

from fleet_agent.deploy import rules
from fleet_agent.node import layout
from fleet_agent.setup.demo import ground
from fleet_agent.wire import GATEWAY_PORT


def test_a_port_in_use_is_passed_over(short: Path) -> None:
    with socket.socket() as holder:
        with suppress(OSError):  # somebody else's is as good
            holder.bind(("127.0.0.1", GATEWAY_PORT))
        ports = [node.port for node in ground.choose(short / "demo").nodes]
    assert GATEWAY_PORT not in ports
    assert len(set(ports)) == len(ports)


def test_a_place_far_down_leads_to_a_short_one(tmp_path: Path) -> None:
    wanted = tmp_path / ("deep" * 20) / "demo"
    made = ground.choose(wanted)
    assert wanted.is_symlink()
    assert wanted.resolve() == made.place
    assert len(str(made.place)) < 60
    made.place.rmdir()


def test_the_ground_is_what_fleet_deploy_and_the_nodes_look_for(short: Path) -> None:
    made = ground.choose(short / "demo")
    ground.lay(made)
    read = rules.read(made.deploy)
    assert (read.repository, read.tag, read.branch) == (str(made.forge), "PROD", "main")
    said = json.loads((Path(made.deploy.state) / "layouts.json").read_text())
    assert list(said) == [node.host for node in made.nodes]
    for node in made.nodes:
        assert layout.from_json(said[node.host]).root == str(node.root)
    secret = made.orchestrator.root / "etc/fleet-agent/hook/secret"
    assert secret.read_text() == made.secret
    assert secret.stat().st_mode & 0o077 == 0
