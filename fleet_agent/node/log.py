"""Log lines of the node's code: sentences with the deploy first, to standard error.

Not through ``logging``: its import costs more than most phases do.
"""

from __future__ import annotations

import sys


class Log:
    """Writes for one deploy; ``who`` begins each line ("deploy 42: services")."""

    def __init__(self, who: str) -> None:
        self._who = who

    def say(self, sentence: str) -> None:
        """Write one line, whatever a unit's words in it would make of it. Never a secret."""
        line = "".join(char if char.isprintable() else " " for char in sentence)
        sys.stderr.write(f"{self._who}: {line}\n")
        sys.stderr.flush()
