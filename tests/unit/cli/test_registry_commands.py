"""``registry check``, ``find`` and ``inventory`` over real files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.cli.main import main
from fleet_agent.registry import compiled
from fleet_agent.registry.parse import parse

FLEET = """\
wizards:
  ezra: {host: 192.0.2.10, role: orchestrator, capabilities: [deploy], soul: souls/ezra.md}
  bezalel: {host: "2001:db8::11", model: gemma, capabilities: [deploy, review]}
  allegro:
    host: 192.0.2.10
    listen: {port: 8650}
    ssh: {user: root, port: 2222, proxy_jump: gate}
"""


@pytest.fixture
def ops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "souls").mkdir()
    (tmp_path / "souls" / "ezra.md").write_text("be kind")
    (tmp_path / "fleet.yaml").write_text(FLEET)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


class TestCheck:
    def test_a_good_one_says_what_it_saw(
        self, ops: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["registry", "check"]) == 0
        assert capsys.readouterr().out == (
            "fleet.yaml is well: 3 wizards on 2 nodes, orchestrator ezra on 192.0.2.10\n"
        )

    def test_json(self, ops: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["registry", "check", str(ops), "--json"]) == 0
        assert told(capsys) == {
            "ok": True,
            "file": str(ops / "fleet.yaml"),
            "mistakes": [],
            "fleet": "fleet",
            "wizards": 3,
            "nodes": 2,
            "orchestrator": "ezra",
        }

    def test_mistakes_exit_2_one_a_line(
        self, ops: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (ops / "fleet.yaml").write_text(FLEET.replace("model", "modle"))
        (ops / "souls" / "ezra.md").unlink()
        assert main(["registry", "check"]) == 2
        out, err = capsys.readouterr()
        assert out.splitlines() == [
            "fleet.yaml:2 wizards.ezra.soul: souls/ezra.md can't be read: "
            "No such file or directory (write it, and commit it)",
            "fleet.yaml:3 wizards.bezalel.modle: unknown key (did you mean 'model'?)",
        ]
        assert err == "fleet-agent: the registry has 2 mistakes\n"

    def test_mistakes_as_json(self, ops: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (ops / "fleet.yaml").write_text(FLEET.replace("model", "modle"))
        assert main(["registry", "check", "--json"]) == 2
        assert told(capsys) == {
            "ok": False,
            "file": "fleet.yaml",
            "mistakes": [
                {
                    "file": "fleet.yaml",
                    "line": 3,
                    "key": "wizards.bezalel.modle",
                    "what": "unknown key",
                    "mend": "did you mean 'model'?",
                }
            ],
        }

    def test_a_missing_file_exits_2(self, ops: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["registry", "check", "nowhere.yaml"]) == 2
        assert "nowhere.yaml: could not be read: No such file" in capsys.readouterr().out


class TestFind:
    def test_found(self, ops: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["find", "deploy"]) == 0
        rows = [line.split() for line in capsys.readouterr().out.splitlines()]
        assert rows == [
            ["WIZARD", "HOST", "ROLE", "MODEL"],
            ["ezra", "192.0.2.10", "orchestrator"],
            ["bezalel", "2001:db8::11", "worker", "gemma"],
        ]

    def test_found_as_json(self, ops: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["find", "review", "--json"]) == 0
        (wizard,) = told(capsys)["wizards"]
        assert wizard["name"] == "bezalel"
        assert wizard["health_endpoint"] == "http://[2001:db8::11]:8646/health"

    def test_none_exits_10_with_the_near_miss(
        self, ops: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["find", "reveiw"]) == 10
        out, err = capsys.readouterr()
        assert (out, "did you mean 'review'?" in err) == ("", True)
        assert main(["find", "reveiw", "--json"]) == 10
        assert told(capsys) == {"capability": "reveiw", "wizards": []}

    def test_a_missing_soul_is_not_its_matter(self, ops: Path) -> None:
        (ops / "souls" / "ezra.md").unlink()
        assert main(["find", "deploy"]) == 0

    def test_on_a_nodes_registry(self, ops: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = ops / "registry.json"
        path.write_text(json.dumps(compiled.public(compiled.compile(parse(FLEET)))))
        assert main(["find", "review", "--registry", str(path), "--json"]) == 0
        assert [wizard["name"] for wizard in told(capsys)["wizards"]] == ["bezalel"]


class TestInventory:
    def test_list(self, ops: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["inventory", "--list"]) == 0
        found = told(capsys)
        assert found["nodes"] == {"hosts": ["192.0.2.10", "2001:db8::11"]}
        assert found["orchestrator"] == {"hosts": ["192.0.2.10"]}
        assert found["_meta"]["hostvars"] == {
            "192.0.2.10": {
                "ansible_host": "192.0.2.10",
                "ansible_user": "root",
                "ansible_become": False,
                "ansible_port": 2222,
                "ansible_python_interpreter": "/usr/bin/python3",
                "ansible_ssh_common_args": "-o ProxyJump=gate",
                "fleet_wizards": ["ezra", "allegro"],
            },
            "2001:db8::11": {
                "ansible_host": "2001:db8::11",
                "ansible_user": "fleet",
                "ansible_become": True,
                "ansible_port": 22,
                "ansible_python_interpreter": "/usr/bin/python3",
                "fleet_wizards": ["bezalel"],
            },
        }

    def test_host(self, ops: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["inventory", "--host", "2001:db8::11"]) == 0
        assert told(capsys)["fleet_wizards"] == ["bezalel"]
        assert main(["inventory", "--host", "elsewhere"]) == 0
        assert told(capsys) == {}

    def test_one_of_both_must_be_said(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["inventory"]) == 2
        assert main(["inventory", "--list", "--host", "x"]) == 2
        assert "usage" in capsys.readouterr().err
