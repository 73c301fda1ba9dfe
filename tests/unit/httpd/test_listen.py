import os
import socket
import stat
from pathlib import Path

import pytest

from fleet_agent.errors import ConfigError, TryAgain
from fleet_agent.httpd.listen import listen_tcp, listen_unix


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "[::1]"])
def test_a_literal_address_is_listened_on(address: str) -> None:
    with listen_tcp(address, 0) as listening:
        family = socket.AF_INET if address == "127.0.0.1" else socket.AF_INET6
        with socket.socket(family) as asking:
            asking.connect(listening.getsockname())


@pytest.mark.parametrize("address", ["localhost", "example.invalid", "256.1.1.1", "", "::g"])
def test_a_name_is_not_resolved_but_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="literal"):
        listen_tcp(address, 0)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1"):
        listen_tcp("192.0.2.1", 0)


def test_a_taken_port_says_how_to_find_its_holder() -> None:
    with listen_tcp("127.0.0.1", 0) as listening, pytest.raises(TryAgain, match="ss -ltnp"):
        listen_tcp("127.0.0.1", listening.getsockname()[1])


def test_a_unix_socket_has_its_mode_and_replaces_one_left_behind(tmp_path: Path) -> None:
    path = str(tmp_path / "agent.sock")
    listen_unix(path).close()
    with listen_unix(path, 0o600):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(path)


def test_a_file_at_the_place_of_a_unix_socket_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    path.write_text("precious")
    with pytest.raises(TryAgain):
        listen_unix(str(path))
    assert path.read_text() == "precious"
