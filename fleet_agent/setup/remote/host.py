"""Makes a machine one that the orchestrator can deploy to: own name, deploy user, sudo, key.

Runs as root. Not for anything of a release: that is what deploys place.
"""

from __future__ import annotations

import os
import pwd
import socket
import tempfile
from typing import Any, BinaryIO

from fleet_agent.errors import NodeError
from fleet_agent.setup.remote.ground import Steps, directory, file, read, run, user_exists

HOSTS = "/etc/hosts"
SUDOERS = "/etc/sudoers.d/fleet-agent"
# The end of our line in authorized_keys: by it a key of an earlier orchestrator is found again.
MARK = "fleet-agent-orchestrator"


def main(given: dict[str, Any], payload: BinaryIO) -> dict[str, Any]:
    """``given``: ``user`` (deploy user), ``key`` (one line, public), ``options`` (of that key),
    ``jumpers`` (users as whom the orchestrator only passes through to other machines)."""
    steps = Steps()
    steps.note("own name resolves without DNS", own_name())
    user = str(given["user"])
    if user == "root":
        steps.note("deploy user is root", False)
    else:
        steps.note(f"deploy user {user}", deploy_user(user))
        steps.note(f"{user} may sudo", sudo(user))
    line = " ".join([str(given["options"]), str(given["key"]), MARK]).strip()
    steps.note(f"orchestrator's key lets in {user}", authorize(user, line))
    for jumper in given["jumpers"]:
        # No command of its own: this account is only a way to other machines.
        passing = line.replace(str(given["options"]), f'{given["options"]},command="false"', 1)
        steps.note(f"orchestrator passes through as {jumper}", authorize(str(jumper), passing))
    return steps.answer()


def own_name() -> bool:
    """Let the machine's own name be found in /etc/hosts: sudo looks it up, and DNS may be slow."""
    name = socket.gethostname()
    text = (read(HOSTS) or b"").decode("utf-8", "replace")
    if names_host(text, name):
        return False
    short = name.split(".", 1)[0]
    names = name if short == name else f"{name} {short}"
    end = "" if not text or text.endswith("\n") else "\n"
    return file(HOSTS, f"{text}{end}127.0.1.1\t{names}\n".encode(), 0o644)


def names_host(text: str, name: str) -> bool:
    """Whether a line of this hosts(5) file has ``name``."""
    lines = (line.split("#", 1)[0].split() for line in text.splitlines())
    return any(name.lower() in (word.lower() for word in words[1:]) for words in lines)


def deploy_user(user: str) -> bool:
    """Make the deploy user: a home and a shell, no password (a star, so that sshd lets keys in)."""
    if user_exists(user):
        return False
    run(
        "useradd", "--create-home", "--user-group", "--shell", "/bin/sh", "--password", "*",
        "--comment", "fleet-agent deploys", user,
    )  # fmt: skip
    return True


def sudo(user: str) -> bool:
    """Place the sudoers file, after visudo found it good: a bad one would lock everybody out."""
    text = f"Defaults:{user} !requiretty\n{user} ALL=(ALL:ALL) NOPASSWD: ALL\n".encode()
    if read(SUDOERS) == text:
        return file(SUDOERS, text, 0o440)
    with tempfile.NamedTemporaryFile(prefix="fleet-agent-sudoers-") as draft:
        draft.write(text)
        draft.flush()
        run("visudo", "--check", "--quiet", "--file", draft.name)
    return file(SUDOERS, text, 0o440)


def authorize(user: str, line: str) -> bool:
    """Let the holder of the key log in; our line of before, if another, is replaced."""
    entry = pwd.getpwnam(user)
    if not os.path.isdir(entry.pw_dir):
        raise NodeError(f"the home of {user} is not there", where=entry.pw_dir)
    group = _group_of(entry)
    ssh = os.path.join(entry.pw_dir, ".ssh")
    if os.path.islink(ssh):
        raise NodeError("is a link", where=ssh, mend="make it a directory")
    path = os.path.join(ssh, "authorized_keys")
    before = (read(path) or b"").decode("utf-8", "replace")
    after = with_line(before, line)
    # Mode and owner of what is there are the machine's own matter, unless sshd would refuse them.
    changed = False if os.path.isdir(ssh) else directory(ssh, 0o700, user, group)
    if before != after:
        changed = file(path, after.encode(), 0o600, user, group)
    return changed


def with_line(text: str, line: str) -> str:
    """authorized_keys with our line in it once, and no other that carries our mark."""
    lines = [old for old in text.splitlines() if not old.rstrip().endswith(" " + MARK)]
    ours = [old for old in text.splitlines() if old.rstrip().endswith(" " + MARK)]
    if ours == [line]:
        return text
    return "\n".join([*lines, line]) + "\n"


def _group_of(entry: pwd.struct_passwd) -> str:
    import grp

    return grp.getgrgid(entry.pw_gid).gr_name
