"""Waits for room on a full disk at the start, under a service manager.

Ending would be tried again some ten times within seconds and then never again: the daemon would
stay away though the disk has room since. Not for a disk that fills up later: that is a 507.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final, TypeVar

from fleet_agent.services.notify import Notifier
from fleet_agent.store.errors import StoreFull

_PAUSE_SECONDS: Final = 1.0
# The manager hears of us well before this is over.
_EXTENDED_SECONDS: Final = 30.0
_TOLD_EVERY: Final = 60

_Opened = TypeVar("_Opened")

log = logging.getLogger("fleet_agent.services")


def open_with_room(
    wizard: str,
    notifier: Notifier,
    open_: Callable[[], _Opened],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> _Opened:
    """What ``open_`` gives, tried again while the disk is full.

    Raises StoreFull at once where no service manager waits for us, and what else ``open_`` raises.
    """
    tries = 0
    while True:
        try:
            opened = open_()
        except StoreFull as error:
            if not notifier.heard:
                raise
            if tries % _TOLD_EVERY == 0:
                log.error("%s: not started yet, waiting for room: %s", wizard, error)
            tries += 1
            notifier.waiting(_EXTENDED_SECONDS, "waiting for room on the disk")
            sleep(_PAUSE_SECONDS)
        else:
            if tries:
                log.info("%s: the disk has room again", wizard)
            return opened
