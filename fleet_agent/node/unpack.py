"""Makes a release directory of a manifest and contents: whole, checked, on disk, or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
from typing import Final

from fleet_agent.errors import NodeError
from fleet_agent.node import bytecode, durable
from fleet_agent.node.content import Contents
from fleet_agent.node.layout import Layout
from fleet_agent.release import manifest as manifests
from fleet_agent.release.manifest import Entry, Manifest

_MANIFEST: Final = "manifest.json"


def unpack(
    layout: Layout, manifest: Manifest, contents: Contents, nonce: str, before: str | None
) -> bool:
    """Let the release ``manifest`` lie on this node; False when it did already.

    What the release ``before`` has with the same content is linked, not copied. Raises NodeError
    when a content is missing, or is not what its digest says.
    """
    name = manifest.id
    final = layout.release(name)
    if is_whole(layout, manifest):
        return False
    durable.directory(layout.releases)
    building = f"{layout.releases}/.{nonce}"
    for leftover in (building, final):
        if os.path.lexists(leftover):
            shutil.rmtree(leftover)
    try:
        _build(building, manifest, contents, before and layout.release(before))
    except BaseException:
        # The disk may be full of it, and the way back has to write.
        shutil.rmtree(building, ignore_errors=True)
        raise
    os.rename(building, final)
    durable.sync_directory(layout.releases)
    return True


def _build(building: str, manifest: Manifest, contents: Contents, old: str | None) -> None:
    os.mkdir(building, 0o755)
    for directory in sorted(_directories(manifest)):
        os.mkdir(f"{building}/{directory}", 0o755)
    for entry in manifest.files:
        _bring(building, entry, contents)
    _write(f"{building}/{_MANIFEST}", manifests.canonical(manifests.to_json(manifest)), 0o644)
    bytecode.compile_release(building, manifest, old)
    sync_all(building)


def is_whole(layout: Layout, manifest: Manifest) -> bool:
    """Whether the release lies on this node with all its files as they must be."""
    directory = layout.release(manifest.id)
    if not os.path.isfile(f"{directory}/{_MANIFEST}"):
        return False
    return all(_is_right(f"{directory}/{entry.path}", entry) for entry in manifest.files)


def _is_right(path: str, entry: Entry) -> bool:
    try:
        with open(path, "rb") as source:
            content = source.read()
            mode = os.fstat(source.fileno()).st_mode & 0o7777
    except OSError:
        return False
    return mode == entry.mode and hashlib.sha256(content).hexdigest() == entry.sha256


def _directories(manifest: Manifest) -> set[str]:
    found: set[str] = set()
    for entry in manifest.files:
        parts = entry.path.split("/")[:-1]
        found.update("/".join(parts[: depth + 1]) for depth in range(len(parts)))
    return found


def _bring(building: str, entry: Entry, contents: Contents) -> None:
    target = f"{building}/{entry.path}"
    there = contents.path(entry.sha256)
    if there is not None and _is_right(there, entry):
        os.link(there, target)
        return
    content = contents.need(entry.sha256, entry.path)
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise NodeError("is not what its digest says", where=entry.path)
    _write(target, content, entry.mode)


def _write(path: str, data: bytes, mode: int) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
        os.fchmod(out.fileno(), mode)
        out.write(data)


def sync_all(path: str) -> None:
    """Bring everything below ``path`` to the disk, with one call instead of one a file."""
    import ctypes

    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(handle) != 0:
            raise NodeError(os.strerror(ctypes.get_errno()), where=path)
    finally:
        os.close(handle)
