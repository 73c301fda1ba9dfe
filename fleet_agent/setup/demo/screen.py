"""What the demo says: headings, commands as a person would type them, and how long things took."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from fleet_agent import proc

_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"


@dataclass(slots=True)
class Screen:
    """Prints to standard output. ``timings`` collects what each act took, in seconds."""

    env: Mapping[str, str]
    timings: list[tuple[str, float]] = field(default_factory=list)

    def say(self, text: str = "") -> None:
        """A line."""
        print(text, flush=True)

    @contextmanager
    def act(self, title: str) -> Iterator[None]:
        """A heading; what happens below it is timed."""
        bold, plain = (_BOLD, _PLAIN) if sys.stdout.isatty() else ("", "")
        self.say(f"\n{bold}== {title}{plain}")
        began = time.monotonic()
        yield
        self.timings.append((title, time.monotonic() - began))

    def run(
        self, argv: Sequence[str], *, cwd: str | None = None, shown: str = "", seconds: float = 300
    ) -> int:
        """Run a command whose output the person sees; its exit code. ``shown`` is what is printed
        before it, where that reads better than the whole line."""
        self.say(f"$ {shown or shlex.join(argv)}")
        return proc.show(argv, timeout_seconds=seconds, env={**os.environ, **self.env}, cwd=cwd)

    def summary(self) -> None:
        """How long each act took."""
        widest = max(len(title) for title, _ in self.timings)
        for title, seconds in self.timings:
            self.say(f"  {title:<{widest}}  {seconds:6.1f} s")
