"""The pin: which fleet-agent a commit of the fleet-ops repository is deployed with.

``fleet-agent.json`` names version, sha256 and the wheel in the tree. Read here, checked and
unpacked; made by ``setup.init``. A tree is what a forge sent: nothing in it is trusted.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from fleet_agent.errors import ConfigError
from fleet_agent.node.unpack import sync_all

FILE: Final = "fleet-agent.json"
MEND: Final = "renew it with `fleet-agent init --pin DIR`, commit, and deploy again"

_KEYS: Final = frozenset({"version", "sha256", "wheel"})
_FILE_BYTES: Final = 64 * 1024
_PATH_CHARACTERS: Final = 200  # well under what any file system takes, in all and a part
_CHUNK: Final = 1024 * 1024
_COMPRESSIONS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class PinError(ConfigError):
    """The pin of a tree, or the wheel that it names, is not what it must be."""

    title = "the pin of fleet-agent is wrong"


@dataclass(frozen=True, slots=True)
class Pin:
    """What a tree says about the code it is deployed with; ``wheel`` lies below ``tree``."""

    tree: Path
    version: str
    sha256: str
    wheel: str


def to_json(version: str, sha256: str, wheel: str) -> str:
    """The text of a pin file."""
    return json.dumps({"version": version, "sha256": sha256, "wheel": wheel}, indent=2) + "\n"


def read_pin(tree: Path) -> Pin:
    """The pin of the checkout at ``tree``. The wheel itself is not looked at; see ``verify``.

    Raises PinError when there is none, or when it is not the JSON object that it must be.
    """
    where = f"{FILE} of the fleet-ops repository"
    text = _read_inside(tree, FILE, _FILE_BYTES, where)
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PinError(f"is not JSON: {error}", where=where, mend=MEND) from None
    if not isinstance(said, dict) or set(said) != _KEYS:
        raise PinError("must have the keys version, sha256 and wheel", where=where, mend=MEND)
    version, sha256, wheel = said["version"], said["sha256"], said["wheel"]
    if not isinstance(version, str) or not re.fullmatch(r"[0-9A-Za-z.+-]{1,64}", version):
        raise PinError("version must be one like 1.2.3", where=where, mend=MEND)
    if not isinstance(sha256, str) or not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise PinError("sha256 must be 64 hex digits", where=where, mend=MEND)
    if not isinstance(wheel, str) or not wheel.endswith(".whl") or not _inside(wheel):
        raise PinError("wheel must be the path of a .whl in the tree", where=where, mend=MEND)
    return Pin(tree, version, sha256, wheel)


def verify(pin: Pin, limits: Mapping[str, float]) -> bytes:
    """The bytes of the pinned wheel, once they are known to be the pinned ones.

    Raises PinError when the wheel is not there, is larger than ``pin_wheel_bytes``, or has
    another sha256.
    """
    data = _read_inside(pin.tree, pin.wheel, int(limits["pin_wheel_bytes"]), pin.wheel)
    found = hashlib.sha256(data).hexdigest()
    if found != pin.sha256:
        raise PinError(
            f"has the sha256 {found}, but {FILE} pins {pin.sha256}", where=pin.wheel, mend=MEND
        )
    return data


def unpack(pin: Pin, into: Path, limits: Mapping[str, float]) -> Path:
    """Unpack the verified wheel as the directory ``into`` (put it on sys.path) and return it.

    ``into`` appears whole or not at all; where it is already there it is left as it is, so name
    it by ``pin.sha256``. The wheel of the tree is verified in any case. Raises PinError for a
    wheel that is no zip file, names files outside of itself, holds links or anything else that is
    no plain file, or is larger than the limits ``pin_files`` and ``pin_unpacked_bytes``.
    """
    data = verify(pin, limits)
    if into.is_dir():
        return into
    into.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{into.name}.", dir=into.parent))
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in _checked(archive, pin.wheel, limits):
                _extract(archive, entry, partial)
        partial.chmod(0o755)
        # What is there by its name is taken for whole by every run to come, over a power cut too.
        sync_all(str(partial))
        os.rename(partial, into)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise PinError(f"can't be unpacked: {error}", where=pin.wheel, mend=MEND) from None
    except OSError:
        # Another run may have unpacked the same wheel at the same moment; then that is as good.
        if not into.is_dir():
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return into


def _checked(
    archive: zipfile.ZipFile, where: str, limits: Mapping[str, float]
) -> list[zipfile.ZipInfo]:
    """The archive's files, all of them fit to be written. Raises PinError otherwise."""
    entries = archive.infolist()
    if len(entries) > limits["pin_files"]:
        raise PinError(f"holds {len(entries)} files", where=where, mend=MEND)
    if sum(entry.file_size for entry in entries) > limits["pin_unpacked_bytes"]:
        raise PinError("unpacks to more than the limit", where=where, mend=MEND)
    seen: set[str] = set()
    files = []
    for entry in entries:
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if entry.is_dir() and kind in (0, stat.S_IFDIR):
            continue
        if kind not in (0, stat.S_IFREG) or entry.compress_type not in _COMPRESSIONS:
            raise PinError(f"holds {entry.filename!r}, no plain file", where=where, mend=MEND)
        if not _inside(entry.orig_filename) or entry.filename in seen:
            raise PinError(f"holds the name {entry.filename!r}", where=where, mend=MEND)
        seen.add(entry.filename)
        files.append(entry)
    if any(str(parent) in seen for name in seen for parent in PurePosixPath(name).parents):
        raise PinError("holds a name as file and as directory", where=where, mend=MEND)
    if "fleet_agent/__init__.py" not in seen:
        raise PinError("is no wheel of fleet-agent", where=where, mend=MEND)
    return files


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, into: Path) -> None:
    """Write one checked file. What it says about its size is not believed while reading."""
    target = into / entry.filename
    target.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    left = entry.file_size
    with archive.open(entry) as source, open(os.open(target, flags, 0o644), "wb") as out:
        while chunk := source.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                raise zipfile.BadZipFile(f"{entry.filename!r} is larger than it says")
            out.write(chunk)
        os.fchmod(out.fileno(), 0o644)


def _inside(path: str) -> bool:
    """Whether ``path`` is a plain relative path that stays below where it starts."""
    parts = path.split("/")
    return (
        "\\" not in path
        and "\0" not in path
        and ":" not in parts[0]
        and len(path) <= _PATH_CHARACTERS
        and not any(part in ("", ".", "..") for part in parts)
    )


def _read_inside(tree: Path, path: str, most: int, where: str) -> bytes:
    """A plain file of the tree, at most ``most`` bytes long; a link that leads out is refused."""
    target = tree / path
    try:
        if not target.resolve().is_relative_to(tree.resolve()):
            raise PinError("is a link that leads out of the tree", where=where, mend=MEND)
        with open(os.open(target, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise PinError("is no plain file", where=where, mend=MEND)
            data = file.read(most + 1)
    except OSError as error:
        raise PinError(f"can't be read: {error.strerror}", where=where, mend=MEND) from None
    if len(data) > most:
        raise PinError(f"is larger than {most} bytes", where=where, mend=MEND)
    return data
