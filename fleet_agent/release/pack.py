"""A pack: the contents that a node lacks, by digest, in one compressed piece.

It names no path and no mode. Those are the manifest's, so that a pack can only ever bring a
content that its manifest asks for.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Collection
from typing import Final

from fleet_agent.errors import FleetError
from fleet_agent.release.manifest import Manifest
from fleet_agent.release.tree import Tree

MAGIC: Final = b"fleet-agent pack 1\n"
# Small and quick counts more than small alone: thirty packs are made while thirty nodes wait.
_LEVEL: Final = 3
_BYTES_A_LINE: Final = 128


class PackError(FleetError):
    """A pack is damaged, incomplete, or holds what its manifest does not ask for."""

    title = "the pack of a release is wrong"


def pack(tree: Tree, have: Collection[str] = ()) -> bytes:
    """The contents of ``tree`` whose sha256 is not in ``have``. The same input, the same bytes."""
    blobs: dict[str, bytes] = {}
    for _, content in tree.values():
        name = hashlib.sha256(content).hexdigest()
        if name not in have:
            blobs[name] = content
    order = sorted(blobs)
    index = json.dumps([[name, len(blobs[name])] for name in order], separators=(",", ":"))
    body = index.encode() + b"\n" + b"".join(blobs[name] for name in order)
    return MAGIC + zlib.compress(body, _LEVEL)


def unpack(data: bytes, manifest: Manifest) -> dict[str, bytes]:
    """The contents of a pack by their sha256, each of them checked.

    Raises PackError when the pack is damaged or longer than its manifest allows, and when it
    holds a content that ``manifest`` does not name or that is not what its digest says.
    """
    sizes = {entry.sha256: entry.size for entry in manifest.files}
    index, body = _open(data, sum(sizes.values()) + _BYTES_A_LINE * (len(sizes) + 1))
    found: dict[str, bytes] = {}
    at = 0
    for name, size in index:
        if name not in sizes or name in found:
            raise PackError("holds a content that the manifest does not ask for", where=name)
        if size != sizes[name]:
            raise PackError(f"says {size} bytes, the manifest {sizes[name]}", where=name)
        content = body[at : at + size]
        if hashlib.sha256(content).hexdigest() != name:
            raise PackError("a content is not what its digest says", where=name)
        found[name] = content
        at += size
    if at != len(body):
        raise PackError(f"{len(body) - at} bytes are left over", where="pack")
    return found


def _open(data: bytes, most: int) -> tuple[list[tuple[str, int]], bytes]:
    """The index and the joined contents of a pack that unfolds to ``most`` bytes at most."""
    if not data.startswith(MAGIC):
        raise PackError("is no pack of this version", where="pack")
    unfold = zlib.decompressobj()
    try:
        text = unfold.decompress(data[len(MAGIC) :], most)
    except zlib.error as error:
        raise PackError(f"is damaged: {error}", where="pack") from None
    if not unfold.eof or unfold.unused_data:
        raise PackError("is cut off, or longer than its manifest allows", where="pack")
    line, _, body = text.partition(b"\n")
    try:
        index = json.loads(line)
    except ValueError:
        raise PackError("has no readable index", where="pack") from None
    if not isinstance(index, list) or not all(
        isinstance(item, list)
        and len(item) == 2
        and isinstance(item[0], str)
        and isinstance(item[1], int)
        and not isinstance(item[1], bool)
        and item[1] >= 0
        for item in index
    ):
        raise PackError("has no readable index", where="pack")
    return [(name, size) for name, size in index], body
