"""The named steps of a run on a node, and the lab's way to be killed at one of them."""

from __future__ import annotations

import os
import signal
from typing import Final

from fleet_agent.node.layout import ETC, Layout

PREFLIGHT_LOOKED: Final = "preflight-looked"
BASELINE_SAVED: Final = "baseline-saved"
JOURNAL_OPENED: Final = "journal-opened"
STATE_SNAPSHOTTED: Final = "state-snapshotted"
SOUL_COMPARED: Final = "soul-compared"
GUARD_POSTED: Final = "guard-posted"
RELEASE_UNPACKED: Final = "release-unpacked"
ARMED: Final = "armed"
ACCOUNTS_MADE: Final = "accounts-made"
CURRENT_SWITCHED: Final = "current-switched"
PLACES_PLACED: Final = "places-placed"
OLD_UNITS_STOPPED: Final = "old-units-stopped"
UNITS_PLACED: Final = "units-placed"
UNITS_RELOADED: Final = "units-reloaded"
SOCKETS_STARTED: Final = "sockets-started"
DAEMONS_STARTED: Final = "daemons-started"
RUNTIMES_STARTED: Final = "runtimes-started"
KEYS_LOOKED: Final = "keys-looked"
KEYS_PLACED: Final = "keys-placed"
KEYS_IN_USE: Final = "keys-in-use"
READY: Final = "ready"
SETTLED: Final = "settled"
AUDITED: Final = "audited"
CLAIMED: Final = "claimed"
CURRENT_RESTORED: Final = "current-restored"
PLACES_RESTORED: Final = "places-restored"
UNITS_STOPPED: Final = "units-stopped"
UNITS_RESTORED: Final = "units-restored"
UNITS_RESTARTED: Final = "units-restarted"
BACK_VERIFIED: Final = "back-verified"

FORWARD: Final = (
    PREFLIGHT_LOOKED, BASELINE_SAVED, JOURNAL_OPENED, STATE_SNAPSHOTTED, SOUL_COMPARED,
    GUARD_POSTED, RELEASE_UNPACKED, ARMED, ACCOUNTS_MADE, CURRENT_SWITCHED, PLACES_PLACED,
    OLD_UNITS_STOPPED, UNITS_PLACED, UNITS_RELOADED, SOCKETS_STARTED, DAEMONS_STARTED,
    RUNTIMES_STARTED, KEYS_LOOKED, KEYS_PLACED, KEYS_IN_USE, READY, SETTLED, AUDITED,
)  # fmt: skip
BACK: Final = (
    CLAIMED, CURRENT_RESTORED, PLACES_RESTORED, UNITS_STOPPED, UNITS_RESTORED, UNITS_RESTARTED,
    BACK_VERIFIED,
)  # fmt: skip

_ALLOWED_BY: Final = f"{ETC}/testing"


def die_here(layout: Layout, kill_at: str, step: str) -> None:
    """Kill this process with SIGKILL if ``step`` is where a test wants it to die.

    The spec names the step, or the first line of ``/etc/fleet-agent/testing`` does, once. Without
    that file, which only root can put there, nobody dies: no spec can do this to a real fleet.
    """
    path = layout.at(_ALLOWED_BY)
    try:
        with open(path, encoding="utf-8") as mark:
            owner, named = os.fstat(mark.fileno()).st_uid, mark.read(1000).split()
    except FileNotFoundError:
        return
    if step not in (kill_at, *named[:1]) or owner != (os.geteuid() if layout.unprivileged else 0):
        return
    if step != kill_at:
        with open(path, "w", encoding="utf-8") as mark:
            mark.write("\n".join(named[1:]))
    os.kill(os.getpid(), signal.SIGKILL)
