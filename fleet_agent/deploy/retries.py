"""Hears when Ansible's ssh connection broke and was made again. Effects only.

Ansible repeats a command then and says so only with -vv; for Ansible's workers, on one connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from fleet_agent.deploy import heard

_SSH_FAILED: Final = 255
_RUN: Final = "_bare_run"  # what ssh's connection repeats (ansible-core 2.14 to 2.21)
_MOST_SHOWN: Final = 200


@contextmanager
def watched(connection: Any, repeated: list[str]) -> Iterator[None]:
    """In the block, ``repeated`` gets ssh's last words for each command that was repeated."""
    run = getattr(connection, _RUN, None)
    if run is None:  # no ssh: a node that is a folder
        yield
        return
    broke: list[str] = []

    def listening(*given: Any, **named: Any) -> Any:
        if broke:
            repeated.append(broke.pop())
        try:
            done = run(*given, **named)
        except Exception as error:
            broke.append(_last_words(str(error)))
            raise
        if done[0] == _SSH_FAILED:
            broke.append(_last_words(bytes(done[2]).decode("utf-8", "replace")))
        return done

    setattr(connection, _RUN, listening)
    try:
        yield
    finally:
        delattr(connection, _RUN)


def _last_words(text: str) -> str:
    lines = text.strip().splitlines()
    return heard.text(lines[-1].strip() if lines else "without a word", _MOST_SHOWN)
