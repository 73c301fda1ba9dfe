"""The webhook's secrets: read from files, two at a time, and none that anyone may read."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet_agent.errors import ConfigError
from fleet_agent.hook.gate import Gate


def write(path: Path, text: bytes, mode: int = 0o640) -> str:
    path.write_bytes(text)
    path.chmod(mode)
    return str(path)


def test_secrets_are_read_without_their_line_break_and_again_at_a_reload(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    gate = Gate([write(old, b"one\n"), str(new)])
    assert list(gate.secrets) == []
    gate.load()
    assert list(gate.secrets) == [b"one"]
    write(new, b"two\r\n")
    gate.load()
    assert list(gate.secrets) == [b"one", b"two"]
    old.unlink()
    gate.load()
    assert list(gate.secrets) == [b"two"]


@pytest.mark.parametrize(("text", "mode"), [(b"", 0o640), (b" \n", 0o600), (b"x", 0o644)])
def test_a_bad_file_is_told_and_the_old_secrets_stay_in_force(
    tmp_path: Path, text: bytes, mode: int
) -> None:
    path = tmp_path / "secret"
    gate = Gate([write(path, b"one")])
    gate.load()
    write(path, text, mode)
    with pytest.raises(ConfigError) as caught:
        gate.load()
    assert caught.value.where == str(path) and caught.value.mend
    assert list(gate.secrets) == [b"one"]


def test_no_file_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none of"):
        Gate([str(tmp_path / "a"), str(tmp_path / "b")]).load()
    empty = Gate([])
    empty.load()
    assert empty.secrets == ()
