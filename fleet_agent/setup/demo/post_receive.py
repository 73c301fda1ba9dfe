"""The post-receive hook of the demo's repository: sends a signed webhook as a Gitea does.

Run by git as `python -I -S post_receive.py CONFIG`; standard library only, and alone. For a pushed
tag it sends push and create, answers git at once, and never tries again.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import sys
import time
import uuid
from typing import Any

ZEROS = "0" * 40
TIMEOUT_SECONDS = 5.0
PERSON = {"login": "operator", "username": "operator", "full_name": "The demo's operator"}


def main() -> int:
    """Send what the lines on standard input mean; the log says what was answered."""
    with open(sys.argv[1], encoding="utf-8") as source:
        config = json.load(source)
    updates = [line.split() for line in sys.stdin]
    if os.fork():
        return 0
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    for old, new, ref in updates:
        for event, payload in events(config, old, new, ref):
            send(config, event, json.dumps(payload, indent=2).encode())
    return 0


def events(
    config: dict[str, Any], old: str, new: str, ref: str
) -> list[tuple[str, dict[str, Any]]]:
    """Event names and payloads of one pushed ref; a moved tag looks like a new one, as in Gitea."""
    is_tag = ref.startswith("refs/tags/")
    shown = {
        "full_name": config["full_name"],
        "clone_url": config["path"],
        "html_url": config["path"],
        "default_branch": "main",
        "owner": PERSON,
    }
    common = {"repository": shown, "sender": PERSON}
    push = {
        "ref": ref,
        "before": ZEROS if is_tag else old,
        "after": new,
        "commits": [],
        "pusher": PERSON,
        **common,
    }
    found: list[tuple[str, dict[str, Any]]] = [("push", push)]
    short = ref.removeprefix("refs/tags/")
    if new == ZEROS:
        found.append(
            ("delete", {"ref": short, "ref_type": "tag" if is_tag else "branch", **common})
        )
    elif is_tag:
        found.append(("create", {"sha": new, "ref": short, "ref_type": "tag", **common}))
    return found


def send(config: dict[str, Any], event: str, body: bytes) -> None:
    """Deliver once. What came of it is a line in the log."""
    delivery = str(uuid.uuid4())
    signature = hmac.new(config["secret"].encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "X-Gitea-Event": event,
        "X-Gitea-Event-Type": event,
        "X-Gitea-Delivery": delivery,
        "X-Gitea-Signature": signature,
        "X-Hub-Signature-256": f"sha256={signature}",
    }
    began = time.monotonic()
    try:
        forge = http.client.HTTPConnection(config["host"], config["port"], timeout=TIMEOUT_SECONDS)
        forge.request("POST", "/", body, headers)
        answer = forge.getresponse()
        said = f"{answer.status} {answer.read().decode(errors='replace').strip()}"
    except (OSError, http.client.HTTPException) as error:
        said = f"nobody took it: {error}"
    took = (time.monotonic() - began) * 1000
    with open(config["log"], "a", encoding="utf-8") as log:
        log.write(f"{event} {delivery}: {said} ({took:.1f} ms)\n")


if __name__ == "__main__":
    sys.exit(main())
