"""The lab's Git server: what a push through it sends, and what its keys may do."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .gitserver import GitServer, make_key
from .lab import Lab
from .shell import wait_until

# Answers 202 to everything, as the hook of an orchestrator does.
RECEIVER = """
import http.server
class Answer(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(202); self.send_header("Content-Length", "0"); self.end_headers()
class Server(http.server.HTTPServer):
    def server_bind(self):
        self.socket.bind(self.server_address); self.server_name, self.server_port = "n", 9875
Server(("", 9875), Answer).serve_forever()
"""
SECRET = "lab-secret"


@pytest.fixture
def hooked(lab: Lab, git: GitServer, tmp_path: Path) -> Iterator[Path]:
    """A clone of a repository whose webhook goes to n1, with one commit on main pushed."""
    node = lab["n1"]
    node.put("/run/receiver.py", RECEIVER)
    node.run(["systemd-run", "--quiet", "--unit=receiver", "python3", "/run/receiver.py"])
    wait_until(
        lambda: ":9875 " in node.inside(["ss", "-Hltn"]).stdout, timeout_s=10, what="receiver"
    )
    repository = git.create("hooked")
    clone = tmp_path / "hooked"
    git.git("clone", "--quiet", repository.url, str(clone))
    (clone / "fleet.yaml").write_text("wizards: {}\n")
    git.git("add", ".", cwd=clone)
    git.git("commit", "--quiet", "-m", "Add <registry>", cwd=clone)
    git.git("push", "--quiet", "origin", "main", cwd=clone)
    repository.webhook(f"http://{node.address}:9875/", SECRET)
    yield clone
    node.run(["systemctl", "stop", "receiver"])


def test_tag_pushes_arrive_as_from_gitea(hooked: Path, git: GitServer) -> None:
    def pushed(*arguments: str, more: int) -> list[dict[str, Any]]:
        before = len(git.deliveries())
        git.git("push", "--quiet", "origin", *arguments, cwd=hooked)
        return git.wait_deliveries(before + more)[before:]

    commit = git.git("rev-parse", "HEAD", cwd=hooked).stdout.strip()
    git.git("tag", "-a", "-m", "go", "PROD", cwd=hooked)
    tag = git.git("rev-parse", "PROD", cwd=hooked).stdout.strip()
    new = pushed("PROD", more=3)
    assert [(one["event"], one["status"]) for one in new] == [
        ("push", 202), ("create", 202), ("create", 202),
    ]  # fmt: skip
    assert new[1]["delivery"] == new[2]["delivery"] != new[0]["delivery"]
    push, create = (json.loads(one["body"]) for one in new[:2])
    assert (push["ref"], push["before"], push["after"]) == ("refs/tags/PROD", "0" * 40, tag)
    assert push["head_commit"]["id"] == commit
    assert (create["ref"], create["ref_type"], create["sha"]) == ("PROD", "tag", tag)
    headers = dict(new[0]["headers"])
    digest = hmac.new(SECRET.encode(), new[0]["body"].encode(), hashlib.sha256).hexdigest()
    assert headers["X-Gitea-Signature"] == headers["X-Gogs-Signature"] == digest
    assert headers["X-Hub-Signature-256"] == f"sha256={digest}"

    git.git("commit", "--quiet", "--allow-empty", "-m", "next", cwd=hooked)
    git.git("tag", "-f", "PROD", cwd=hooked)
    moved = pushed("--force", "PROD", more=3)
    assert [one["event"] for one in moved] == ["push", "create", "create"]
    assert json.loads(moved[0]["body"])["before"] == "0" * 40
    branch = pushed("main", more=1)
    assert len(json.loads(branch[0]["body"])["commits"]) == 1
    gone = pushed(":PROD", more=3)
    assert [one["event"] for one in gone] == ["push", "delete", "delete"]
    assert json.loads(gone[0]["body"])["after"] == "0" * 40


def test_deploy_key_reads_one_repository(lab: Lab, git: GitServer) -> None:
    node, mine, other = lab["n2"], git.create("mine"), git.create("other")
    public = make_key(lab.place / "git" / "deploy_key", "deploy")
    git.add_key(public, "read", mine)
    node.put("/root/deploy_key", (lab.place / "git" / "deploy_key").read_bytes(), mode="0600")
    ssh = "ssh -i /root/deploy_key -o StrictHostKeyChecking=accept-new -o BatchMode=yes"

    def asked(*git_arguments: str) -> subprocess.CompletedProcess[str]:
        argv = ["env", f"GIT_SSH_COMMAND={ssh}", "git", *git_arguments]
        return node.run(argv, check=False)

    assert asked("ls-remote", mine.url).returncode == 0
    assert "for timmy/mine alone" in asked("ls-remote", other.url).stderr
    node.run(["git", "init", "--quiet", "/root/work"])
    who = ["-c", "user.name=n2", "-c", "user.email=n2@example.invalid"]
    node.run(["git", "-C", "/root/work", *who, "commit", "--quiet", "--allow-empty", "-m", "x"])
    assert "may not push" in asked("-C", "/root/work", "push", mine.url, "HEAD:x").stderr
    plain = node.run([*ssh.split(), "git@10.77.0.1", "id"], check=False)
    assert "nothing else" in plain.stderr
