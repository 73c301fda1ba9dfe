"""What a release wants on its node: files at places and units, derived from a manifest. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from fleet_agent.node.layout import UNITS
from fleet_agent.node.units import Ref
from fleet_agent.release.manifest import Manifest, WizardInputs, digest_of

SOUL_MODE: Final = 0o444
UNIT_MODE: Final = 0o644
RECOVER: Final = "fleet-recover.service"
PIPELINE: Final = ("fleet-deploy.socket", "fleet-deploy.service")

FILE: Final = "file"
SOUL: Final = "soul"
UNIT: Final = "unit"

SOCKET: Final = "socket"
DAEMON: Final = "daemon"
RUNTIME: Final = "runtime"
RUNNER: Final = "runner"
RUNNER_SOCKET: Final = "runner's socket"
RECOVERY: Final = "recovery"
CONDUCTOR: Final = "pipeline"


class Placement(NamedTuple):
    """A file of the release that has a place outside of it. The owner is always root."""

    place: str
    source: str
    sha256: str
    mode: int
    group: str
    kind: str
    wizard: str = ""


class Wish(NamedTuple):
    """A unit that the release wants. ``digest`` is of what its process is made of."""

    ref: Ref
    kind: str
    digest: str = ""
    wizard: str = ""
    enable: bool = True
    start: bool = True


def placements(manifest: Manifest) -> tuple[Placement, ...]:
    """Every file that belongs at a place: the agents' own configuration, souls, unit files."""
    by_path = manifest.by_path
    found: list[Placement] = []
    for wizard in manifest.wizards:
        for file in wizard.files:
            sha256 = by_path[file.source].sha256 if file.source in by_path else ""
            found.append(
                Placement(
                    file.place, file.source, sha256, file.mode, wizard.user, FILE, wizard.name
                )
            )
        soul = wizard.soul
        if soul is not None and soul.place is not None:
            found.append(
                Placement(soul.place, soul.source, soul.seal, SOUL_MODE, "root", SOUL, wizard.name)
            )
    for entry in manifest.below("units/"):
        name = entry.path.removeprefix("units/")
        found.append(
            Placement(f"{UNITS}/{name}", entry.path, entry.sha256, UNIT_MODE, "root", UNIT)
        )
    return tuple(found)


def wishes(manifest: Manifest) -> tuple[Wish, ...]:
    """Every unit that is to be enabled or to run, in the order in which they are started."""
    found = [Wish(Ref(RECOVER), RECOVERY, start=False)]
    if manifest.orchestrator:
        found += [Wish(Ref(unit), CONDUCTOR) for unit in PIPELINE]
    for wizard in manifest.wizards:
        found += [
            Wish(Ref(unit), SOCKET, _socket_digest(manifest, unit), wizard.name)
            for unit in wizard.sockets
        ]
    found += [
        Wish(Ref(wizard.daemon), DAEMON, wizard.input, wizard.name) for wizard in manifest.wizards
    ]
    for wizard in manifest.wizards:
        runner = wizard.runner
        if runner is not None:
            digest = _socket_digest(manifest, runner.socket)
            found += [
                Wish(Ref(runner.socket), RUNNER_SOCKET, digest, wizard.name),
                # Its socket starts it when it is needed.
                Wish(Ref(runner.service), RUNNER, runner.input, wizard.name, False, False),
            ]
    for wizard in manifest.wizards:
        runtime = runtime_ref(wizard)
        if runtime is not None:
            ours = runtime.unit.startswith("fleet-wizard@")
            found.append(Wish(runtime, RUNTIME, wizard.runtime_input, wizard.name, enable=ours))
    return tuple(found)


def runtime_ref(wizard: WizardInputs) -> Ref | None:
    """The unit of the wizard's own process, None where it has none."""
    if wizard.runtime is None:
        return None
    return Ref(wizard.runtime.unit, wizard.user if wizard.runtime.scope == "user" else "")


def is_runner(ref: Ref) -> bool:
    """Whether a unit is a runner: nobody but its socket decides when it is to run."""
    return not ref.user and ref.unit.startswith("fleet-exec@") and ref.unit.endswith(".service")


def is_ours(ref: Ref) -> bool:
    """Whether a unit is one that only fleet-agent places."""
    return not ref.user and ref.unit.startswith((
        "fleet-agent@", "fleet-hook@", "fleet-deploy.", "fleet-wizard@", "fleet-exec@",
        "fleet-recover.",
    ))  # fmt: skip


def _socket_digest(manifest: Manifest, unit: str) -> str:
    template = unit.partition("@")[0] + "@.socket"
    wanted = (f"units/{template}", f"units/{unit}.d/")
    return digest_of(entry for entry in manifest.files if entry.path.startswith(wanted))
