"""What a new fleet-ops repository holds, as a value: path → content. Pure but for the templates.

Writing it and making the Git repository is ``setup.init``'s matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from string import Template
from typing import Final

from fleet_agent.deploy import pin
from fleet_agent.setup.names import wizard_names
from fleet_agent.setup.target import Target
from fleet_agent.setup.wheel import Wheel

REGISTRY: Final = "fleet.yaml"
VENDOR: Final = "vendor"
# RFC 5737's addresses for documentation: nothing answers there.
PLACEHOLDERS: Final = tuple(Target(f"192.0.2.{number}") for number in (10, 11, 12))

_HEAD: Final = """\
# The fleet: who is in it, and on which host. Everything that an entry may say, with comments:
# etc/fleet.yaml of fleet-agent. Check what you write with: fleet-agent registry check
wizards:
"""
_ROLE: Final = "    role: orchestrator    # receives the webhook, deploys to all, itself included\n"
_PLACEHOLDER_NOTE: Final = "    # an address of the documentation: put your own machine here"


def content(targets: Sequence[Target], wheel: Wheel) -> dict[str, bytes]:
    """All files of a new repository for these machines; the first is the orchestrator."""
    names = wizard_names(len(targets) or len(PLACEHOLDERS))
    texts = {
        REGISTRY: registry_text(names, targets),
        "site.yml": template("site.yml"),
        "tasks/README.md": template("tasks.md"),
        "README.md": template("README.md", bootstrap=bootstrap_line(targets)),
        ".gitignore": template("gitignore"),
    }
    texts |= {f"souls/{name}.md": template("soul.md", name=name) for name in names}
    return {path: text.encode() for path, text in texts.items()} | pin_content(wheel)


def pin_content(wheel: Wheel) -> dict[str, bytes]:
    """The pin file and the wheel that it names."""
    path = f"{VENDOR}/{wheel.filename}"
    return {
        pin.FILE: pin.to_json(wheel.version, wheel.sha256, path).encode(),
        path: wheel.data,
    }


def registry_text(names: Sequence[str], targets: Sequence[Target]) -> str:
    """fleet.yaml for these wizards, one a machine."""
    note = "" if targets else _PLACEHOLDER_NOTE
    entries = []
    for number, (name, target) in enumerate(zip(names, targets or PLACEHOLDERS, strict=True)):
        entry = f"  {name}:\n    host: {_quoted(target.host)}{note}\n"
        if number == 0:
            entry += _ROLE
        if target.address:
            where = f"    listen: {{address: {_quoted(target.address)}}}"
            entry += f"{where}    # where the name led; the gateway binds it\n"
        if target.port != 22:
            entry += f"    ssh: {{port: {target.port}}}\n"
        entries.append(entry + f"    soul: souls/{name}.md\n")
    return _HEAD + "".join(entries)


def _quoted(address: str) -> str:
    """A host or address as YAML reads it: one of IPv6 in quotes."""
    return f'"{address}"' if ":" in address else address


def bootstrap_line(targets: Sequence[Target]) -> str:
    """The bootstrap command for these machines, with the users to log in as where not root."""
    users = {target.user for target in targets}
    if users <= {"root"}:
        return "fleet-agent bootstrap"
    if len(users) == 1:
        return f"fleet-agent bootstrap --user {users.pop()}"
    chosen = [f" --user {target.host}={target.user}" for target in targets if target.user != "root"]
    return "fleet-agent bootstrap" + "".join(chosen)


def template(file: str, /, **values: str) -> str:
    """A file of ``share/fleet-ops`` with its ``$names`` filled in."""
    text = (files("fleet_agent") / "share" / "fleet-ops" / file).read_text("utf-8")
    return Template(text).substitute(values) if values else text
