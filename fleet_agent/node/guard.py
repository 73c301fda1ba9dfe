"""``fleet-recover.service``: what looks after an unfinished run at boot. First there, last gone.

It must be enabled before anything is switched, and stay until a way back is at its end.
"""

from __future__ import annotations

from fleet_agent.node import decide, present, putting, restore
from fleet_agent.node.act import Act
from fleet_agent.node.desired import RECOVER
from fleet_agent.node.layout import UNITS
from fleet_agent.node.saved import Baseline, SavedPlace
from fleet_agent.node.units import Ref

PLACE = f"{UNITS}/{RECOVER}"
_UNIT = Ref(RECOVER)


def post(act: Act, to_place: decide.ToPlace, seen: present.Present) -> None:
    """Let the recovery stand ready for the next boot. Raises NodeError."""
    files = tuple(item for item in to_place.write if item.place == PLACE)
    putting.put(act, decide.ToPlace(files, ()))
    if not seen.states[_UNIT].enabled or files:
        act.units.enable([_UNIT])


def belongs_to(item: SavedPlace) -> bool:
    """Whether a saved place is the recovery's own, which is put back last."""
    return item.place == PLACE


def dismiss(act: Act, baseline: Baseline) -> None:
    """Let the recovery be as it was before this run; only once the journal is finished."""
    files = [item for item in baseline.places if belongs_to(item)]
    was = next((unit for unit in baseline.units if unit.ref == _UNIT), None)
    if was is not None and not was.enabled and act.units.show([_UNIT])[_UNIT].enabled:
        act.units.disable([_UNIT])
    if restore.places(act.layout, act.spec.nonce, baseline, files).places:
        act.units.daemon_reload()
