"""The files of exactly one commit, written out read-only: from Git's objects, not by a work tree.

So no hook, filter, attribute or configuration has a say, and the bytes are those of the commit.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from fleet_agent.deploy.source import Source
from fleet_agent.errors import ConfigError, FleetError
from fleet_agent.forge.refs import short
from fleet_agent.limits import Limits
from fleet_agent.proc import SaidTooMuch

_MIB: Final = 1024 * 1024
_BATCH_BYTES: Final = 32 * _MIB
# Deeper folders than anybody needs, and ones that walking through would choke on.
_PARTS: Final = 32
_PART_BYTES: Final = 255
_PATH_BYTES: Final = 1024
_LINE_BYTES: Final = _PATH_BYTES + 128  # of ls-tree; a line of cat-file is shorter
_FILE_MODES: Final = {"100644": 0o444, "100755": 0o555, "100664": 0o444}


class TreeError(ConfigError):
    """The commit holds what a fleet-ops repository must not hold."""

    title = "the commit's files are not what they must be"


@dataclass(frozen=True, slots=True)
class Blob:
    """One file of a commit."""

    path: str
    mode: int
    object_id: str
    size: int


def check_out(source: Source, commit: str, into: str, limits: Limits) -> None:
    """Write the files of ``commit`` to the new directory ``into``; nothing in it is writable.

    Raises TreeError when there are symbolic links or submodules, or when it is too large.
    """
    blobs = list(files_of(source, commit, limits))
    remove(into)
    os.makedirs(into, mode=0o700)
    folders = {into}
    for batch in _batches(blobs):
        for blob, data in zip(batch, _read(source, batch), strict=True):
            path = os.path.join(into, blob.path)
            folder = os.path.dirname(path)
            os.makedirs(folder, mode=0o700, exist_ok=True)
            while folder not in folders:
                folders.add(folder)
                folder = os.path.dirname(folder)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, blob.mode)
            with open(handle, "wb") as file:
                os.fchmod(handle, blob.mode)
                file.write(data)
    for folder in folders:
        os.chmod(folder, stat.S_IRUSR | stat.S_IXUSR)


def files_of(source: Source, commit: str, limits: Limits) -> Iterator[Blob]:
    """The files of ``commit``. Raises TreeError for what is no plain file, or too much."""
    most_files, most_bytes = limits.whole("deploy_tree_files"), limits["deploy_tree_mib"] * _MIB
    where, total, count = f"commit {short(commit)}", 0, 0
    too_much = TreeError(
        f"holds more than {most_files} files or {limits['deploy_tree_mib']:g} MiB",
        where=where,
        mend="keep large files elsewhere, or raise `deploy: {tree_files: …, tree_mib: …}`",
    )
    argv = ("ls-tree", "-r", "-z", "--long", "--full-tree", "--end-of-options", commit)
    try:
        said = source.git(*argv, most_bytes=(most_files + 1) * _LINE_BYTES)
    except SaidTooMuch:
        # A few trees that name each other often enough are a commit of billions of files.
        raise too_much from None
    for line in said.out.split(b"\0"):
        if not line:
            continue
        about, _, raw_path = line.partition(b"\t")
        mode, kind, object_id, size = about.decode("ascii").split()
        path = _path(raw_path, where)
        if mode == "120000":
            raise TreeError(
                "is a symbolic link; a fleet-ops repository holds plain files only",
                where=f"{where}, {path}",
                mend="put the file itself there",
            )
        if kind != "blob" or mode not in _FILE_MODES:
            raise TreeError(
                "is a submodule; a fleet-ops repository holds plain files only",
                where=f"{where}, {path}",
                mend="put the files themselves there",
            )
        count, total = count + 1, total + int(size)
        if count > most_files or total > most_bytes:
            raise too_much
        yield Blob(path, _FILE_MODES[mode], object_id, int(size))


def _path(raw: bytes, where: str) -> str:
    try:
        path = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise TreeError(f"a file's name is not UTF-8: {raw!r}", where=where) from None
    parts = path.split("/")
    # Git itself makes no such trees; whoever pushed may have made one with other means.
    if any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
        raise TreeError(f"a file lies at {path!r}", where=where)
    if not path.isprintable():
        raise TreeError(f"a file's name would steer a terminal: {path!r}", where=where)
    if (
        len(raw) > _PATH_BYTES
        or len(parts) > _PARTS
        or any(len(part.encode()) > _PART_BYTES for part in parts)
    ):
        raise TreeError(
            f"a file lies too deep, or its name is too long: {path[:80]!r}…", where=where
        )
    return path


def _batches(blobs: list[Blob]) -> Iterator[list[Blob]]:
    batch: list[Blob] = []
    held = 0
    for blob in blobs:
        if batch and held + blob.size > _BATCH_BYTES:
            yield batch
            batch, held = [], 0
        batch.append(blob)
        held += blob.size
    if batch:
        yield batch


def _read(source: Source, batch: list[Blob]) -> Iterator[bytes]:
    """The contents of ``batch`` in its order."""
    asked = "".join(f"{blob.object_id}\n" for blob in batch).encode()
    most = sum(blob.size + _LINE_BYTES for blob in batch)
    out = source.git("cat-file", "--batch", stdin=asked, most_bytes=most).out
    at = 0
    for blob in batch:
        end = out.index(b"\n", at)
        if out[at:end] != f"{blob.object_id} blob {blob.size}".encode():
            raise FleetError(
                f"the mirror lacks {blob.object_id}: {out[at:end][:100]!r}", where=blob.path
            )
        yield out[end + 1 : end + 1 + blob.size]
        at = end + 2 + blob.size


def remove(tree: str) -> None:
    """Remove a tree that nothing in it is writable of; nothing happens when it is not there."""
    if not os.path.lexists(tree):
        return
    for folder, _, _ in os.walk(tree):
        os.chmod(folder, stat.S_IRWXU)
    shutil.rmtree(tree)
