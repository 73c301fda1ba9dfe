"""A wheel of fleet-agent made from its own installed files, byte for byte the same each time.

Not a build tool: it packs what this process runs from (code, playbooks, units, examples), as it is.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import fleet_agent
from fleet_agent.errors import ConfigError

NAME: Final = "fleet_agent"
SUMMARY: Final = "Deploys and governs a fleet of LLM agents on plain Linux machines"
REQUIRES: Final = ("PyYAML>=6.0",)
ENTRY_POINTS: Final = "[console_scripts]\nfleet-agent = fleet_agent.cli.main:entry\n"

# The earliest time that a zip file can say; the files' own times depend on who installed them.
_TIME: Final = (1980, 1, 1, 0, 0, 0)
_FILE_MODE: Final = 0o100644
_LEFT_OUT_DIRECTORIES: Final = frozenset({"__pycache__"})
_LEFT_OUT_ENDINGS: Final = (".pyc", ".pyo", "~", ".swp", ".orig", ".rej")


@dataclass(frozen=True, slots=True)
class Wheel:
    """A built wheel: file name, version, bytes, and their sha256 in hex."""

    filename: str
    version: str
    data: bytes
    sha256: str


def build(package: Path | None = None) -> Wheel:
    """Pack ``package`` (default: the files this process runs from) into a wheel that pip installs.

    The same files give the same bytes on every machine, whether they come from a checkout, from
    pip or from an unpacked wheel: names sorted, times and modes fixed, and stored without
    compression, since what zlib makes of the same bytes differs from version to version.

    Raises ConfigError when the files are not there to be read (for example inside a zip file).
    """
    root = package or Path(fleet_agent.__file__).parent
    files = {f"{NAME}/{path}": data for path, data in package_files(root)}
    if f"{NAME}/__init__.py" not in files:
        raise ConfigError(
            "the files of fleet-agent can't be read to make a wheel of them",
            where=str(root),
            mend="install fleet-agent into a directory (pip install), or run a checkout",
        )
    version = fleet_agent.__version__
    data = _zip(_with_metadata(files, version))
    return Wheel(
        filename=f"{NAME}-{version}-py3-none-any.whl",
        version=version,
        data=data,
        sha256=hashlib.sha256(data).hexdigest(),
    )


def package_files(root: Path) -> Iterator[tuple[str, bytes]]:
    """Each file of the package at ``root`` as path below it and content; links are followed.

    In a checkout ``share/playbooks`` and its siblings are links to the top of the repository; an
    installed package has the files themselves.
    """
    for directory, inner, names in os.walk(root, followlinks=True):
        inner[:] = sorted(set(inner) - _LEFT_OUT_DIRECTORIES)
        for name in sorted(names):
            path = Path(directory, name)
            if not name.endswith(_LEFT_OUT_ENDINGS) and path.is_file():
                yield path.relative_to(root).as_posix(), path.read_bytes()


def _with_metadata(files: Mapping[str, bytes], version: str) -> dict[str, bytes]:
    """``files`` and the dist-info directory that makes a wheel of them (PEP 427, PEP 566)."""
    info = f"{NAME}-{version}.dist-info"
    metadata = [
        "Metadata-Version: 2.1",
        "Name: fleet-agent",
        f"Version: {version}",
        f"Summary: {SUMMARY}",
        "License: MIT",
        "Requires-Python: >=3.11",
        *(f"Requires-Dist: {requirement}" for requirement in REQUIRES),
    ]
    wheel = [
        "Wheel-Version: 1.0",
        "Generator: fleet-agent",
        "Root-Is-Purelib: true",
        "Tag: py3-none-any",
    ]
    packed = dict(files)
    packed[f"{info}/METADATA"] = ("\n".join(metadata) + "\n").encode()
    packed[f"{info}/WHEEL"] = ("\n".join(wheel) + "\n").encode()
    packed[f"{info}/entry_points.txt"] = ENTRY_POINTS.encode()
    packed[f"{info}/RECORD"] = _record(packed, f"{info}/RECORD")
    return packed


def _record(files: Mapping[str, bytes], own_path: str) -> bytes:
    """The RECORD file: path, sha256 (urlsafe base64 without padding) and size a file."""
    lines = []
    for path in sorted(files):
        digest = base64.urlsafe_b64encode(hashlib.sha256(files[path]).digest()).rstrip(b"=")
        lines.append(f"{path},sha256={digest.decode()},{len(files[path])}")
    return ("\n".join([*lines, f"{own_path},,"]) + "\n").encode()


def _zip(files: Mapping[str, bytes]) -> bytes:
    """``files`` as a zip archive that depends on nothing but their names and contents."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(files, key=_dist_info_last):
            entry = zipfile.ZipInfo(path, _TIME)
            entry.create_system = 3  # Unix, also where this runs on something else
            entry.external_attr = _FILE_MODE << 16
            archive.writestr(entry, files[path])
    return out.getvalue()


def _dist_info_last(path: str) -> tuple[bool, str]:
    """Sort key: the package first, then its dist-info, as PEP 427 recommends."""
    return (".dist-info/" in path, path)
