"""Reading request files: what the escapes mean, and where the files lie."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
OWN = ROOT / "tests" / "corpus" / "http"
SHARED = ROOT.parent / "shared" / "data" / "http"

_ESCAPE = re.compile(rb"\\(r|n|t|0|x[0-9A-Fa-f]{2})")
_MEANING = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0"}


def unescape(text: bytes) -> bytes:
    r"""The bytes of a request file: its line breaks mean nothing, ``\r \n \t \0 \xHH`` do."""
    joined = text.replace(b"\r", b"").replace(b"\n", b"")
    return _ESCAPE.sub(
        lambda found: _MEANING.get(found[1]) or bytes([int(found[1][1:], 16)]), joined
    )
