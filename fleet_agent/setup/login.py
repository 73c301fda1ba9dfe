"""How bootstrap reaches a machine and runs a program of ``setup.remote`` there as root.

The program's source, its input and what follows go over stdin: nothing is installed for it, no
shell text is made, and no secret is in anybody's argument list.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from fleet_agent import proc
from fleet_agent.errors import NodeError

# Reads one JSON line (sources, input), makes modules of the sources, runs the last one's main with
# the rest of stdin as payload. Errors of ours come back as JSON, bugs as a traceback.
_LOADER: Final = """\
import sys,json,types
s=sys.stdin.buffer
d=json.loads(s.readline())
def module(n):
    if n not in sys.modules:
        m=sys.modules[n]=types.ModuleType(n)
        p,_,c=n.rpartition(".")
        if p:
            setattr(module(p),c,m)
    return sys.modules[n]
for n,t in d["sources"]:
    m=module(n)
    exec(compile(t,n,"exec"),m.__dict__)
try:
    a=m.main(d["given"],s)
except sys.modules["fleet_agent.errors"].FleetError as e:
    a={"error":{"what":e.what,"where":e.where,"mend":e.mend}}
json.dump(a,sys.stdout)
"""
_ALWAYS: Final = ("errors", "proc", "setup.remote.ground")
_ORCHESTRATOR: Final = ("deploy.paths", "setup.remote.orchestrator")
_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "orchestrator": ("deploy.paths",),
    "mirror": _ORCHESTRATOR,
    "service": (*_ORCHESTRATOR, "setup.remote.venv"),
    "reach": _ORCHESTRATOR,
}


@dataclass(frozen=True, slots=True)
class Login:
    """A way to log in over ssh. ``options`` are the person's own -o settings (``Name=value``).

    Without ``user`` ssh's own configuration says who logs in. ``config`` is a file that takes its
    place, and the only thing that jumps read, too.
    """

    name: str
    host: str
    user: str = "root"
    port: int = 22
    proxy_jump: str = ""
    identity: str = ""
    known_hosts: str = ""
    options: tuple[str, ...] = ()
    connect_seconds: int = 10
    config: str = ""

    def argv(self, *extra: str) -> list[str]:
        """The ssh command line up to and with the host; the remote command comes behind it.

        What the person asked for with ``options`` comes first: ssh takes the first value it sees.
        """
        settings = [
            *extra,
            *self.options,
            "BatchMode=yes",
            f"ConnectTimeout={self.connect_seconds}",
            "ServerAliveInterval=10",
            "ServerAliveCountMax=3",
            "ForwardAgent=no",
            "ForwardX11=no",
            "ControlPath=none",
        ]
        if self.known_hosts:
            settings += [
                "StrictHostKeyChecking=yes",
                f'UserKnownHostsFile="{self.known_hosts}"',
                "GlobalKnownHostsFile=/dev/null",
                "UpdateHostKeys=no",
                # By the name that the orchestrator will use, whatever ssh_config makes of it.
                f"HostKeyAlias={self.host_key_name}",
            ]
        if self.identity:
            settings.append("IdentitiesOnly=yes")
        if self.proxy_jump:
            settings.append(f"ProxyJump={self.proxy_jump}")
        argv = ["ssh", "-T", *(["-F", self.config] if self.config else [])]
        argv += [*(word for setting in settings for word in ("-o", setting))]
        if self.identity:
            argv += ["-i", self.identity]
        if self.user:
            argv += ["-l", self.user]
        return [*argv, "-p", str(self.port), "--", self.host]

    @property
    def host_key_name(self) -> str:
        """How known_hosts names the machine: ``host`` or ``[host]:port``."""
        return self.host if self.port == 22 else f"[{self.host}]:{self.port}"

    @property
    def becomes_root(self) -> tuple[str, ...]:
        """What stands before a remote command so that root runs it."""
        return () if self.user == "root" else ("sudo", "-n", "--")

    def command(self, *words: str) -> list[str]:
        """ssh's command line for running ``words`` there as root."""
        return [*self.argv(), shlex.join([*self.becomes_root, *words])]


