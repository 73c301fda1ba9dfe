"""The post-receive hook of the lab's Git server: sends what a real Gitea 1.17 sends for a push.

Runs as a script by git, standard library only, and alone: it is copied beside the repositories.
    post-receive: gitea_hook.py CONFIG < "OLD NEW REF" lines        "Test Delivery": … CONFIG --test
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ZEROS = "0" * 40
TIMEOUT_S = 5.0
USER_AGENT = "Go-http-client/1.1"
MOST_COMMITS = 30
Json = dict[str, Any]
Event = tuple[str, Json]


def main() -> None:
    """Answer git at once and deliver in the background, as Gitea's queue does."""
    config = json.loads(Path(sys.argv[1]).read_text())
    git = Git(config["path"])
    if "--test" in sys.argv:
        tip = git.said("rev-parse", config["default_branch"])
        updates = [(tip, tip, f"refs/heads/{config['default_branch']}")]
    else:
        updates = [tuple(line.split()) for line in sys.stdin]
    if not config["url"] or os.fork():
        return
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    for event, body, delivery in deliveries(config, git, updates):
        deliver(config, event, body, delivery)
    os._exit(0)


class Git:
    """What the payloads need to know of the repository."""

    def __init__(self, path: str) -> None:
        self.path = path

    def said(self, *arguments: str) -> str:
        """The output of a git command, stripped."""
        argv = ["git", "--git-dir", self.path, *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()

    def commit(self, revision: str, base: str) -> Json:
        """A commit as the payloads show it; of an annotated tag, with the tag's text and time."""
        sha = self.said("rev-parse", f"{revision}^{{commit}}")
        form = "%an%x00%ae%x00%cn%x00%ce%x00%ct%x00%B"
        author, author_mail, committer, mail, seconds, message = self.said(
            "show", "-s", f"--format={form}", sha
        ).split("\0")
        message += "\n"
        if self.said("cat-file", "-t", revision) == "tag":
            head, _, message = self.said("cat-file", "tag", revision).partition("\n\n")
            tagger = next(line for line in head.splitlines() if line.startswith("tagger "))
            seconds = tagger.split()[-2]
        changes: dict[str, list[str]] = {"A": [], "D": [], "M": []}
        names = self.said("show", "--format=", "--name-status", "--no-renames", "--root", sha)
        for line in names.splitlines():
            letter, _, name = line.partition("\t")
            changes.get(letter, changes["M"]).append(name)
        return {
            "id": sha,
            "message": message,
            "url": f"{base}/commit/{sha}",
            "author": {"name": author, "email": author_mail, "username": ""},
            "committer": {"name": committer, "email": mail, "username": ""},
            "verification": None,
            "timestamp": stamp(int(seconds)),
            "added": changes["A"],
            "removed": changes["D"],
            "modified": changes["M"],
        }


def deliveries(config: Json, git: Git, updates: list[Any]) -> Iterator[tuple[str, bytes, str]]:
    """Event, body and id of each delivery of a push in order, the repeated ones with their id.

    `repeats` says how often the first, second, … event is sent; `late` sends all of them again
    after the last one; `reverse` turns the order around.
    """
    events = [event for old, new, ref in updates for event in events_of(config, git, old, new, ref)]
    ready = [(name, as_go_writes(body), str(uuid.uuid4())) for name, body in events]
    if config["reverse"]:
        ready.reverse()
    for index, one in enumerate(ready):
        for _ in range(config["repeats"][index % len(config["repeats"])]):
            yield one
    if config["late"]:
        yield from ready


def events_of(config: Json, git: Git, old: str, new: str, ref: str) -> Iterator[Event]:
    """The events of one pushed ref; a moved tag looks like a new one, nothing says forced."""
    kind, short = ref.split("/", 2)[1:]
    is_tag = kind == "tags"
    if kind not in ("tags", "heads"):
        return
    base = f"{config['root_url']}{config['full_name']}"
    shown = repository(config)
    person = shown["owner"]
    common = {"repository": shown, "sender": person}
    gone, made = new == ZEROS, old == ZEROS or (is_tag and new != ZEROS)
    before = ZEROS if made else old
    commits = []
    if not (gone or made):
        span = git.said("rev-list", f"--max-count={MOST_COMMITS}", f"{old}..{new}")
        commits = [git.commit(sha, base) for sha in span.split()]
    push: Json = {
        "ref": ref,
        "before": before,
        "after": new,
        "compare_url": config["root_url"] if gone else f"{base}/compare/{before}...{new}",
        "commits": commits,
        "head_commit": None if gone else git.commit(new, base),
        "repository": shown,
        "pusher": person,
        "sender": person,
    }
    yield "push", push
    ref_type = "tag" if is_tag else "branch"
    if gone:
        yield "delete", {"ref": short, "ref_type": ref_type, "pusher_type": "user", **common}
    elif made:
        yield "create", {"sha": new, "ref": short, "ref_type": ref_type, **common}


def repository(config: Json) -> Json:
    """The repository as the payloads show one: a recorded one with our names in it."""
    shape: Json = json.loads(Path(__file__).with_name("gitea_repository.json").read_text())
    owner, name = config["full_name"].split("/")
    page = f"{config['root_url']}{config['full_name']}"
    return shape | {
        "owner": shape["owner"] | {"login": owner, "username": owner},
        "name": name,
        "full_name": config["full_name"],
        "private": True,
        "html_url": page,
        "ssh_url": config["ssh_url"],
        "clone_url": f"{page}.git",
        "default_branch": config["default_branch"],
        "updated_at": stamp(time.time()),
    }


def stamp(seconds: float) -> str:
    """A time (seconds since 1970) as Gitea writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def as_go_writes(body: Json) -> bytes:
    """JSON as Go's encoder indents and escapes it."""
    text = json.dumps(body, indent=2, ensure_ascii=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text.encode()


def headers_of(config: Json, event: str, body: bytes, delivery: str) -> list[tuple[str, str]]:
    """The headers of one delivery in a real Gitea's order."""
    secret = config["secret"].encode()
    sha256 = hmac.new(secret, body, hashlib.sha256).hexdigest() if secret else ""
    sha1 = hmac.new(secret, body, hashlib.sha1).hexdigest() if secret else ""
    headers = [("User-Agent", USER_AGENT), ("Content-Length", str(len(body)))]
    headers += [("Content-Type", "application/json")]
    for brand in ("GitHub", "Gitea", "Gogs"):
        headers += [(f"X-{brand}-Delivery", delivery), (f"X-{brand}-Event", event)]
        headers += [(f"X-{brand}-Event-Type", event)]
        headers += [(f"X-{brand}-Signature", sha256)] if brand != "GitHub" else []
    headers += [("X-Hub-Signature", f"sha1={sha1}"), ("X-Hub-Signature-256", f"sha256={sha256}")]
    return [*headers, ("Accept-Encoding", "gzip")]


def deliver(config: Json, event: str, body: bytes, delivery: str) -> None:
    """Send once, wait five seconds at most, never again; a line in the log whatever happened."""
    url = urlsplit(config["url"])
    headers = headers_of(config, event, body, delivery)
    line: Json = {"at": time.time(), "url": config["url"], "event": event, "delivery": delivery}
    line |= {"headers": headers, "body": body.decode(), "status": None, "answer": None}
    began = time.monotonic()
    try:
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=TIMEOUT_S)
        connection.putrequest("POST", url.path or "/", skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        line |= {"status": answer.status, "answer": answer.read().decode(errors="replace")}
    except (OSError, http.client.HTTPException) as error:
        line["error"] = f"{type(error).__name__}: {error}"
    line["ms"] = round((time.monotonic() - began) * 1000, 2)
    with Path(config["log"]).open("a") as log:
        log.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
