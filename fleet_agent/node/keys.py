"""Phase keys: pair keys, tokens, certificates and secret files, placed where they changed and used.

Keys only go forward: no way back restores one, and two epochs bridge it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from fleet_agent.errors import NodeError
from fleet_agent.node import arm, durable, health, keyfiles, keyruntimes, saved, steps
from fleet_agent.node.accounts import gid_of, uid_of
from fleet_agent.node.act import Act, Outcome
from fleet_agent.node.keyfiles import AUTHORITIES, LOCAL, PAIR, PAIRS, SECRET, TOKENS, KeyFile
from fleet_agent.node.layout import ETC, VAR
from fleet_agent.node.place import FILE, Found, Owner, Places
from fleet_agent.node.units import Ref
from fleet_agent.release.manifest import Manifest

_PLACED: Final = f"{VAR}/node/keys.json"
_MOST_BYTES: Final = 64 * 1024 * 1024
_PAUSE_SECONDS: Final = 0.02
_TOKEN_BYTES: Final = 32


class Ready(NamedTuple):
    """A file with its content: what came, what is there, or a token just made. ``old`` is there."""

    file: KeyFile
    data: bytes
    old: bytes | None
    right: bool


def run(act: Act) -> Outcome:
    """Raises NodeError, PlaceError, UnitError, or SpecError for a parcel that is none."""
    if act.spec.back:
        return Outcome(evidence={"keys": "only go forward"})
    if not act.spec.check:
        arm.hear(act)
    wanted = act.spec.wanted
    where = Places(act.layout.root, unprivileged=act.layout.unprivileged)
    ready = [_look(act, where, file) for file in keyfiles.of_parcel(act.parcel, wanted)]
    wrong = [one for one in ready if not one.right]
    stale = _stale(act, wanted, ready)
    changed = bool(wrong or stale)
    told = _evidence(ready)
    diff = (
        *(_difference(one, wanted) for one in wrong),
        *((place, "removed\n") for place in stale),
    )
    if act.spec.check:
        return Outcome(changed, diff, {"keys": told})
    act.step(steps.KEYS_LOOKED)
    for one in wrong:
        where.write(one.file.place, one.data, one.file.mode, _owner(act, one.file))
    _remove(act, where, stale, ready)
    act.step(steps.KEYS_PLACED)
    reloaded = _into_use(act, wanted, ready, {one.file.wizard for one in wrong})
    restarted = keyruntimes.restart(act, wanted)
    act.step(steps.KEYS_IN_USE)
    done = {"placed": [one.file.place for one in wrong], "removed": list(stale)}
    did = {"reloaded": reloaded, "restarted": restarted}
    return Outcome(
        changed or bool(reloaded or restarted),
        diff,
        {"keys": told, "did": {verb: what for verb, what in (done | did).items() if what}},
    )


def _look(act: Act, where: Places, file: KeyFile) -> Ready:
    """What is to lie at a place, and whether it does."""
    found = where.look(file.place)
    old = where.read(file.place, _MOST_BYTES) if found.kind == FILE else None
    data = file.data
    if data is None:
        data = old if old and old.strip() else os.urandom(_TOKEN_BYTES).hex().encode() + b"\n"
    return Ready(file, data, old, data == old and _is_owned(act, file, found))


def _is_owned(act: Act, file: KeyFile, found: Found) -> bool:
    if found.mode != file.mode:
        return False
    return act.layout.unprivileged or (found.uid, found.gid) == (
        uid_of(file.user),
        gid_of(file.group),
    )


def _owner(act: Act, file: KeyFile) -> Owner | None:
    if act.layout.unprivileged:
        return None
    uid, gid = uid_of(file.user), gid_of(file.group)
    if uid is None or gid is None:
        raise NodeError("there is no such account", where=f"{file.user} for {file.place}")
    return Owner(uid, gid)


def _difference(one: Ready, wanted: Manifest) -> tuple[str, str]:
    """A place and what changes there, without a word of it."""
    file = one.file
    if file.kind == PAIRS:
        text = keyfiles.difference(one.old, one.data)
    elif file.kind == TOKENS:
        text = keyfiles.token_difference(one.old, one.data)
    elif file.kind in (AUTHORITIES, PAIR):
        text = keyfiles.certificate_difference(one.old, one.data)
    elif file.kind == LOCAL:
        text = "a new token for the local agent\n" if one.old is None else "mode or owner\n"
    else:
        text = f"{'a new secret' if one.old is None else 'the secret changes'}: "
        text += f"keyed digest {_digest_of(file, wanted)}\n"
    return file.place, text


def _digest_of(file: KeyFile, wanted: Manifest) -> str:
    return next(
        entry.digest
        for wizard in wanted.wizards
        for entry in wizard.secrets
        if wizard.name == file.wizard and entry.place == file.place
    )


def _evidence(ready: Iterable[Ready]) -> dict[str, dict[str, str]]:
    """Key ids by wizard and peer."""
    return {
        one.file.wizard: {peer: " ".join(ids) for peer, ids in keyfiles.ids(one.data).items()}
        for one in ready
        if one.file.kind == PAIRS
    }


def _stale(act: Act, wanted: Manifest, ready: Iterable[Ready]) -> tuple[str, ...]:
    """Places of earlier parcels that neither this release nor the one before it declares.

    One deploy later than they could: a way back of this one must find them still.
    """
    kept = {one.file.place for one in ready}
    if act.journal is not None:
        before = saved.load(act.layout, act.spec.nonce).manifest
        for wizard in () if before is None else before.wizards:
            kept |= {secret.place for secret in wizard.secrets}
            kept |= {place for place in _placed(act) if place.startswith(f"{ETC}/{wizard.name}/")}
    in_release = {file.place for wizard in wanted.wizards for file in wizard.files}
    return tuple(place for place in _placed(act) if place not in kept | in_release)


def _placed(act: Act) -> tuple[str, ...]:
    return tuple((durable.read_json(act.layout.at(_PLACED)) or {}).get("places", ()))


def _remove(act: Act, where: Places, stale: Iterable[str], ready: Iterable[Ready]) -> None:
    for place in stale:
        where.remove(place)
        if place.startswith(f"{ETC}/"):
            where.remove_directory(os.path.dirname(place))
            where.remove_directory(os.path.dirname(os.path.dirname(place)))
    places = {*_placed(act), *(one.file.place for one in ready)} - set(stale)
    if tuple(sorted(places)) != _placed(act):
        durable.directory(act.layout.node, 0o700)
        durable.write_json(act.layout.at(_PLACED), {"places": sorted(places)})


def _into_use(act: Act, wanted: Manifest, ready: Iterable[Ready], changed: set[str]) -> list[str]:
    """Let each daemon that runs with other keys than lie there read them anew; which did.

    What runs decides, not what this run has written: an earlier one may have been cut short.
    """
    held: dict[str, dict[str, bytes]] = {}
    for one in ready:
        if one.file.kind != SECRET:
            held.setdefault(one.file.wizard, {})[one.file.kind] = one.data
    waited: dict[str, frozenset[str]] = {}
    refs: list[Ref] = []
    for wizard in wanted.wizards:
        right = _right(act, wizard.name, held[wizard.name])
        answer = health.ask(act.layout.socket(wizard.name))
        if answer.why or answer.keys in right:
            continue  # one that does not answer is a matter of phase verify
        if answer.keys:
            waited[wizard.name] = right
        elif wizard.name not in changed:
            continue  # a daemon of a version that does not tell its keys
        refs.append(Ref(wizard.daemon))
    if refs:
        act.units.reload(refs)
        _wait(act, waited)
    return [ref.key for ref in refs]


def _right(act: Act, wizard: str, brought: Mapping[str, bytes]) -> frozenset[str]:
    """The digests of a daemon that has read what lies there.

    Certificates of before lie there for one deploy longer; daemons of before TLS don't see them.
    """
    places = Places(act.layout.root, unprivileged=act.layout.unprivileged)
    left = {
        kind: places.read(place, _MOST_BYTES)
        for kind, place in keyfiles.tls_places(wizard).items()
        if kind not in brought and places.look(place).kind == FILE
    }
    return frozenset((keyfiles.digest(brought), keyfiles.digest({**left, **brought})))


def _wait(act: Act, waited: Mapping[str, frozenset[str]]) -> None:
    deadline = time.monotonic() + act.spec.limits["deploy_ready_seconds"]
    for name, right in waited.items():
        while True:
            answer = health.ask(act.layout.socket(name))
            if answer.keys in right:
                break
            if time.monotonic() > deadline:
                said = "; ".join(answer.output) or answer.why or "it says nothing of it"
                raise NodeError(f"did not take its keys: {said}", where=f"wizard {name}")
            time.sleep(_PAUSE_SECONDS)
