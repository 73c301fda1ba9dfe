"""The manifest: what a release is made of, as a value and as JSON.

Its digest is the release's name. No bytecode, commit or date is in it, and no file is read here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from fleet_agent.errors import FleetError
from fleet_agent.wire import HOOK_PORT, TAKEN_NAMES

VERSION: Final = 1
ID_LENGTH: Final = 20
_PARTS: Final = 16
_PATH_BYTES: Final = 512
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MODE: Final = re.compile(r"0[0-7]{3}", re.ASCII)
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,28}", re.ASCII)


class ManifestError(FleetError):
    """A manifest is not what it must be: of another version, incomplete, or not to be trusted."""

    title = "the manifest of a release is wrong"


class Entry(NamedTuple):
    """One file of a release. ``mode`` are its permission bits, ``size`` is in bytes."""

    path: str
    mode: int
    sha256: str
    size: int


class SoulEntry(NamedTuple):
    """The soul of a wizard: its path in the release, its seal, and where the agent reads it."""

    source: str
    seal: str
    place: str | None


class FileEntry(NamedTuple):
    """One file of the agent's own configuration: from where in the release to which place."""

    source: str
    place: str
    mode: int


class SecretEntry(NamedTuple):
    """A file that is not in the release, since it is secret: phase ``keys`` brings it.

    ``digest`` is a keyed one: it tells two contents apart, and nobody can try words against it.
    """

    place: str
    mode: int
    digest: str


class RuntimeUnit(NamedTuple):
    """The unit of the wizard's own process. ``scope`` is ``system`` or ``user``."""

    unit: str
    scope: str


class RunnerUnits(NamedTuple):
    """The units that run the wizard's handlers: the service is started by its socket when it is
    needed, and ended when ``input``, the digest of what it is made of, changes."""

    service: str
    socket: str
    input: str


class WizardInputs(NamedTuple):
    """What one wizard is made of on its node.

    ``input`` digests what the daemon is made of, ``runtime_input`` what the wizard's own process
    is made of; a process is restarted when its digest changes, and only then. ``hook`` is the port
    of the deploy hook, 0 on a wizard that has none. ``tls``: its listen address speaks TLS.
    """

    name: str
    input: str
    runtime_input: str
    account: str
    user: str
    soul: SoulEntry | None
    files: tuple[FileEntry, ...]
    state: tuple[str, ...]
    address: str
    port: int
    hook: int
    daemon: str
    sockets: tuple[str, ...]
    runtime: RuntimeUnit | None
    secrets: tuple[SecretEntry, ...] = ()
    runner: RunnerUnits | None = None
    tls: bool = False


class Manifest(NamedTuple):
    """A release on one node: its files by path, and its wizards by name."""

    files: tuple[Entry, ...]
    wizards: tuple[WizardInputs, ...]
    orchestrator: bool

    @property
    def id(self) -> str:
        """The release's name: the digest of its manifest, shortened."""
        return digest(to_json(self))[:ID_LENGTH]

    @property
    def by_path(self) -> dict[str, Entry]:
        """The files by their paths."""
        return {entry.path: entry for entry in self.files}

    def below(self, prefix: str) -> tuple[Entry, ...]:
        """The files whose paths begin with ``prefix``."""
        return tuple(entry for entry in self.files if entry.path.startswith(prefix))


def canonical(value: object) -> bytes:
    """``value`` as JSON in its one form: sorted keys, no spaces, UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def digest(value: object) -> str:
    """sha256 of a JSON value in its canonical form, as 64 hex digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


def digest_of(entries: Iterable[Entry], more: object = None) -> str:
    """The digest of ``entries`` (paths, modes, contents), and of ``more`` where it is given."""
    listed = sorted([entry.path, entry.mode, entry.sha256] for entry in entries)
    return digest([listed, more])


def to_json(manifest: Manifest) -> dict[str, Any]:
    """The manifest as it stands in ``manifest.json`` and in a spec."""
    return {
        "v": VERSION,
        "files": [
            {
                "path": entry.path,
                "mode": f"{entry.mode:04o}",
                "sha256": entry.sha256,
                "size": entry.size,
            }
            for entry in manifest.files
        ],
        "wizards": {wizard.name: _wizard_to_json(wizard) for wizard in manifest.wizards},
        "orchestrator": manifest.orchestrator,
    }


def _wizard_to_json(wizard: WizardInputs) -> dict[str, Any]:
    value: dict[str, Any] = {
        "input": wizard.input,
        "runtime_input": wizard.runtime_input,
        "account": wizard.account,
        "user": wizard.user,
        "soul": wizard.soul._asdict() if wizard.soul else None,
        "files": [
            {"source": file.source, "place": file.place, "mode": f"{file.mode:04o}"}
            for file in wizard.files
        ],
        "state": list(wizard.state),
        "listen": {"address": wizard.address, "port": wizard.port},
        "hook": wizard.hook,
        "units": {
            "daemon": wizard.daemon,
            "sockets": list(wizard.sockets),
            "runtime": wizard.runtime._asdict() if wizard.runtime else None,
        },
    }
    if wizard.secrets:  # only then: a release from before there were any keeps its name
        value["secrets"] = [
            {"place": one.place, "mode": f"{one.mode:04o}", "digest": one.digest}
            for one in wizard.secrets
        ]
    if wizard.runner is not None:  # likewise
        value["units"]["runner"] = wizard.runner._asdict()
    if wizard.tls:
        value["tls"] = True
    return value


