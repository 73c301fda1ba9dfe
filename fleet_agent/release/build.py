"""Builds the release of one node from a checked commit. Pure: values in, a tree out.

Runs where deploys are made, never on a node.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fleet_agent.errors import ConfigError
from fleet_agent.release import unitfile
from fleet_agent.release.manifest import (
    Entry,
    FileEntry,
    Manifest,
    RunnerUnits,
    RuntimeUnit,
    SecretEntry,
    SoulEntry,
    WizardInputs,
    digest_of,
)
from fleet_agent.release.tree import Tree, entries_of

if TYPE_CHECKING:
    from fleet_agent.registry.schema import Wizard

ENTRY_POINT: Final = '''\
"""Starts fleet-agent from this release, whatever ``current`` points to later."""

import os
import sys

sys.path[0] = os.path.dirname(os.path.realpath(__file__))

from fleet_agent.cli.main import entry  # noqa: E402

entry()
'''
HOOK_SECRET: Final = "/etc/fleet-agent/hook/secret"  # noqa: S105 (a path)
# Bootstrap makes it: it may read the webhook's secret and hand pushes over to fleet-deploy.
HOOK_GROUP: Final = "fleet-hook"
_PUBLIC: Final = 0o644
# Only root places files; in the release they are nobody else's to read.
_PRIVATE: Final = 0o600

RECOVER: Final = "fleet-recover.service"
WIZARD_TEMPLATE: Final = "fleet-wizard@.service"
RUNNER_TEMPLATES: Final = ("fleet-exec@.service", "fleet-exec@.socket")
EVERYWHERE: Final = ("fleet-agent@.service", "fleet-agent@.socket", RECOVER)
ORCHESTRATOR_ONLY: Final = ("fleet-hook@.socket", "fleet-deploy.service", "fleet-deploy.socket")


class Hook(NamedTuple):
    """Where the orchestrator listens for webhooks, and for which tag of which repository."""

    address: str
    port: int
    tag: str
    repository: str | None


class WizardSource(NamedTuple):
    """A wizard of this node with what belongs to it alone.

    ``files`` are the rendered contents in the order of ``wizard.files``, which here holds no secret
    one: those are ``secrets``. ``limits`` are the settings that differ from the defaults.
    """

    wizard: Wizard
    soul: bytes | None
    files: tuple[bytes, ...]
    limits: Mapping[str, float]
    unsigned: bool = False
    hook: Hook | None = None
    secrets: tuple[SecretEntry, ...] = ()


class Code(NamedTuple):
    """The pinned package's part of a release, the same on every node of a run.

    ``tree`` may lack the contents where ``entries`` already say what they are.
    """

    entries: tuple[Entry, ...]
    tree: Tree


class Built(NamedTuple):
    """A release: its files (those of the code as far as ``Code`` has them), manifest, and name."""

    tree: Tree
    manifest: Manifest
    id: str


def code_of(files: Mapping[str, bytes]) -> Code:
    """The code's part from the files of the pinned package (``fleet_agent/…``)."""
    tree = {f"code/{path}": (_PUBLIC, content) for path, content in files.items()}
    return Code(entries_of(tree), tree)


def build(
    fleet: str,
    wizards: Sequence[WizardSource],
    *,
    code: Code,
    registry_json: bytes,
    unit_sources: Mapping[str, bytes],
    root: str = "/",
) -> Built:
    """The release of the node that carries ``wizards``.

    ``unit_sources`` are our unit files by name. ``root`` is where the node's directories lie, "/"
    on a machine. Raises ConfigError for a value that can't be placed or listened on, and for a
    unit file that is missing.
    """
    orchestrator = any(source.hook is not None for source in wizards)
    tree: dict[str, tuple[int, bytes]] = {
        "code/__main__.py": (_PUBLIC, ENTRY_POINT.encode()),
        "registry.json": (_PUBLIC, registry_json),
    }
    for name in _unit_names(wizards, orchestrator):
        tree[f"units/{name}"] = (_PUBLIC, _unit(unit_sources, name, root))
    on_loopback: set[int] = set()
    for source in wizards:
        for path, mode, content in _own_files(fleet, source, on_loopback, root):
            tree[path] = (mode, content)
    entries = tuple(sorted((*entries_of(tree), *code.entries)))
    inputs = sorted((_inputs(source, entries) for source in wizards), key=lambda one: one.name)
    manifest = Manifest(entries, tuple(inputs), orchestrator)
    return Built({**code.tree, **tree}, manifest, manifest.id)


