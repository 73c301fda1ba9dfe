"""Compiles a release's modules, so that a daemon starts without compiling.

Unchecked: the directory is immutable, so no source is ever compared. Outside the digest: each
node's Python makes its own.
"""

from __future__ import annotations

import marshal
import os
from importlib import util
from typing import Final

from fleet_agent.release.manifest import Manifest

_PACKAGE: Final = "code/fleet_agent/"
# What a daemon does not load at its start is compiled when somebody loads it.
_LATER: Final = ("share/", "setup/", "deploy/", "node/", "release/", "cli/commands/", "dashboard/",
                 "night/", "forge/")  # fmt: skip
_NEEDED: Final = ("cli/commands/__init__.py", "cli/commands/serve.py", "forge/webhook.py",
                  "forge/__init__.py")  # fmt: skip
_UNCHECKED: Final = (1).to_bytes(4, "little")


def wanted(path: str) -> bool:
    """Whether the module at ``path`` of a release is worth compiling before it is asked for."""
    if not path.startswith(_PACKAGE) or not path.endswith(".py"):
        return False
    inside = path.removeprefix(_PACKAGE)
    return inside in _NEEDED or not inside.startswith(_LATER)


def compile_release(directory: str, manifest: Manifest, before: str | None) -> int:
    """Compile what is wanted below ``directory``; how many modules had to be compiled.

    ``before`` is the directory of a release whose bytecode is linked where the source is the same.
    """
    compiled = 0
    for entry in manifest.files:
        if not wanted(entry.path):
            continue
        target = util.cache_from_source(f"{directory}/{entry.path}")
        os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
        old = None if before is None else f"{before}/{entry.path}"
        if old is not None and _link(f"{directory}/{entry.path}", old, target):
            continue
        compiled += _compile(f"{directory}/{entry.path}", target)
    return compiled


def _link(source: str, old: str, target: str) -> bool:
    """Link the bytecode of the old release's module if that module is the very same file."""
    try:
        if not os.path.samefile(source, old):
            return False
        os.link(util.cache_from_source(old), target)
    except FileNotFoundError:
        return False
    return True


def _compile(source: str, target: str) -> int:
    with open(source, "rb") as opened:
        text = opened.read()
    try:
        code = compile(text, source, "exec", dont_inherit=True)
    except SyntaxError:
        # It may be meant for another Python; whoever imports it will be told.
        return 0
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as out:
        os.fchmod(out.fileno(), 0o644)
        out.write(util.MAGIC_NUMBER + _UNCHECKED + util.source_hash(text) + marshal.dumps(code))
    return 1
