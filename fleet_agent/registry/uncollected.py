"""Holds the garbage collector's cycle search while many small values are made that have no cycles.

With 10,000 wizards it took three quarters of reading and a quarter of checking.
"""

from __future__ import annotations

import gc


class Uncollected:
    """``with Uncollected():`` no cycle search inside; behind it, all is as it was before."""

    __slots__ = ("_was_on",)

    def __enter__(self) -> None:
        self._was_on = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        if self._was_on:
            gc.enable()
