"""Builds ``node.pyz``: the part of this package that runs on a node, as one reproducible file."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from typing import Final, NamedTuple

from fleet_agent.errors import ConfigError

MODULES: Final = ("__init__.py", "errors.py", "limits.py", "wire.py", "proc.py")
ROOMS: Final = ("release", "node")
MAIN: Final = b"from fleet_agent.node.main import entry\n\nentry()\n"
_DATE: Final = (1980, 1, 1, 0, 0, 0)
_PLAIN_FILE: Final = 0o100644 << 16


class Pyz(NamedTuple):
    """The node's code as one file, and the sha256 that names it."""

    data: bytes
    sha256: str


def build(package: str | os.PathLike[str]) -> Pyz:
    """Make ``node.pyz`` from the directory ``package`` (the ``fleet_agent`` of a wheel).

    The same sources give the same bytes: sorted, undated, not compressed (a compressor's version
    would show). Raises ConfigError when the package lacks a module that a node needs.
    """
    files = {"__main__.py": MAIN}
    root = os.fspath(package)
    for name in MODULES:
        files[f"fleet_agent/{name}"] = _read(os.path.join(root, name))
    for room in ROOMS:
        for name in sorted(_names(os.path.join(root, room))):
            files[f"fleet_agent/{room}/{name}"] = _read(os.path.join(root, room, name))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, _DATE)
            entry.create_system = 3
            entry.external_attr = _PLAIN_FILE
            archive.writestr(entry, files[path])
    data = out.getvalue()
    return Pyz(data, hashlib.sha256(data).hexdigest())


def _names(directory: str) -> list[str]:
    try:
        return [name for name in os.listdir(directory) if name.endswith(".py")]
    except OSError as error:
        raise ConfigError(f"can't be read: {error.strerror}", where=directory) from error


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as source:
            return source.read()
    except OSError as error:
        raise ConfigError(
            f"can't be read: {error.strerror}",
            where=path,
            mend="this package of fleet-agent is incomplete: install it anew",
        ) from error