def from_json(data: object) -> Manifest:
    """Read a manifest strictly.

    Raises ManifestError for another version, a missing key, a wrong type, or a path that could
    lead out of the release.
    """
    top = _object(data, "manifest")
    if top.get("v") != VERSION:
        raise ManifestError(f"is of version {top.get('v')!r}, not {VERSION}", where="manifest")
    try:
        files = tuple(_entry(item) for item in _list(top["files"], "files"))
        wizards = tuple(
            _wizard(name, item) for name, item in _object(top["wizards"], "wizards").items()
        )
        orchestrator = bool(top["orchestrator"])
    except KeyError as error:
        raise ManifestError(f"has no {error.args[0]!r}", where="manifest") from None
    paths = [entry.path for entry in files]
    if len(set(paths)) != len(paths):
        raise ManifestError("names a path twice", where="manifest")
    taken = set(paths)
    for path in paths:
        parents = path.split("/")[:-1]
        if any("/".join(parents[: depth + 1]) in taken for depth in range(len(parents))):
            raise ManifestError("names a file below a file", where=path)
    return Manifest(files, wizards, orchestrator)


def _entry(data: object) -> Entry:
    item = _object(data, "files")
    return Entry(
        path_in_release(item["path"]),
        mode_of(item["mode"]),
        _sha256(item["sha256"]),
        _whole(item["size"], "size"),
    )


def _hook(value: object, where: str) -> int:
    """A port; releases of before the port could be chosen say only that there is a hook."""
    return HOOK_PORT if value is True else 0 if value is False else _whole(value, where)


def _wizard(name: str, data: object) -> WizardInputs:
    if not _NAME.fullmatch(name) or name in TAKEN_NAMES:
        raise ManifestError("is no wizard's name", where=repr(name))
    item = _object(data, name)
    listen, units = _object(item["listen"], name), _object(item["units"], name)
    soul, runtime, runner = item["soul"], units["runtime"], units.get("runner")
    return WizardInputs(
        name=name,
        input=_sha256(item["input"]),
        runtime_input=_sha256(item["runtime_input"]),
        account=_word(item["account"], name),
        user=_word(item["user"], name),
        soul=None if soul is None else _soul(_object(soul, name)),
        files=tuple(_file(_object(file, name)) for file in _list(item["files"], name)),
        state=tuple(place(path) for path in _list(item["state"], name)),
        address=_word(listen["address"], name),
        port=_whole(listen["port"], name),
        hook=_hook(item["hook"], name),
        daemon=unit_name(units["daemon"]),
        sockets=tuple(unit_name(unit) for unit in _list(units["sockets"], name)),
        runtime=None if runtime is None else _runtime(_object(runtime, name)),
        secrets=tuple(_secret(_object(one, name)) for one in _list(item.get("secrets", []), name)),
        runner=None if runner is None else _runner(_object(runner, name)),
        tls=item.get("tls", False) is True,
    )


def _soul(item: Mapping[str, Any]) -> SoulEntry:
    where = item["place"]
    return SoulEntry(
        path_in_release(item["source"]),
        _sha256(item["seal"]),
        None if where is None else place(where),
    )


def _file(item: Mapping[str, Any]) -> FileEntry:
    return FileEntry(path_in_release(item["source"]), place(item["place"]), mode_of(item["mode"]))


def _secret(item: Mapping[str, Any]) -> SecretEntry:
    return SecretEntry(place(item["place"]), mode_of(item["mode"]), _word(item["digest"], "secret"))


def _runtime(item: Mapping[str, Any]) -> RuntimeUnit:
    if item["scope"] not in ("system", "user"):
        raise ManifestError("scope is system or user", where=str(item["unit"]))
    return RuntimeUnit(unit_name(item["unit"]), item["scope"])


def _runner(item: Mapping[str, Any]) -> RunnerUnits:
    return RunnerUnits(
        unit_name(item["service"]), unit_name(item["socket"]), _sha256(item["input"])
    )


def path_in_release(value: object) -> str:
    """``value`` if it is a plain relative path that stays in the release; ManifestError if not."""
    if not isinstance(value, str) or not _plain(value):
        raise ManifestError("is no path inside a release", where=repr(value))
    return value


def place(value: object) -> str:
    """``value`` if it is a plain absolute path; ManifestError if not."""
    if not isinstance(value, str) or not value.startswith("/") or not _plain(value[1:]):
        raise ManifestError("is no absolute path without '.' and '..'", where=repr(value))
    return value


def _plain(path: str) -> bool:
    parts = path.split("/")
    return (
        path.isprintable()
        and "\\" not in path
        and len(path.encode("utf-8", "surrogatepass")) <= _PATH_BYTES
        and len(parts) <= _PARTS
        and not any(part in ("", ".", "..") for part in parts)
    )


def unit_name(value: object) -> str:
    """``value`` if it can be a unit's file name; ManifestError if not."""
    if (
        not isinstance(value, str)
        or not re.fullmatch(r"[A-Za-z0-9:_.\\@-]{1,200}\.[a-z]+", value, re.ASCII)
        or value.startswith("-")
    ):
        raise ManifestError("is no name of a unit", where=repr(value))
    return value


def mode_of(value: object) -> int:
    """Permission bits from their text ("0640"); ManifestError for anything else."""
    if not isinstance(value, str) or not _MODE.fullmatch(value):
        raise ManifestError("is no mode like 0640", where=repr(value))
    return int(value, 8)


def _sha256(value: object) -> str:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise ManifestError("is no sha256", where=repr(value))
    return value


def _whole(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ManifestError(f"is no whole number: {value!r}", where=where)
    return value


def _word(value: object, where: str) -> str:
    if not isinstance(value, str) or not value or not value.isprintable() or len(value) > 255:
        raise ManifestError(f"is no word: {value!r}", where=where)
    return value


def _object(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ManifestError("is no JSON object", where=where)
    return value


def _list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise ManifestError("is no JSON list", where=where)
    return value
