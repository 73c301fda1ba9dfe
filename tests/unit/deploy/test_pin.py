"""The pin of a tree: read, checked, unpacked, and everything hostile about it refused."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet_agent.deploy import pin
from fleet_agent.deploy.pin import PinError
from fleet_agent.limits import Limits

LIMITS = Limits()
GOOD = {"fleet_agent/__init__.py": b"__version__ = '1'\n", "fleet_agent/share/x.yml": b"---\n"}


def zip_of(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def tree_with(tmp_path: Path, wheel: bytes, **changed: object) -> Path:
    tree = tmp_path / "tree"
    (tree / "vendor").mkdir(parents=True)
    (tree / "vendor" / "a.whl").write_bytes(wheel)
    said: dict[str, object] = {
        "version": "1.0",
        "sha256": hashlib.sha256(wheel).hexdigest(),
        "wheel": "vendor/a.whl",
    }
    (tree / pin.FILE).write_text(json.dumps(said | changed))
    return tree


def test_a_good_pin_is_unpacked_whole(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, zip_of(GOOD, zipfile.ZIP_DEFLATED))
    into = pin.unpack(pin.read_pin(tree), tmp_path / "code" / "x", LIMITS)
    found = {
        path.relative_to(into).as_posix(): path.read_bytes()
        for path in into.rglob("*")
        if path.is_file()
    }
    assert found == GOOD
    assert stat.S_IMODE((into / "fleet_agent/__init__.py").stat().st_mode) == 0o644
    assert os.listdir(into.parent) == ["x"]


def test_unpacking_again_leaves_what_is_there(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, zip_of(GOOD))
    the_pin = pin.read_pin(tree)
    into = pin.unpack(the_pin, tmp_path / "x", LIMITS)
    before = into.stat().st_ino
    assert pin.unpack(the_pin, tmp_path / "x", LIMITS).stat().st_ino == before


def test_a_commit_with_another_wheel_is_refused_though_the_pinned_one_was_unpacked_before(
    tmp_path: Path,
) -> None:
    tree = tree_with(tmp_path, zip_of(GOOD))
    the_pin = pin.read_pin(tree)
    pin.unpack(the_pin, tmp_path / "x", LIMITS)
    (tree / "vendor" / "a.whl").write_bytes(zip_of({**GOOD, "fleet_agent/more.py": b""}))
    with pytest.raises(PinError, match="sha256"):
        pin.unpack(the_pin, tmp_path / "x", LIMITS)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{", '{"version": "1"}', '{"version":1,"sha256":"","wheel":""}',
        json.dumps({"version": "1", "sha256": "f" * 64, "wheel": "vendor/a.whl", "more": 1}),
        json.dumps({"version": "1", "sha256": "F" * 64, "wheel": "vendor/a.whl"}),
        json.dumps({"version": "../1", "sha256": "f" * 64, "wheel": "vendor/a.whl"}),
        json.dumps({"version": "1", "sha256": "f" * 64, "wheel": "/etc/a.whl"}),
        json.dumps({"version": "1", "sha256": "f" * 64, "wheel": "vendor/../../a.whl"}),
        json.dumps({"version": "1", "sha256": "f" * 64, "wheel": "vendor/a.txt"}),
        json.dumps({"version": "1", "sha256": "f" * 64, "wheel": ["vendor/a.whl"]}),
    ],
)  # fmt: skip
def test_a_pin_file_that_is_not_as_it_must_be_is_refused_with_the_mend(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / pin.FILE).write_text(text)
    with pytest.raises(PinError) as refused:
        pin.read_pin(tmp_path)
    assert refused.value.where.startswith(pin.FILE)
    assert "init --pin" in refused.value.mend


def test_a_tree_without_a_pin_says_so(tmp_path: Path) -> None:
    with pytest.raises(PinError, match="can't be read"):
        pin.read_pin(tmp_path)


def test_a_wheel_with_another_digest_is_refused_with_both(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, zip_of(GOOD), sha256="0" * 64)
    found = hashlib.sha256(zip_of(GOOD)).hexdigest()
    with pytest.raises(PinError) as refused:
        pin.verify(pin.read_pin(tree), LIMITS)
    assert found in refused.value.what
    assert "0" * 64 in refused.value.what


def test_a_wheel_that_is_missing_a_directory_or_a_pipe_is_refused(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, zip_of(GOOD))
    wheel = tree / "vendor" / "a.whl"
    wheel.unlink()
    with pytest.raises(PinError):
        pin.verify(pin.read_pin(tree), LIMITS)
    wheel.mkdir()
    with pytest.raises(PinError):
        pin.verify(pin.read_pin(tree), LIMITS)
    wheel.rmdir()
    os.mkfifo(wheel)
    with pytest.raises(PinError, match="no plain file"):
        pin.verify(pin.read_pin(tree), LIMITS)


def test_a_link_out_of_the_tree_is_refused(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, zip_of(GOOD))
    outside = tmp_path / "outside.whl"
    (tree / "vendor" / "a.whl").rename(outside)
    (tree / "vendor" / "a.whl").symlink_to(outside)
    with pytest.raises(PinError, match="leads out"):
        pin.verify(pin.read_pin(tree), LIMITS)


def test_a_wheel_larger_than_the_limit_is_refused(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, zip_of({**GOOD, "fleet_agent/big": b"x" * 2000}))
    with pytest.raises(PinError, match="larger than 1024"):
        pin.verify(pin.read_pin(tree), Limits({"pin_wheel_bytes": 1024}))


def entry(name: str, mode: int = 0o100644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


def hostile(write: Callable[[zipfile.ZipFile], object]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in GOOD.items():
            archive.writestr(name, data)
        write(archive)
    return out.getvalue()


HOSTILE = {
    "a parent": hostile(lambda z: z.writestr("../evil.py", b"")),
    "a parent within": hostile(lambda z: z.writestr("fleet_agent/../../evil.py", b"")),
    "an absolute path": hostile(lambda z: z.writestr("/etc/evil", b"")),
    "a drive": hostile(lambda z: z.writestr("C:/evil", b"")),
    "a backslash": hostile(lambda z: z.writestr("fleet_agent\\..\\evil", b"")),
    "a link": hostile(lambda z: z.writestr(entry("fleet_agent/l", 0o120777), b"/etc/passwd")),
    "a device": hostile(lambda z: z.writestr(entry("fleet_agent/d", 0o020644), b"")),
    "an odd compression": hostile(
        lambda z: z.writestr("fleet_agent/b", b"x" * 50, compress_type=zipfile.ZIP_BZIP2)
    ),
    "a long name": hostile(lambda z: z.writestr("fleet_agent/" + "x" * 300, b"")),
    "not a zip": b"PK is not enough",
    "another package": zip_of({"other/__init__.py": b""}),
    "a damaged file": zip_of({**GOOD, "fleet_agent/c": b"content"}).replace(b"content", b"CONTENT"),
    "a file where a directory is needed": zip_of(
        {**GOOD, "fleet_agent/f": b"", "fleet_agent/f/g": b""}
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_wheels_are_refused_and_leave_nothing(tmp_path: Path, name: str) -> None:
    tree = tree_with(tmp_path, HOSTILE[name])
    with pytest.raises(PinError):
        pin.unpack(pin.read_pin(tree), tmp_path / "code" / "x", LIMITS)
    assert os.listdir(tmp_path / "code") == []
    assert sorted(os.listdir(tmp_path)) == ["code", "tree"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    wheel = hostile(lambda z: z.writestr("fleet_agent/__init__.py", b"evil"))
    tree = tree_with(tmp_path, wheel)
    with pytest.raises(PinError, match="holds the name"):
        pin.unpack(pin.read_pin(tree), tmp_path / "x", LIMITS)


def test_a_bomb_is_refused_by_what_it_says_and_by_what_it_is(tmp_path: Path) -> None:
    limits = Limits({"pin_unpacked_bytes": 1024 * 1024})
    honest = zip_of({**GOOD, "fleet_agent/zeros": bytes(2_000_000)}, zipfile.ZIP_DEFLATED)
    tree = tree_with(tmp_path, honest)
    with pytest.raises(PinError, match="more than the limit"):
        pin.unpack(pin.read_pin(tree), tmp_path / "x", limits)
    # The same archive with the size 2,000,000 replaced by 10 wherever it is told.
    lying = honest.replace((2_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lying != honest
    tree = tree_with(tmp_path / "second", lying)
    with pytest.raises(PinError):
        pin.unpack(pin.read_pin(tree), tmp_path / "x", limits)
    assert not (tmp_path / "x").exists()


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, zip_of({**GOOD, **{f"fleet_agent/{n}": b"" for n in range(20)}}))
    with pytest.raises(PinError, match="holds 22 files"):
        pin.unpack(pin.read_pin(tree), tmp_path / "x", Limits({"pin_files": 20}))


def test_a_pin_nested_beyond_measure_is_refused(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, zip_of(GOOD))
    (tree / pin.FILE).write_text("[" * 60_000)
    with pytest.raises(PinError, match="is not JSON"):
        pin.read_pin(tree)