def _unit_names(wizards: Sequence[WizardSource], orchestrator: bool) -> Iterator[str]:
    yield from EVERYWHERE
    if orchestrator:
        yield from ORCHESTRATOR_ONLY
    if any(_has_own_runtime(source.wizard) for source in wizards):
        yield WIZARD_TEMPLATE
    if any(_runs_handlers(source.wizard) for source in wizards):
        yield from RUNNER_TEMPLATES


def _unit(sources: Mapping[str, bytes], name: str, root: str) -> bytes:
    if name not in sources:
        raise ConfigError(
            "this package of fleet-agent lacks a unit file",
            where=name,
            mend="renew the pin with `fleet-agent init --pin DIR`",
        )
    return unitfile.rooted(sources[name].decode(), root).encode()


def _has_own_runtime(wizard: Wizard) -> bool:
    return wizard.runtime is not None and wizard.runtime.command is not None


def _runs_handlers(wizard: Wizard) -> bool:
    return any(handler.exec is not None for handler in wizard.handlers.values())


def _below(root: str, path: str) -> str:
    return path if root == "/" else root.rstrip("/") + path


def _own_files(
    fleet: str, source: WizardSource, on_loopback: set[int], root: str
) -> Iterator[tuple[str, int, bytes]]:
    wizard = source.wizard
    home = f"wizards/{wizard.name}"
    settings = json.dumps(_settings(fleet, source, root), indent=1, sort_keys=True)
    yield f"{home}/settings.json", _PUBLIC, settings.encode() + b"\n"
    if source.soul is not None:
        yield f"{home}/soul", _PUBLIC, source.soul
    for number, content in enumerate(source.files):
        yield f"{home}/files/{number}", _PRIVATE, content
    address, port = wizard.listen.address, wizard.listen.port
    _must_be_address(wizard.name, address)
    streams = [unitfile.stream(address, port)]
    # Two wizards may share a port on different addresses: the first one has it on loopback.
    if not unitfile.listens_on_loopback(address) and port not in on_loopback:
        streams.append(unitfile.stream(unitfile.LOOPBACK, port))
    on_loopback.add(port)
    streams.append(_below(root, f"/run/fleet-agent/{wizard.name}/agent.sock"))
    yield _dropin(
        f"fleet-agent@{wizard.name}.socket", unitfile.socket_conf(streams, wizard.user), "listen"
    )
    if source.hook is not None:
        _must_be_address(wizard.name, source.hook.address)
        at = unitfile.stream(source.hook.address, source.hook.port)
        yield _dropin(f"fleet-hook@{wizard.name}.socket", unitfile.socket_conf([at]), "listen")
        if root == "/":  # elsewhere (the demo) there is one account, and no groups to be in
            text = unitfile.groups_conf([HOOK_GROUP])
            yield _dropin(f"fleet-agent@{wizard.name}.service", text, "hook")
    place = None if wizard.soul is None else wizard.soul.place
    if place is not None and root == "/":  # the demo's supervisor shows no views
        view = unitfile.view_conf(place, f"/run/fleet-agent/{wizard.name}/soul")
        if view is not None:
            yield _dropin(f"fleet-agent@{wizard.name}.service", view, "soul")
    command = None if wizard.runtime is None else wizard.runtime.command
    if command is not None:
        text = unitfile.command_conf(wizard.user, command)
        yield _dropin(f"fleet-wizard@{wizard.name}.service", text, "command")
    if _runs_handlers(wizard):
        text = unitfile.user_conf(wizard.user)
        yield _dropin(f"fleet-exec@{wizard.name}.service", text, "user")


def _dropin(unit: str, text: str, name: str) -> tuple[str, int, bytes]:
    return f"units/{unit}.d/{name}.conf", _PUBLIC, text.encode()


def _must_be_address(wizard: str, address: str) -> None:
    if not unitfile.is_address(address):
        raise ConfigError(
            f"a socket can't be bound to {address!r}, which is no address",
            where=f"wizards.{wizard}.listen",
            mend="say `listen: {address: …}` with an address of the machine",
        )


def _settings(fleet: str, source: WizardSource, root: str) -> dict[str, Any]:
    """What the daemon reads at its start."""
    wizard, hook = source.wizard, source.hook
    name = wizard.name
    value: dict[str, Any] = {
        "v": 1,
        "fleet": fleet,
        "wizard": name,
        "role": str(wizard.role),
        "listen": {"address": wizard.listen.address, "port": wizard.listen.port},
        "hook": None
        if hook is None
        else {
            "address": hook.address,
            "port": hook.port,
            "secret_files": [_below(root, HOOK_SECRET)],
            "tag": hook.tag,
            "repository": hook.repository,
        },
        "unsigned": "allow" if source.unsigned else "refuse",
        "soul": _soul_settings(source, root),
        "limits": dict(source.limits),
        "state_dir": _below(root, f"/var/lib/fleet-agent/{name}"),
        "run_dir": _below(root, f"/run/fleet-agent/{name}"),
        "keys_dir": _below(root, f"/etc/fleet-agent/{name}/keys"),
        "deploy_socket": _below(root, "/run/fleet-agent/deploy.sock"),
    }
    if wizard.handlers:  # only then: pinned code from before there were any knows no such key
        value["handlers"] = {
            kind: {"exec": list(handler.exec)} if handler.exec else {"http": handler.http}
            for kind, handler in wizard.handlers.items()
        }
    if wizard.tls:  # likewise
        value["tls"] = True
    return value


