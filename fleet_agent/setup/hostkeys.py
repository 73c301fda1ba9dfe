"""Host keys: asked for once, shown to a person, then pinned in the fleet-ops repository.

``known_hosts`` in the repository is the operator's source of pins (public data, committed). A key
that changed is never replaced here: a person takes the old line out.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from fleet_agent import proc
from fleet_agent.errors import NodeError
from fleet_agent.setup.login import Login

FILE: Final = "known_hosts"
_HEAD: Final = "# The nodes' ssh host keys, as a person confirmed them to fleet-agent bootstrap.\n"


@dataclass(frozen=True, slots=True)
class HostKey:
    """A host key as known_hosts writes it; ``name`` is ``host`` or ``[host]:port``."""

    name: str
    kind: str
    key: str

    @property
    def line(self) -> str:
        """One line of known_hosts."""
        return f"{self.name} {self.kind} {self.key}"

    @property
    def fingerprint(self) -> str:
        """The fingerprint as ``ssh-keygen -l`` says it."""
        digest = hashlib.sha256(base64.b64decode(self.key)).digest()
        return "SHA256:" + base64.b64encode(digest).rstrip(b"=").decode()


class HostKeyChanged(NodeError):  # noqa: N818 (it reads as what happened)
    """A node shows another host key than the pinned one."""

    title = "a host key changed"


def parse(text: str) -> tuple[HostKey, ...]:
    """The keys of a known_hosts file; comments and what is no such line are passed over."""
    keys = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 3 or line.startswith(("#", "@", "|")):
            continue
        try:
            base64.b64decode(words[2], validate=True)
        except binascii.Error:
            continue
        keys += [HostKey(name, words[1], words[2]) for name in words[0].split(",")]
    return tuple(keys)


def text_of(keys: Iterable[HostKey]) -> str:
    """A known_hosts file of these keys."""
    return _HEAD + "".join(key.line + "\n" for key in dict.fromkeys(keys))


def ask(login: Login, seconds: float) -> HostKey:
    """The key that the machine shows now, over the same way that a login takes (jumps too).

    No credential is offered. Raises NodeError when it can't be reached.
    """
    with tempfile.TemporaryDirectory(prefix="fleet-agent-hostkey-") as directory:
        seen = Path(directory, FILE)
        bare = replace(login, known_hosts="")
        argv = bare.argv(
            "StrictHostKeyChecking=accept-new",
            f'UserKnownHostsFile="{seen}"',
            "GlobalKnownHostsFile=/dev/null",
            "HashKnownHosts=no",
            "CheckHostIP=no",
            "UpdateHostKeys=no",
            "PreferredAuthentications=none",
            f"HostKeyAlias={login.host_key_name}",
        )
        done = proc.run([*argv, "true"], timeout_seconds=seconds, check=False)
        text = seen.read_text("utf-8", "replace") if seen.exists() else ""
    found = [replace(key, name=login.host_key_name) for key in parse(text)]
    if not found:
        said = done.complaint.splitlines()
        raise NodeError(
            f"shows no host key: {said[-1] if said else 'no answer'}",
            where=login.name,
            mend=f"is sshd running there, and is port {login.port} reachable from here?",
        )
    return found[0]


def ask_all(
    logins: Iterable[Login], seconds: float
) -> tuple[dict[str, HostKey], tuple[NodeError, ...]]:
    """The keys of many machines by the login's name, asked at once, and who did not answer."""
    wanted = list(logins)
    keys: dict[str, HostKey] = {}
    failures: list[NodeError] = []

    def one(login: Login) -> HostKey | NodeError:
        try:
            return ask(login, seconds)
        except NodeError as error:
            return error
        except proc.ProcessError as error:
            return NodeError(error.what, where=login.name)

    with ThreadPoolExecutor(max(1, min(32, len(wanted)))) as pool:
        for login, found in zip(wanted, pool.map(one, wanted), strict=True):
            if isinstance(found, HostKey):
                keys[login.name] = found
            else:
                failures.append(found)
    return keys, tuple(failures)


def new_keys(pinned: Iterable[HostKey], seen: Iterable[HostKey]) -> tuple[HostKey, ...]:
    """Those of ``seen`` whose machine has no pin yet.

    Raises HostKeyChanged, naming both fingerprints, where one shows another key than its pin.
    """
    by_name: dict[str, list[HostKey]] = {}
    for key in pinned:
        by_name.setdefault(key.name, []).append(key)
    found = []
    for key in seen:
        pins = by_name.get(key.name)
        if pins is None:
            found.append(key)
        elif (key.kind, key.key) not in ((pin.kind, pin.key) for pin in pins):
            old = ", ".join(f"{pin.kind} {pin.fingerprint}" for pin in pins)
            raise HostKeyChanged(
                f"shows the host key {key.kind} {key.fingerprint}, but {old} is pinned",
                where=key.name,
                mend=f"if the machine was set up anew, take its line out of {FILE} and run again; "
                "otherwise somebody may stand in between",
            )
    return tuple(found)
