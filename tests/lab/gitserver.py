"""A Git server on the operator's side: a real sshd, bare repositories, a Gitea's webhooks.

The user `git` exists only for this sshd and what it starts, by an /etc of their own.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from .lab import Lab
from .network import OPERATOR_V4, OPERATOR_V6
from .shell import Completed, LabError, call, wait_until

GIT_UID = 64077
OWNER = "timmy"
BRANCH = "main"
HERE = Path(__file__).parent
PYTHON = "/usr/bin/python3"
START_LIMIT_S = 10.0
SSHD_CONFIG = """\
Port 22
ListenAddress {v4}
ListenAddress [{v6}]
HostKey {place}/host_key
PidFile none
AuthorizedKeysFile {place}/authorized_keys
AllowUsers git
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
UseDNS no
AcceptEnv GIT_PROTOCOL
PrintMotd no
"""


def make_key(path: Path, comment: str) -> str:
    """Make an ssh key pair at `path` and return its public half."""
    call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
    return path.with_name(path.name + ".pub").read_text().strip()


@dataclass
class Repository:
    """A bare repository of the server and its webhook."""

    server: GitServer = field(repr=False)
    name: str

    @property
    def full_name(self) -> str:
        """OWNER/NAME, as in URLs and payloads."""
        return f"{OWNER}/{self.name}"

    @property
    def path(self) -> Path:
        """Where it lies on this machine."""
        return self.server.repositories / f"{self.full_name}.git"

    @property
    def url(self) -> str:
        """What nodes and the operator clone from."""
        return f"ssh://git@{OPERATOR_V4}/{self.full_name}.git"

    @property
    def config(self) -> Path:
        """The hook's configuration."""
        return self.path / "lab-webhook.json"

    def create(self) -> Repository:
        """Make the repository with a hook that stays silent until a webhook is set."""
        git = ["git", "init", "--quiet", "--bare", f"--initial-branch={BRANCH}", str(self.path)]
        call(git, env={"GIT_TEMPLATE_DIR": ""})
        hook = self.path / "hooks" / "post-receive"
        hook.parent.mkdir(exist_ok=True)
        script = self.server.place / "gitea_hook.py"
        hook.write_text(f"#!/bin/sh\nexec {PYTHON} -I {script} {self.config}\n")
        hook.chmod(0o755)
        self.webhook(url="", secret="")
        call(["chown", "-R", f"{GIT_UID}:{GIT_UID}", str(self.path)])
        return self

    def webhook(
        self,
        url: str,
        secret: str,
        *,
        repeats: Sequence[int] = (1, 2),
        late: bool = False,
        reverse: bool = False,
    ) -> None:
        """Send deliveries to `url` from now on; the last three say how unruly they arrive.

        By default every second event of a push arrives twice with the same id, as recorded.
        """
        config = {
            "path": str(self.path),
            "full_name": self.full_name,
            "default_branch": BRANCH,
            "root_url": f"http://{OPERATOR_V4}:3000/",
            "ssh_url": f"git@{OPERATOR_V4}:{self.full_name}.git",
            "url": url,
            "secret": secret,
            "log": str(self.server.log),
            "repeats": list(repeats),
            "late": late,
            "reverse": reverse,
        }
        fresh = self.config.with_suffix(".new")
        fresh.write_text(json.dumps(config))
        fresh.chmod(0o600)
        os.chown(fresh, GIT_UID, GIT_UID)
        fresh.rename(self.config)

    def test_delivery(self) -> None:
        """Press Gitea's "Test Delivery": a push of the default branch with before = after."""
        script = str(self.server.place / "gitea_hook.py")
        self.server.lab.operator([PYTHON, "-I", script, str(self.config), "--test"])


