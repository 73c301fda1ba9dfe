"""Runs on a node as `python3 -I -S -c THIS PLACE…`: what is really there, as one JSON object.

Standard library only, and without a word of the product's: it must not believe what it checks.
"""

import grp
import hashlib
import json
import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any

OPT = Path("/opt/fleet-agent")
VAR = Path("/var/lib/fleet-agent")
UNITS = Path("/etc/systemd/system")
PROPERTIES = (
    "Id,LoadState,ActiveState,SubState,Result,MainPID,InvocationID,NRestarts,UnitFileState,"
    "NeedDaemonReload"
)
PATTERNS = ("fleet-*", "stand-in*")
# Units of one run that must be gone, or have become silent, when it is over.
PASSING = ("fleet-phase-", "fleet-confirm-", "fleet-expire-", "fleet-back-")


def said(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def units() -> dict[str, dict[str, str]]:
    text = said("systemctl", "show", "--all", f"--property={PROPERTIES}", *PATTERNS)
    blocks = (dict(line.split("=", 1) for line in part.splitlines()) for part in text.split("\n\n"))
    return {block["Id"]: block for block in blocks if block.get("Id")}


def user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def found(path: str) -> Any:
    """Kind, mode, owner, group and, of a file, the sha256 of its content."""
    try:
        at = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    shown = {
        "mode": f"{at.st_mode & 0o7777:04o}",
        "owner": user_name(at.st_uid),
        "group": group_name(at.st_gid),
    }
    if os.path.islink(path):
        return {**shown, "kind": "link", "to": os.readlink(path)}
    if os.path.isdir(path):
        return {**shown, "kind": "directory"}
    with open(path, "rb") as source:
        digest = hashlib.sha256(source.read()).hexdigest()
    return {**shown, "kind": "file", "sha256": digest}


def names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory)) if directory.is_dir() else []


def read_json(path: Path) -> Any:
    return json.loads(path.read_text()) if path.exists() else None


def half(name: str) -> bool:
    """Whether a file is one that is written before it takes its place."""
    return name.endswith(".new") or name.startswith(".fleet-agent.")


def leftovers(journal: Any, shown: dict[str, dict[str, str]]) -> list[str]:
    """What a run that is over must not leave: half releases, saved states, units, half files."""
    left = [f"{OPT}/releases/{name}" for name in names(OPT / "releases") if name.startswith(".")]
    left += [
        f"unit {name} {unit['ActiveState']}"
        for name, unit in shown.items()
        if name.startswith(PASSING)
    ]
    over = journal is None or journal["state"] in ("confirmed", "reverted")
    if not over:
        left.append(f"the journal is {journal['state']}")
    written = {Path(place).parent for place in sys.argv[1:]} | {UNITS, OPT, OPT / "node"}
    for directory in (*written, VAR / "node"):
        left += [f"{directory}/{name}" for name in names(directory) if half(name)]
    return sorted(left)


def main() -> None:
    journal = read_json(VAR / "node" / "journal.json")
    shown = units()
    current = OPT / "current"
    placed = [str(path) for path in sorted(UNITS.rglob("fleet-*"))]
    print(
        json.dumps(
            {
                "release": current.readlink().name if current.is_symlink() else None,
                "releases": [name for name in names(OPT / "releases") if not name.startswith(".")],
                "verified": read_json(VAR / "node" / "releases.json"),
                "saved": names(VAR / "node" / "saved"),
                "journal": journal,
                "units": shown,
                "unit_files": placed,
                "files": {place: found(place) for place in [*sys.argv[1:], *placed]},
                "accounts": [one.pw_name for one in pwd.getpwall() if one.pw_name[:3] == "fa-"],
                "leftovers": leftovers(journal, shown),
            }
        )
    )


main()