def call(
    login: Login,
    program: str,
    given: Mapping[str, Any],
    *,
    payload: bytes = b"",
    seconds: float,
) -> dict[str, Any]:
    """Run ``setup/remote/<program>.py`` there as root and return its answer.

    Raises NodeError when the machine can't be reached, has no python3, does not let us become
    root, or when the program itself says what is wrong.
    """
    head = json.dumps({"sources": sources(program), "given": given}).encode() + b"\n"
    argv = login.command("python3", "-I", "-S", "-c", _LOADER)
    done = proc.run(argv, timeout_seconds=seconds, stdin=head + payload, check=False)
    answer = _answer(done.out)
    if done.code != 0 or answer is None:
        raise _failure(login, program, done)
    if error := answer.get("error"):
        raise NodeError(
            str(error["what"]),
            where=f"{login.name}: {error['where']}" if error["where"] else login.name,
            mend=str(error["mend"]),
        )
    return answer


def stream(login: Login, words: Sequence[str], *, seconds: float) -> int:
    """Run ``words`` there as root with our own stdout and stderr; the exit code.

    Raises NodeError when ssh itself fails, ProcessError when ``seconds`` pass. What runs there
    goes on when the connection breaks: a deploy belongs to fleet-deploy, not to who looks on.
    """
    code = proc.show(login.command(*words), timeout_seconds=seconds)
    if code == 255:
        raise NodeError(
            "the connection broke",
            where=login.name,
            mend="what runs there goes on: look with fleet-agent deploys on the orchestrator",
        )
    return code


def sources(program: str) -> list[tuple[str, str]]:
    """Names and texts of the modules that a program is made of, in the order of their imports."""
    names = [*_ALWAYS, *_NEEDS.get(program, ()), f"setup.remote.{program}"]
    package = files("fleet_agent")
    return [
        (f"fleet_agent.{name}", package.joinpath(name.replace(".", "/") + ".py").read_text("utf-8"))
        for name in names
    ]


def _answer(out: bytes) -> dict[str, Any] | None:
    """The JSON object that the program wrote; login banners and the like stand before it."""
    try:
        said = json.loads(out[out.rindex(b"\n{") :] if b"\n{" in out else out)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def _failure(login: Login, program: str, done: proc.Completed) -> NodeError:
    words = done.err.decode("utf-8", "replace")
    last = _last_words(words)
    if done.code == 255:
        return NodeError(
            f"can't be reached over ssh: {last}", where=login.name, mend=_mend_ssh(login, words)
        )
    if done.code == 127 or "python3: not found" in words or "python3: command not found" in words:
        return NodeError(
            "has no python3", where=login.name, mend="apt-get install python3 python3-venv"
        )
    if login.user != "root" and "sudo" in last:
        return NodeError(
            f"{login.user} may not become root without a password: {last}",
            where=login.name,
            mend="log in as root (--user root), or let that user sudo without a password",
        )
    return NodeError(
        f"{program} ended with {done.code}: {last or 'no output'}",
        where=login.name,
        mend="run bootstrap again; if it stays, report it with these words",
    )


def _mend_ssh(login: Login, words: str) -> str:
    if "Permission denied" in words:
        return (
            f"let your key in as {login.user} (ssh-copy-id {login.user}@{login.host}), or name "
            "another user with --user, another key with --identity"
        )
    if "Host key verification failed" in words or "IDENTIFICATION HAS CHANGED" in words:
        return "its host key is not the pinned one: see known_hosts in the fleet-ops repository"
    return f"try it by hand: ssh -p {login.port} {login.user}@{login.host}"


def _last_words(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def jump_hosts(jumps: Sequence[str]) -> tuple[str, ...]:
    """Each hop that ssh's ProxyJump values name, once: ``a,root@b:22`` → ``a``, ``root@b:22``."""
    hops = (hop.strip().removeprefix("ssh://") for jump in jumps for hop in jump.split(","))
    return tuple(dict.fromkeys(hop for hop in hops if hop and hop != "none"))
