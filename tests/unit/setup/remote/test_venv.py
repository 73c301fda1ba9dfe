"""Wheels that arrive as a tar, and the links that make an environment the current one."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from fleet_agent.errors import NodeError
from fleet_agent.setup.remote import venv
from fleet_agent.setup.wheelhouse import Wheelhouse


def test_a_wheelhouse_arrives_as_it_was_sent(tmp_path: Path) -> None:
    wheels = (("a-1-py3-none-any.whl", b"aaa"), ("b_c-2.0+x-cp311-abi3-l.whl", b""))
    venv.receive(io.BytesIO(Wheelhouse(wheels, "", ()).tar()), str(tmp_path))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == dict(wheels)


@pytest.mark.parametrize("name", ["../a.whl", "/tmp/a.whl", "d/a.whl", "a.txt", ".whl/x"])
def test_what_is_no_wheel_at_the_top_is_refused(tmp_path: Path, name: str) -> None:
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(NodeError, match="no wheel"):
        venv.receive(io.BytesIO(Wheelhouse(((name, b"x"),), "", ()).tar()), str(into))
    assert os.listdir(into) == []


def test_a_link_in_the_tar_is_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo("a.whl")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(entry)
    with pytest.raises(NodeError):
        venv.receive(io.BytesIO(out.getvalue()), str(tmp_path))


def test_a_link_is_switched_once_and_a_foreign_file_is_left(tmp_path: Path) -> None:
    path = str(tmp_path / "venv")
    assert venv.link(path, "/one")
    assert not venv.link(path, "/one")
    os.symlink("/of-a-run-cut-short", f"{path}.new")
    assert venv.link(path, "/two")
    assert os.readlink(path) == "/two"
    foreign = tmp_path / "fleet-agent"
    foreign.write_text("theirs")
    with pytest.raises(NodeError, match="not ours"):
        venv.link(str(foreign), "/one")
    assert foreign.read_text() == "theirs"


@pytest.mark.parametrize("digest", ["", "..", "../../etc", "G" * 32])
def test_a_digest_that_is_a_path_is_refused(digest: str) -> None:
    with pytest.raises(NodeError, match="no digest"):
        venv.main({"digest": digest, "requirements": [], "send": True}, io.BytesIO())
