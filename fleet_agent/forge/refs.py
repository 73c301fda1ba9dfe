"""Names of Git references and object ids: which texts may be one. Pure.

Not for asking a repository whether it exists (``deploy.source``).
"""

from __future__ import annotations

import re
from typing import Final

TAGS: Final = "refs/tags/"
HEADS: Final = "refs/heads/"
ZEROS: Final = "0" * 40

_NAME_BYTES: Final = 255
_OBJECT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")  # SHA-1 or SHA-256
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")


def is_object_id(text: str) -> bool:
    """Whether ``text`` is a whole object id in lower case."""
    return _OBJECT.match(text) is not None


def is_zeros(text: str) -> bool:
    """Whether ``text`` is the id of "nothing", as forges send it for a made or deleted ref."""
    return is_object_id(text) and not text.strip("0")


def is_ref_name(name: str) -> bool:
    """Whether ``name`` may be (the end of) a reference's name.

    The rules of git-check-ref-format(1) with ``--allow-onelevel``, and no leading dash: such a
    name would be read as an option.
    """
    if not name or len(name.encode("utf-8", "surrogatepass")) > _NAME_BYTES or name == "@":
        return False
    if name.startswith(("-", "/")) or name.endswith(("/", ".")) or _FORBIDDEN.search(name):
        return False
    if not name.isprintable():  # git would take it, but it also stands in logs and tables
        return False
    return not any(part.startswith(".") or part.endswith(".lock") for part in name.split("/"))


def short(commit: str) -> str:
    """A commit as people read it."""
    return commit[:10]
