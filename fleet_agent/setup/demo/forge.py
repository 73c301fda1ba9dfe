"""The demo's forge: a bare repository that sends a signed webhook for every push."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Final

from fleet_agent.setup.demo import post_receive
from fleet_agent.setup.demo.ground import LOOPBACK, Ground
from fleet_agent.setup.git import WorkTree

LOG: Final = "webhooks.log"


def make(ground: Ground) -> None:
    """Make the bare repository with its hook."""
    ground.forge.mkdir(parents=True)
    WorkTree(ground.forge).git("init", "--quiet", "--bare", "--initial-branch=main", ".")
    config = ground.forge / "webhook.json"
    with open(os.open(config, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as out:
        json.dump(
            {
                "host": LOOPBACK,
                "port": ground.hook_port,
                "secret": ground.secret,
                "path": str(ground.forge),
                "full_name": "ops/fleet-ops",
                "log": str(ground.logs / LOG),
            },
            out,
        )
    program = shlex.join(
        [sys.executable, "-I", "-S", str(Path(post_receive.__file__)), str(config)]
    )
    hook = ground.forge / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nexec {program}\n", encoding="utf-8")
    hook.chmod(0o755)


def deliveries(ground: Ground) -> list[str]:
    """What was delivered, and what was answered, oldest first."""
    log = ground.logs / LOG
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []
