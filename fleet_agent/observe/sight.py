"""What was seen of the fleet at one moment: values, and their JSON, there and back.

Looking itself is ``snapshot``. The JSON's field names are a promise to scripts: only added to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fleet_agent.errors import (
    EXIT_COULD_NOT_LOOK,
    EXIT_OK,
    EXIT_SOMETHING_NOT_WELL,
    CouldNotLook,
)
from fleet_agent.wire import Health

HTTP = "http"
SSH = "ssh"


@dataclass(frozen=True, slots=True)
class SshSight:
    """Whether a node answered over ssh, and if not, why. ``seconds`` is how long that took."""

    ok: bool
    why: str
    seconds: float


@dataclass(frozen=True, slots=True)
class HealthSight:
    """A wizard's health. ``answered`` says whether its own daemon was heard at all.

    ``via``: ``http`` from here, or ``ssh`` (asked on the node, since http did not reach it).
    ``running`` is the release it was started from, ``release`` the one that is installed.
    """

    status: Health
    why: str
    via: str = ""
    answered: bool = False
    version: str = ""
    release: str = ""
    running: str = ""
    age_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class WizardSight:
    """One wizard."""

    name: str
    host: str
    role: str
    model: str
    ssh: SshSight
    health: HealthSight

    @property
    def well(self) -> bool:
        """Reached over ssh, and healthy; a warning is a thing to look at, and no failure."""
        return self.ssh.ok and self.health.status is not Health.FAIL

    def to_value(self) -> dict[str, Any]:
        """As JSON."""
        said = asdict(self)
        return {"wizard": said.pop("name"), "well": self.well, **said}


@dataclass(frozen=True, slots=True)
class FleetSnapshot:
    """All wizards in the order of the registry. ``looked_at`` is Unix time."""

    fleet: str
    looked_at: float
    wizards: tuple[WizardSight, ...]

    @property
    def well(self) -> bool:
        """Whether every wizard is."""
        return all(wizard.well for wizard in self.wizards)

    @property
    def exit_code(self) -> int:
        """0 all well, 10 something not, 11 when nothing answered: then it may be us."""
        if self.well:
            return EXIT_OK
        heard = any(wizard.ssh.ok or wizard.health.via for wizard in self.wizards)
        return EXIT_SOMETHING_NOT_WELL if heard else EXIT_COULD_NOT_LOOK

    def to_value(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "fleet": self.fleet,
            "looked_at": round(self.looked_at, 3),
            "well": self.well,
            "wizards": [wizard.to_value() for wizard in self.wizards],
        }


def from_value(value: Mapping[str, Any]) -> FleetSnapshot:
    """A snapshot that came over fleet-deploy's socket. Raises CouldNotLook for anything else."""
    try:
        wizards = tuple(_wizard(said) for said in value["wizards"])
        return FleetSnapshot(str(value["fleet"]), float(value["looked_at"]), wizards)
    except (KeyError, TypeError, ValueError) as error:
        raise CouldNotLook(
            f"the answer is no snapshot of a fleet ({type(error).__name__}: {error})",
            mend="do fleet-deploy and this command come from the same version?",
        ) from None


def _wizard(said: Mapping[str, Any]) -> WizardSight:
    ssh = {name: said["ssh"][name] for name in SshSight.__dataclass_fields__}
    health = {name: said["health"][name] for name in HealthSight.__dataclass_fields__}
    health["status"] = Health(health["status"])
    return WizardSight(
        name=said["wizard"],
        host=said["host"],
        role=said["role"],
        model=said["model"],
        ssh=SshSight(**ssh),
        health=HealthSight(**health),
    )
