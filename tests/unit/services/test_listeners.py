"""The sockets that a daemon binds for itself."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from fleet_agent.errors import ConfigError, TryAgain
from fleet_agent.services.listeners import Listening, open_listeners, shown
from fleet_agent.services.settings import HookSettings, Settings, from_value


def settings(tmp_path: Path, address: str = "127.0.0.1", port: int = 0) -> Settings:
    value = {"v": 1, "wizard": "ezra", "listen": {"address": address, "port": port},
             "run_dir": str(tmp_path / "r/ezra")}  # fmt: skip
    return from_value(value, "x")


def close(listening: Listening) -> None:
    for sock in (*listening.gateway, *listening.hook):
        sock.close()


def test_a_loopback_address_and_the_local_agents_socket(tmp_path: Path) -> None:
    made = open_listeners(settings(tmp_path), {})
    path = tmp_path / "r/ezra/agent.sock"
    assert [sock.family for sock in made.gateway] == [socket.AF_INET, socket.AF_UNIX]
    assert made.own_path == str(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
    assert shown(made.gateway[0]).startswith("http://127.0.0.1:")
    assert made.hook == ()
    close(made)


def test_another_address_has_loopback_beside_it_on_the_same_port(tmp_path: Path) -> None:
    made = open_listeners(settings(tmp_path, "127.0.0.2"), {})
    first, second = (sock.getsockname() for sock in made.gateway[:2])
    assert (first[0], second[0]) == ("127.0.0.2", "127.0.0.1")
    assert first[1] == second[1]
    close(made)


def test_two_wizards_may_share_a_port_on_two_addresses(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = open_listeners(settings(tmp_path, "127.0.0.2"), {})
    port = one.gateway[0].getsockname()[1]
    two = open_listeners(settings(tmp_path / "two", "127.0.0.3", port), {})
    assert [sock.family for sock in two.gateway] == [socket.AF_INET, socket.AF_UNIX]
    assert "not on loopback" in caplog.text
    close(one)
    close(two)


def test_a_second_daemon_of_the_same_wizard_does_not_take_its_socket(tmp_path: Path) -> None:
    one = open_listeners(settings(tmp_path), {})
    port = one.gateway[0].getsockname()[1]
    path = tmp_path / "r/ezra/agent.sock"
    before = path.stat().st_ino
    with pytest.raises(TryAgain, match="another process listens there"):
        open_listeners(settings(tmp_path, port=port), {})
    assert path.stat().st_ino == before
    close(one)


def test_the_orchestrator_has_the_hooks_port_too(tmp_path: Path) -> None:
    hook = HookSettings("127.0.0.1", 0, (), "PROD", None)
    made = open_listeners(settings(tmp_path)._replace(hook=hook), {})
    assert [sock.getsockname()[0] for sock in made.hook] == ["127.0.0.1"]
    close(made)


def test_a_name_is_no_address(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="literal"):
        open_listeners(settings(tmp_path, "localhost"), {})
