"""Installs the node's own code: one file by its digest, with bytecode for this node's Python in it.

It lies outside of ``current``, so that a way back never runs the code that it takes away.
"""

from __future__ import annotations

import io
import marshal
import os
from importlib import util
from typing import Final

from fleet_agent.node import durable
from fleet_agent.node.layout import Layout

_UNCHECKED: Final = (1).to_bytes(4, "little")
_HEAD_BYTES: Final = 16  # magic number, flags, hash of the source (PEP 552)
_DATE: Final = (1980, 1, 1, 0, 0, 0)


def install(layout: Layout, pyz: bytes, sha256: str) -> str:
    """Install ``pyz``, whose sha256 was checked, and let ``node.pyz`` lead to it; its path."""
    path, in_force = layout.pyz(sha256), f"{layout.code}/node.pyz"
    durable.directory(layout.code)
    durable.write(path, with_bytecode(pyz, _read(in_force)), 0o644)
    durable.link(in_force, os.path.basename(path))
    return path


def with_bytecode(pyz: bytes, before: bytes | None = None) -> bytes:
    """The same code with each module's bytecode beside it. Another Python reads the sources.

    What is the same in ``before``, the code with bytecode until now, isn't compiled again.
    """
    import zipfile

    out = io.BytesIO()
    known = {} if before is None else _bytecode(before)
    with zipfile.ZipFile(io.BytesIO(pyz)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            new.writestr(zipfile.ZipInfo(name, _DATE), text)
            if name.endswith(".py"):
                head = util.MAGIC_NUMBER + _UNCHECKED + util.source_hash(text)
                compiled = known.get((name, head))
                if compiled is None:
                    code = compile(text, name, "exec", dont_inherit=True)
                    compiled = head + marshal.dumps(code)
                new.writestr(zipfile.ZipInfo(name + "c", _DATE), compiled)
    return out.getvalue()


def _bytecode(pyz: bytes) -> dict[tuple[str, bytes], bytes]:
    """The bytecode in ``pyz``, by the module's name and what tells its Python and its source."""
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(pyz)) as archive:
            compiled = {
                name.removesuffix("c"): archive.read(name)
                for name in archive.namelist()
                if name.endswith(".pyc")
            }
    except zipfile.BadZipFile:
        return {}  # cut off by a power failure, say: then everything is compiled anew
    return {(name, data[:_HEAD_BYTES]): data for name, data in compiled.items()}


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as source:
            return source.read()
    except FileNotFoundError:
        return None
