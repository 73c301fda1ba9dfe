"""The loader and the installed code, run by a bare Python as a node does."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

import fleet_agent
from fleet_agent.node import command, loader
from fleet_agent.node.install import install, with_bytecode
from fleet_agent.node.layout import Layout
from fleet_agent.release.pyz import build

PYZ = build(Path(fleet_agent.__file__).parent)
NONCE = "0123456789abcdef"


def layout(root: Path) -> dict[str, Any]:
    # ``true`` stands in no unit's place: no unit is asked for before these tests are refused.
    return {
        "root": str(root), "systemctl": ["true"], "systemd_run": [], "unprivileged": True,
        "python": sys.executable,
    }  # fmt: skip


def spec(root: Path, **changes: object) -> bytes:
    line = {
        "v": 1, "deploy": 1, "nonce": NONCE, "mode": "back", "layout": layout(root), **changes
    }  # fmt: skip
    return json.dumps(line).encode() + b"\n"


def run(argv: list[str], stdin: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(argv, input=stdin, capture_output=True, check=False, timeout=60)


def loading(root: Path, *, install: bool, data: bytes = PYZ.data) -> tuple[list[str], bytes]:
    argv = command.load_and_run(NONCE, "keys", layout(root), {})
    return argv, command.loader_header(data, PYZ.sha256, install=install)


def test_the_loader_installs_the_code_and_runs_the_phase(tmp_path: Path) -> None:
    argv, header = loading(tmp_path, install=True)
    done = run(argv, header + spec(tmp_path))
    assert json.loads(done.stdout)["ok"], done.stderr
    place = tmp_path / "opt/fleet-agent/node"
    assert os.readlink(place / "node.pyz") == f"{PYZ.sha256}.pyz"
    again = run(command.phase(PYZ.sha256, NONCE, "keys", layout(tmp_path), {}), spec(tmp_path))
    assert json.loads(again.stdout)["ok"], again.stderr


def test_in_a_check_nothing_at_all_is_written(tmp_path: Path) -> None:
    argv, header = loading(tmp_path, install=False)
    manifest = {"v": 1, "files": [], "wizards": {}, "orchestrator": False}
    stdin = header + spec(tmp_path, mode="forward", check=True, manifest=manifest)
    done = run(argv, stdin)
    assert json.loads(done.stdout)["ok"], done.stderr
    assert list(tmp_path.iterdir()) == []


def test_code_that_arrives_damaged_is_not_run(tmp_path: Path) -> None:
    argv, header = loading(tmp_path, install=True, data=PYZ.data[:-1] + b"x")
    done = run(argv, header + spec(tmp_path))
    assert done.returncode == 1
    assert "damaged" in json.loads(done.stdout)["error"]["what"]
    assert list(tmp_path.iterdir()) == []


def test_code_that_is_absent_is_said_as_the_other_side_expects_it(tmp_path: Path) -> None:
    done = run(command.phase(PYZ.sha256, NONCE, "keys", layout(tmp_path), {}), b"")
    assert done.returncode == 2
    assert b"can't open file" in done.stderr


def test_a_spec_that_is_not_understood_is_exit_code_two_with_a_reason(tmp_path: Path) -> None:
    path = install(Layout(root=str(tmp_path)), PYZ.data, PYZ.sha256)
    for stdin in (b"", b"{}\n", b"garbage\n"):
        done = run([sys.executable, "-I", "-S", path, "keys"], stdin)
        assert done.returncode == 2
        assert json.loads(done.stdout)["ok"] is False


def test_a_pack_that_is_cut_off_is_refused_before_anything_happens(tmp_path: Path) -> None:
    path = install(Layout(root=str(tmp_path)), PYZ.data, PYZ.sha256)
    manifest = {"v": 1, "files": [], "wizards": {}, "orchestrator": False}
    stdin = spec(tmp_path, mode="forward", manifest=manifest, pack_bytes=1000) + b"x" * 10
    done = run([sys.executable, "-I", "-S", path, "deploy"], stdin)
    assert done.returncode == 2
    assert "cut off" in json.loads(done.stdout)["error"]["what"]


def test_the_installed_file_carries_bytecode_and_the_very_sources() -> None:
    with zipfile.ZipFile(io.BytesIO(with_bytecode(PYZ.data))) as archive:
        names = archive.namelist()
        assert archive.read("fleet_agent/node/main.py") == _source("node/main.py")
    assert {f"{name}c" for name in names if name.endswith(".py")} <= set(names)


def _source(path: str) -> bytes:
    return (Path(fleet_agent.__file__).parent / path).read_bytes()


def test_an_old_python_is_told_in_words_that_the_other_side_reads() -> None:
    source = loader.loader_source()
    old = source.replace("sys.version_info < (3, 11)", "sys.version_info < (99,)")
    assert old != source
    done = run([sys.executable, "-I", "-S", "-c", old, "preflight"], b"")
    answer = json.loads(done.stdout)
    assert answer["ok"] is False
    assert "3.11 is needed" in answer["error"]["what"]
    # Up to there it must be readable for any Python 3.
    ast.parse(source.partition("import hashlib")[0], feature_version=(3, 7))


@pytest.mark.parametrize("words", [[], ["nonsense"], ["keys", "more"], ["expire"]])
def test_an_unknown_word_shows_the_usage(tmp_path: Path, words: list[str]) -> None:
    path = install(Layout(root=str(tmp_path)), PYZ.data, PYZ.sha256)
    done = run([sys.executable, "-I", "-S", path, *words], b"")
    assert done.returncode == 2
    assert done.stderr.startswith(b"usage:")


def test_the_digest_names_what_is_sent() -> None:
    assert hashlib.sha256(PYZ.data).hexdigest() == PYZ.sha256


def test_phases_run_as_services_with_a_time_limit_where_there_is_systemd() -> None:
    limits = {"deploy_phase_seconds": 120.0}
    argv = command.phase("f" * 64, NONCE, "deploy", {}, limits)
    assert argv[0] == "systemd-run"
    assert f"--unit=fleet-phase-{NONCE}-deploy" in argv
    assert "--property=RuntimeMaxSec=120" in argv
    assert argv[-5:] == [
        "/usr/bin/python3", "-I", "-S", f"/opt/fleet-agent/node/{'f' * 64}.pyz", "deploy"
    ]  # fmt: skip
    back = command.phase("f" * 64, NONCE, "deploy", {}, limits, mode="back")
    assert f"--unit=fleet-phase-back-{NONCE}-deploy" in back


def test_what_is_the_same_is_not_compiled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    before = with_bytecode(PYZ.data)
    compiled: list[str] = []

    def count(source: bytes, name: str, *rest: Any, **more: Any) -> Any:
        compiled.append(name)
        return compile(source, name, *rest, **more)

    monkeypatch.setattr("fleet_agent.node.install.compile", count, raising=False)
    assert with_bytecode(PYZ.data, before) == before
    assert compiled == []
    assert with_bytecode(PYZ.data, b"cut off") == before
    assert "fleet_agent/node/main.py" in compiled


def test_a_module_that_changed_is_compiled_from_its_new_source() -> None:
    before = with_bytecode(PYZ.data)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(PYZ.data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            more = b"X = 1\n" if name == "fleet_agent/wire.py" else b""
            new.writestr(name, old.read(name) + more)
    after = with_bytecode(out.getvalue(), before)
    with (
        zipfile.ZipFile(io.BytesIO(after)) as new,
        zipfile.ZipFile(io.BytesIO(before)) as old,
    ):
        changed = [name for name in new.namelist() if new.read(name) != old.read(name)]
    assert changed == ["fleet_agent/wire.py", "fleet_agent/wire.pyc"]
