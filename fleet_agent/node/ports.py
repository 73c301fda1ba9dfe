"""Who holds a port that a wizard is to listen on, if it is not us."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final, NamedTuple

from fleet_agent.errors import NodeError
from fleet_agent.node.desired import SOCKET, wishes
from fleet_agent.node.lock import unit_of
from fleet_agent.node.present import Present
from fleet_agent.release import unitfile
from fleet_agent.release.manifest import Manifest, WizardInputs

_LISTENING: Final = "0A"


class Listener(NamedTuple):
    """A listening TCP socket of this machine, by its inode."""

    address: str
    port: int
    inode: str


def check(wanted: Manifest, present: Present) -> None:
    """Nobody else listens where a wizard is to. Raises NodeError that names who does."""
    ours = _held_by_us(present)
    needed = [
        (wizard.name, address, port)
        for wizard in wanted.wizards
        for address, port in _needs(wizard)
        if (address, port) not in ours
    ]
    if not needed:
        return
    others = [one for one in listeners() if (one.address, one.port) not in ours]
    for name, address, port in needed:
        for one in others:
            if one.port == port and _meet(one.address, address):
                who = holder(one.inode)
                if not who.startswith(("unit fleet-agent@", "unit fleet-hook@")):
                    raise NodeError(
                        f"port {port} is held by {who}",
                        where=f"{unitfile.stream(address, port)}, where {name} is to listen",
                        mend=_mend(wanted, name, port),
                    )


def _mend(wanted: Manifest, name: str, port: int) -> str:
    hook = any(one.name == name and one.hook == port for one in wanted.wizards)
    key = (
        "the hook another port by `deploy: {hook_port: …}`"
        if hook
        else "the wizard another port by `listen:`"
    )
    return f"stop it, or give {key}"


def _needs(wizard: WizardInputs) -> Iterator[tuple[str, int]]:
    """Where a wizard's sockets listen (``release.build`` writes them so)."""
    yield wizard.address, wizard.port
    if not unitfile.listens_on_loopback(wizard.address):
        yield unitfile.LOOPBACK, wizard.port
    if wizard.hook:
        yield wizard.address, wizard.hook


def _held_by_us(present: Present) -> set[tuple[str, int]]:
    """Where the sockets of the release in force listen, as far as they do."""
    if present.manifest is None:
        return set()
    listening = {
        wish.wizard
        for wish in wishes(present.manifest)
        if wish.kind == SOCKET and present.states[wish.ref].is_active
    }
    return {
        pair
        for wizard in present.manifest.wizards
        if wizard.name in listening
        for pair in _needs(wizard)
    }


def _meet(one: str, other: str) -> bool:
    """Whether two sockets of one port can't both listen. The IPv6 wildcard takes IPv4, too."""
    if one == other or "::" in (one, other):
        return True
    return "0.0.0.0" in (one, other) and ":" not in one + other


def listeners() -> Iterator[Listener]:
    """All listening TCP sockets of this network namespace."""
    for name in ("tcp", "tcp6"):
        try:
            with open(f"/proc/net/{name}", encoding="ascii") as source:
                lines = source.read().splitlines()[1:]
        except FileNotFoundError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENING:
                address, port = fields[1].split(":")
                yield Listener(_address(address), int(port, 16), fields[9])


def _address(text: str) -> str:
    """An address as the kernel writes it: words of 32 bits, each in the machine's byte order."""
    import ipaddress

    words = [bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8)]
    raw = b"".join(words)
    if len(raw) == 16:
        return str(ipaddress.IPv6Address(raw))
    return str(ipaddress.IPv4Address(raw))


def holder(inode: str) -> str:
    """Who holds a socket: the unit and the program, as far as they can be seen."""
    wanted = f"socket:[{inode}]"
    pids = sorted((int(name) for name in os.listdir("/proc") if name.isdigit()), reverse=True)
    for pid in pids:
        try:
            for fd in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{fd}") == wanted:
                    return _named(pid)
        except OSError:
            # The process ended, or is not ours to look into.
            continue
    return "a process that can't be seen"


def _named(pid: int) -> str:
    if pid == 1:
        return "a socket unit of systemd (systemctl list-sockets)"
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as source:
            program = source.read().strip()
    except OSError:
        program = "a program"
    unit = unit_of(pid)
    return f"unit {unit} ({program}, pid {pid})" if unit else f"{program} (pid {pid})"