class GitServer:
    """The server as a context: `with GitServer(lab) as git: git.create("fleet-ops")`."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.place = lab.place / "git"
        self.repositories = self.place / "repositories"
        self.log = lab.logs / "deliveries.jsonl"
        self.sshd_log = lab.logs / "git-sshd.log"
        self._sshd: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.repositories.mkdir(parents=True)
        for script in ("gitea_hook.py", "gitea_repository.json", "git_command.sh"):
            shutil.copy(HERE / script, self.place / script)
        self.log.touch()
        os.chown(self.log, GIT_UID, GIT_UID)
        self.host_key = make_key(self.place / "host_key", "lab-git")
        known = "".join(f"{host} {self.host_key}\n" for host in (OPERATOR_V4, OPERATOR_V6))
        (self.place / "known_hosts").write_text(known)
        self.add_key(make_key(self.place / "operator_key", "operator"), "write")
        config = self.place / "sshd_config"
        filled = SSHD_CONFIG.format(v4=OPERATOR_V4, v6=OPERATOR_V6, place=self.place)
        config.write_text(filled)
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        sshd = ["/usr/sbin/sshd", "-D", "-f", str(config), "-E", str(self.sshd_log)]
        argv = self.lab.operator_argv(self._with_git_user(sshd))
        self._sshd = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True)
        wait_until(self._listening, timeout_s=START_LIMIT_S, what="start of the Git server's sshd")
        return self

    def __exit__(self, *_: object) -> None:
        if self._sshd is not None:
            self._sshd.kill()
            self._sshd.wait()

    def create(self, name: str) -> Repository:
        """Make an empty repository."""
        return Repository(self, name).create()

    def add_key(self, public: str, right: str, repository: Repository | None = None) -> None:
        """Let an ssh key in: `right` is "read" or "write", on one repository or on all."""
        only = f" {repository.full_name}" if repository else ""
        command = f"/bin/sh {self.place}/git_command.sh {self.repositories} {right}{only}"
        with (self.place / "authorized_keys").open("a") as keys:
            keys.write(f'restrict,command="{command}" {public}\n')

    @property
    def ssh_command(self) -> str:
        """GIT_SSH_COMMAND of the operator, who may push."""
        options = ["-F", "none", "-i", str(self.place / "operator_key"), "-o", "IdentitiesOnly=yes"]
        options += ["-o", f"UserKnownHostsFile={self.place}/known_hosts", "-o", "BatchMode=yes"]
        return shlex.join(["ssh", *options])

    def git(self, *arguments: str, cwd: Path | str | None = None, check: bool = True) -> Completed:
        """Run git as the operator."""
        env = {"GIT_SSH_COMMAND": self.ssh_command, "GIT_CONFIG_GLOBAL": "/dev/null"}
        for role in ("AUTHOR", "COMMITTER"):
            env |= {f"GIT_{role}_NAME": "Operator", f"GIT_{role}_EMAIL": "operator@example.invalid"}
        return self.lab.operator(["git", *arguments], env=env, cwd=cwd, check=check)

    def clone_argv(self, name: str) -> list[str]:
        """A command line that clones a repository by hand, from anywhere on this machine."""
        ssh = ["-c", f"core.sshCommand={self.ssh_command}"]
        return self.lab.operator_argv(["git", *ssh, "clone", Repository(self, name).url])

    def deliveries(self) -> list[dict[str, Any]]:
        """All deliveries so far: url, event, delivery, headers, body, status, answer, ms, error."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def wait_deliveries(self, count: int, timeout_s: float = 15.0) -> list[dict[str, Any]]:
        """Wait until at least `count` deliveries are through."""
        what = f"{count} deliveries"
        wait_until(lambda: len(self.deliveries()) >= count, timeout_s=timeout_s, what=what)
        return self.deliveries()

    def _listening(self) -> bool:
        if self._sshd is None or self._sshd.poll() is not None:
            said = self.sshd_log.read_text() if self.sshd_log.exists() else ""
            raise LabError(f"the Git server's sshd ended\n{said}")
        return ":22 " in self.lab.operator(["ss", "-Hltn"]).stdout

    def _with_git_user(self, argv: list[str]) -> list[str]:
        """The command line of `argv` with a user `git` in its /etc, and in nobody else's.

        All of /etc is overlaid: a file mounted over /etc/passwd would be gone as soon as somebody
        on this machine replaces /etc/passwd, as useradd does.
        """
        upper, work = self.place / "etc", self.place / "etc-work"
        for directory in (upper, work):
            directory.mkdir()
        line = f"git:*:{GIT_UID}:{GIT_UID}:lab:{self.place}:/bin/sh\n"
        (upper / "passwd").write_text(Path("/etc/passwd").read_text() + line)
        layers = f"lowerdir=/etc,upperdir={upper},workdir={work}"
        overlay = f'mount -t overlay lab-git -o {layers} /etc && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", overlay, "sh", *argv]