def _soul_settings(source: WizardSource, root: str) -> dict[str, Any] | None:
    if source.soul is None:
        return None
    soul = source.wizard.soul
    return {
        "seal": hashlib.sha256(source.soul).hexdigest(),
        "place": None if soul is None or soul.place is None else _below(root, soul.place),
    }


def _inputs(source: WizardSource, entries: Sequence[Entry]) -> WizardInputs:
    wizard = source.wizard
    name, home = wizard.name, f"wizards/{wizard.name}"
    if any(file.secret for file in wizard.files):
        raise ConfigError("a secret has no place in a release", where=f"wizards.{name}.files")
    if len(source.files) != len(wizard.files):
        raise ConfigError("not every file was rendered", where=f"wizards.{name}.files")
    by_path = {entry.path: entry for entry in entries}
    soul = None
    if wizard.soul is not None and source.soul is not None:
        soul = SoulEntry(f"{home}/soul", by_path[f"{home}/soul"].sha256, wizard.soul.place)
    files = tuple(
        FileEntry(f"{home}/files/{number}", file.place, file.mode)
        for number, file in enumerate(wizard.files)
    )
    sockets = [f"fleet-agent@{name}.socket"]
    if source.hook is not None:
        sockets.append(f"fleet-hook@{name}.socket")
    runtime = _runtime(wizard)
    return WizardInputs(
        name=name,
        input=digest_of(_daemon_entries(name, source.hook is not None, entries)),
        runtime_input=_runtime_digest(name, entries, soul, files, runtime),
        account=f"fa-{name}",
        user=unitfile.account(wizard.user),
        soul=soul,
        files=files,
        state=tuple(wizard.state),
        address=wizard.listen.address,
        port=wizard.listen.port,
        hook=source.hook.port if source.hook is not None else 0,
        daemon=f"fleet-agent@{name}.service",
        sockets=tuple(sockets),
        runtime=runtime,
        secrets=source.secrets,
        runner=_runner(wizard, entries),
        tls=wizard.tls,
    )


def _runtime(wizard: Wizard) -> RuntimeUnit | None:
    if wizard.runtime is None:
        return None
    if wizard.runtime.command is not None:
        return RuntimeUnit(f"fleet-wizard@{wizard.name}.service", "system")
    return RuntimeUnit(str(wizard.runtime.unit), wizard.runtime.scope)


def _runner(wizard: Wizard, entries: Sequence[Entry]) -> RunnerUnits | None:
    if not _runs_handlers(wizard):
        return None
    units = _entries_of(["fleet-exec@"], wizard.name, entries)
    service, socket = (f"fleet-exec@{wizard.name}.{kind}" for kind in ("service", "socket"))
    return RunnerUnits(service, socket, digest_of(units))


def _daemon_entries(name: str, hook: bool, entries: Sequence[Entry]) -> Iterator[Entry]:
    return _entries_of(["fleet-agent@"] + (["fleet-hook@"] if hook else []), name, entries)


def _entries_of(stems: Sequence[str], name: str, entries: Sequence[Entry]) -> Iterator[Entry]:
    """What a process of ours is made of: code, the wizard's settings, the units of ``stems``."""
    units = tuple(f"units/{stem}{who}." for stem in stems for who in ("", name))
    for entry in entries:
        path = entry.path
        if path.startswith(("code/", *units)) or path == f"wizards/{name}/settings.json":
            yield entry


def _runtime_digest(
    name: str,
    entries: Sequence[Entry],
    soul: SoulEntry | None,
    files: Sequence[FileEntry],
    runtime: RuntimeUnit | None,
) -> str:
    home = f"wizards/{name}/"
    own = [f"{home}soul", f"{home}files/"]
    if runtime is not None and runtime.unit == f"fleet-wizard@{name}.service":
        own += [f"units/{WIZARD_TEMPLATE}", f"units/{runtime.unit}.d/"]
    places = [[file.place, file.mode] for file in files]
    return digest_of(
        (entry for entry in entries if entry.path.startswith(tuple(own))),
        [places, soul.place if soul else None, list(runtime) if runtime else None],
    )
