"""Makes a machine an orchestrator's ground: users, groups, directories, its two ssh key pairs.

Runs as root. The private keys are made here and never leave; the public ones are the answer.
"""

from __future__ import annotations

import os
from typing import Any, BinaryIO

from fleet_agent.deploy.paths import DeployPaths
from fleet_agent.setup.remote.ground import (
    Steps,
    directory,
    file,
    fsync,
    group_exists,
    read,
    run,
    user_exists,
)

USER = "fleet-deploy"
PATHS = DeployPaths()
HOME = PATHS.state
KEY = PATHS.ssh_key
GIT_KEY = PATHS.git_key
KNOWN_HOSTS = PATHS.known_hosts
GROUPS = ("fleet-agent", "fleet-hook")

# A ProxyJump is an ssh of its own that gets none of the command line's options: it reads these.
CONFIG = f"""\
# By fleet-agent bootstrap. The connections of a deploy say all this themselves; jumps read it here.
Host *
    IdentityFile {KEY}
    IdentitiesOnly yes
    UserKnownHostsFile {KNOWN_HOSTS}
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    BatchMode yes
"""


def main(given: dict[str, Any], payload: BinaryIO) -> dict[str, Any]:
    """``given``: ``known_hosts`` (text), ``jumps`` (jump host → user, where the hop names none).

    Answers with ``key`` and ``git_key``, both public.
    """
    steps = Steps()
    steps.note("groups " + " and ".join(GROUPS), _groups())
    steps.note(f"user {USER}", _user())
    steps.note("directories of fleet-deploy", _directories())
    steps.note("ssh key of fleet-deploy", key_pair(KEY, "fleet-deploy"))
    steps.note("deploy key for the forge", key_pair(GIT_KEY, "fleet-agent deploy key"))
    pinned = file(KNOWN_HOSTS, str(given["known_hosts"]).encode(), 0o644, USER, USER)
    steps.note("host keys of all nodes pinned", pinned)
    jumps = "".join(f"Host {host}\n    User {user}\n" for host, user in given["jumps"].items())
    configured = file(HOME + "/.ssh/config", (jumps + CONFIG).encode(), 0o644, USER, USER)
    steps.note("ssh settings for jumps", configured)
    return steps.answer(key=public(KEY), git_key=public(GIT_KEY))


def _groups() -> bool:
    missing = [name for name in GROUPS if not group_exists(name)]
    for name in missing:
        run("groupadd", "--system", name)
    return bool(missing)


def _user() -> bool:
    if user_exists(USER):
        return False
    group = ("--gid", USER) if group_exists(USER) else ("--user-group",)
    run(
        "useradd", "--system", *group, "--home-dir", HOME, "--no-create-home",
        "--shell", "/usr/sbin/nologin", "--comment", "fleet-agent deploy pipeline", USER,
    )  # fmt: skip
    return True


def _directories() -> bool:
    wanted = (
        ("/opt/fleet-agent", 0o755, "root", "root"),
        ("/etc/fleet-agent", 0o755, "root", "root"),
        ("/etc/fleet-agent/hook", 0o750, "root", "fleet-hook"),
        (HOME, 0o700, USER, USER),
        (os.path.dirname(KEY), 0o700, USER, USER),
        (HOME + "/.ssh", 0o700, USER, USER),
    )
    changed = [directory(*one) for one in wanted]
    return any(changed)


def key_pair(path: str, comment: str) -> bool:
    """Make an ed25519 key pair that only ``fleet-deploy`` reads, unless there is one.

    It is on the disk when this returns. A half that is empty is one that a power cut caught before
    that, so nobody knows the pair yet.
    """
    halves = (path, f"{path}.pub")
    if any(read(half) == b"" for half in halves):
        for half in filter(os.path.exists, halves):
            os.unlink(half)
    if os.path.exists(path):
        return False
    # With the owner's rights from the first byte on: ssh-keygen runs as the user.
    run(
        "runuser", "-u", USER, "--", "ssh-keygen", "-q", "-t", "ed25519", "-N", "",
        "-C", comment, "-f", path,
    )  # fmt: skip
    for written in (*halves, os.path.dirname(path)):
        fsync(written)
    return True


def public(path: str) -> str:
    """Type and key of the public half, without its comment."""
    text = (read(path + ".pub") or b"").decode()
    return " ".join(text.split()[:2])
