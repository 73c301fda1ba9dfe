"""Whether souls and files of the registry are there, in the repository's own folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from fleet_agent.registry.entry import Entry


def check_sources(entries: Sequence[Entry], repository: str) -> None:
    """Note every source that is missing, no plain file, or led out of ``repository`` by a link."""
    top = os.path.realpath(repository)
    seen: dict[str, tuple[str, str]] = {}
    for entry in entries:
        files, soul = entry.wizard.files, entry.wizard.soul
        named = [
            (f"{key}.source", file.source) for key, file in zip(entry.file_keys, files, strict=True)
        ]
        if soul is not None:
            named.insert(0, ("soul", soul.file))
        for key, source in named:
            if source not in seen:
                seen[source] = _fault(top, source)
            what, mend = seen[source]
            if what:
                entry.fields.wrong(key, f"{source} {what}", mend)


def _fault(top: str, source: str) -> tuple[str, str]:
    path = os.path.realpath(os.path.join(top, source))
    if os.path.commonpath((top, path)) != top:
        return "is led out of the repository by a link", "put the file itself there"
    try:
        found = os.stat(path)
    except OSError as error:
        return f"can't be read: {error.strerror}", "write it, and commit it"
    if not stat.S_ISREG(found.st_mode):
        return "is no plain file", "put a file there"
    return "", ""
