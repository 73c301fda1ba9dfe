"""Wheels of fleet-agent that are broken on purpose, as a commit pins them."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Collection

from fleet_agent.deploy import pin
from fleet_agent.setup import wheel

SERVE = "fleet_agent/cli/commands/serve.py"
DAEMON_UNIT = "fleet_agent/share/systemd/fleet-agent@.service"
ENDS_AT_ONCE = "import os\nprint('broken on purpose', flush=True)\nos._exit(7)\n"
ENDS_SOON = """\
import os, threading
_end = threading.Timer({seconds}, os._exit, (9,))
_end.daemon = True
_end.start()
"""


def patched(path: str, edit: Callable[[str], str]) -> dict[str, bytes]:
    """Pin file and wheel of this fleet-agent with one file edited: path in the repository → bytes.

    RECORD is left as it was: the pin's sha256 is over the whole wheel.
    """
    return patched_all((path,), lambda _, text: edit(text))


def patched_all(paths: Collection[str], edit: Callable[[str, str], str]) -> dict[str, bytes]:
    """As `patched`, with several files edited: `edit` gets each path and text."""
    built = wheel.build()
    out, seen = io.BytesIO(), set[str]()
    with (
        zipfile.ZipFile(io.BytesIO(built.data)) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as new,
    ):
        for entry in old.infolist():
            data = old.read(entry)
            if entry.filename in paths:
                seen.add(entry.filename)
                data = edit(entry.filename, data.decode()).encode()
            new.writestr(entry, data)
    if missing := set(paths) - seen:
        raise ValueError(f"the wheel has no {', '.join(sorted(missing))}")
    return pinned(built.filename, built.version, out.getvalue())


def pinned(filename: str, version: str, data: bytes) -> dict[str, bytes]:
    """Pin file and wheel as they lie in the repository."""
    at = f"vendor/{filename}"
    said = pin.to_json(version, hashlib.sha256(data).hexdigest(), at)
    return {pin.FILE: said.encode(), at: data}


def daemon_that_does_not_start() -> dict[str, bytes]:
    """Its `serve` ends with 7 before anything listens."""
    return patched(SERVE, lambda text: _after_future(text, ENDS_AT_ONCE))


def daemon_that_dies_after(seconds: float) -> dict[str, bytes]:
    """It starts, answers, says ready, and ends itself with 9."""
    return patched(SERVE, lambda text: _after_future(text, ENDS_SOON.format(seconds=seconds)))


def unit_that_is_no_unit() -> dict[str, bytes]:
    """The daemon's unit file has no [Service] section any more."""
    return patched(DAEMON_UNIT, lambda text: text.replace("[Service]", "[Serwice]"))


def unit_of_another_program() -> dict[str, bytes]:
    """The daemon's unit file starts a program that is not there."""

    def edit(text: str) -> str:
        lines = text.splitlines(keepends=True)
        return "".join(
            "ExecStart=/nonexistent/daemon\n" if line.startswith("ExecStart=") else line
            for line in lines
        )

    return patched(DAEMON_UNIT, edit)


def another_version(name: str = "another") -> dict[str, bytes]:
    """The same code with a comment in it: every daemon has to be restarted for it."""
    return patched("fleet_agent/__init__.py", lambda text: f"{text}\n# {name} release\n")


def _after_future(text: str, code: str) -> str:
    line = "from __future__ import annotations\n"
    return text.replace(line, line + code, 1)
