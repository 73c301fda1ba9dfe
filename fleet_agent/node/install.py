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
_DATE: Final = (1980, 1, 1, 0, 0, 0)


def install(layout: Layout, pyz: bytes, sha256: str) -> str:
    """Install ``pyz``, whose sha256 was checked, and let ``node.pyz`` lead to it; its path."""
    path = layout.pyz(sha256)
    durable.directory(layout.code)
    durable.write(path, with_bytecode(pyz), 0o644)
    durable.link(f"{layout.code}/node.pyz", os.path.basename(path))
    return path


def with_bytecode(pyz: bytes) -> bytes:
    """The same code with each module's bytecode beside it. Another Python reads the sources."""
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(pyz)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            new.writestr(zipfile.ZipInfo(name, _DATE), text)
            if name.endswith(".py"):
                code = compile(text, name, "exec", dont_inherit=True)
                head = util.MAGIC_NUMBER + _UNCHECKED + util.source_hash(text)
                new.writestr(zipfile.ZipInfo(name + "c", _DATE), head + marshal.dumps(code))
    return out.getvalue()
