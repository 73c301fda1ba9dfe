"""`python -m fleet_agent.setup.demo`: from nothing, until Ctrl-C or (DEMO_ONCE=1) its last act."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from fleet_agent.deploy.client import SOCKET_VARIABLE
from fleet_agent.errors import EXIT_FAILED, FleetError
from fleet_agent.setup.demo import claim, forge, ground, nodes
from fleet_agent.setup.demo.screen import Screen
from fleet_agent.setup.demo.story import Story

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Run the demo; 0 when everything came out as told."""
    parser = argparse.ArgumentParser(prog="make demo", description="A whole fleet on this machine.")
    parser.add_argument("--dir", type=Path, default=Path(".demo"), help="where it lies")
    parser.add_argument(
        "--once",
        action="store_true",
        default=os.environ.get("DEMO_ONCE", "") not in ("", "0"),
        help="end after the last act instead of staying up (or DEMO_ONCE=1)",
    )
    asked = parser.parse_args()
    for number in _ENDING:
        signal.signal(number, _interrupt)
    try:
        claim.clear(asked.dir)
        return _play(asked.dir, asked.once)
    except FleetError as error:
        print(f"demo: {error}", file=sys.stderr)
        return error.exit_code or EXIT_FAILED
    except KeyboardInterrupt:
        print("demo: ended, nothing of it is left", file=sys.stderr)
        return 0 if not asked.once else 130


def _play(wanted: Path, once: bool) -> int:
    began = time.monotonic()
    here = ground.choose(wanted)
    try:
        with claim.held(here.place), _nodes_up(here):
            screen = Screen({SOCKET_VARIABLE: here.deploy.socket})
            story = Story(here, screen)
            try:
                story.tell()
            except FleetError:
                _last_words(here)
                raise
            screen.say()
            screen.summary()
            screen.say(f"  all of it: {time.monotonic() - began:.1f} s")
            if not once:
                screen.say()
                story.to_try()
                screen.say("\nCtrl-C ends the demo and removes it.")
                signal.pause()
        return 0
    finally:
        claim.remove(wanted)


@contextmanager
def _nodes_up(here: ground.Ground) -> Iterator[None]:
    ground.lay(here)
    with nodes.running(here):
        yield


def _last_words(here: ground.Ground) -> None:
    """What processes said last, since the folders are about to be removed."""
    for line in forge.deliveries(here)[-3:]:
        print(f"webhook: {line}", file=sys.stderr)
    for node in here.nodes:
        logs = sorted((node.root / "var/log/journal").glob("*"))
        for log in logs:
            for line in log.read_text("utf-8", "replace").splitlines()[-8:]:
                print(f"{node.wizard} {log.name}: {line}", file=sys.stderr)


def _interrupt(number: int, frame: FrameType | None) -> None:
    for one in _ENDING:  # a second one must not cut the cleaning up
        signal.signal(one, signal.SIG_IGN)
    print("\ndemo: ending, which takes a few seconds", file=sys.stderr)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
