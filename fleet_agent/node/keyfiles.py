"""The files of keys that a node is to have, from the parcel that brings them; what may be shown.

Pure. Only key ids, peers and epochs ever leave here as text.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from fleet_agent.node.errors import SpecError
from fleet_agent.node.layout import ETC
from fleet_agent.release.manifest import Manifest, SecretEntry, WizardInputs
from fleet_agent.wire import TLS_CA_FILE, TLS_PAIR_FILE

VERSION: Final = 1
PAIRS: Final = "pairs"
TOKENS: Final = "tokens"
LOCAL: Final = "local token"
PAIR: Final = "TLS key and certificate"
AUTHORITIES: Final = "CA certificates"
# What a daemon reads, in the order of its digest; those of TLS only where they are.
READ: Final = (PAIRS, TOKENS, LOCAL, AUTHORITIES, PAIR)
SECRET: Final = "secret"  # noqa: S105 (a kind of file)
_ID_DIGITS: Final = 12
_FINGERPRINT_DIGITS: Final = 16
_CERTIFICATE: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----\s(.*?)-----END CERTIFICATE-----", re.S
)


class KeyFile(NamedTuple):
    """One file, and whose it is. ``data`` None: whatever is there, or something new."""

    kind: str
    wizard: str
    place: str
    data: bytes | None
    mode: int
    user: str
    group: str

    def __repr__(self) -> str:
        return f"KeyFile({self.kind} of {self.wizard}: {self.place})"  # a repr ends in logs


def keys_dir(wizard: str) -> str:
    """Where the keys of a wizard's daemon lie."""
    return f"{ETC}/{wizard}/keys"


def tls_places(wizard: str) -> dict[str, str]:
    """Where certificates lie, by kind."""
    folder = keys_dir(wizard)
    return {AUTHORITIES: f"{folder}/{TLS_CA_FILE}", PAIR: f"{folder}/{TLS_PAIR_FILE}"}


def of_parcel(parcel: bytes, wanted: Manifest) -> tuple[KeyFile, ...]:
    """Every file that ``parcel`` brings for the wizards of ``wanted``. Raises SpecError.

    A parcel that lacks one of them, or has a secret that the release does not declare, is refused.
    """
    if not wanted.wizards:
        return ()
    try:
        data = json.loads(parcel)
        if data["v"] != VERSION:
            raise SpecError(f"is not of version {VERSION}", where="parcel")
        return tuple(
            file
            for wizard in wanted.wizards
            for file in _of_wizard(wizard, data["wizards"][wizard.name])
        )
    except (ValueError, KeyError, TypeError, NotBase64) as error:
        # The error's own words may quote what is in there.
        raise SpecError(f"is not what phase keys brings ({type(error).__name__})", where="parcel") \
            from None  # fmt: skip


def _of_wizard(wizard: WizardInputs, brought: Mapping[str, Any]) -> tuple[KeyFile, ...]:
    name, folder = wizard.name, keys_dir(wizard.name)
    pairs = _canonical({"v": VERSION, "wizard": name, "pairs": brought["pairs"]})
    tokens = _canonical({"v": VERSION, "wizard": name, "tokens": brought["tokens"]})
    mine = wizard.account
    contents = {one["place"]: b64decode(one["content"]) for one in brought["secrets"]}
    if set(contents) != {one.place for one in wizard.secrets}:
        raise SpecError(
            f"brings other secrets than the release declares for {name}", where="parcel"
        )
    return (
        KeyFile(PAIRS, name, f"{folder}/pairs.json", pairs, 0o600, mine, mine),
        KeyFile(TOKENS, name, f"{folder}/tokens.json", tokens, 0o600, mine, mine),
        KeyFile(LOCAL, name, f"{folder}/token", None, 0o640, mine, wizard.user),
        *_tls(wizard, brought.get("tls", {})),
        *(_secret(wizard, one, contents[one.place]) for one in wizard.secrets),
    )


def _tls(wizard: WizardInputs, brought: Mapping[str, str]) -> Iterator[KeyFile]:
    name, mine, places = wizard.name, wizard.account, tls_places(wizard.name)
    if wizard.tls and "pair" not in brought:
        raise SpecError(f"brings no certificate for {name}, which speaks TLS", where="parcel")
    if "authorities" in brought:  # everybody of this machine may know whom to believe
        data = brought["authorities"].encode("ascii")
        yield KeyFile(AUTHORITIES, name, places[AUTHORITIES], data, 0o644, mine, mine)
    if wizard.tls:
        data = brought["pair"].encode("ascii")
        yield KeyFile(PAIR, name, places[PAIR], data, 0o600, mine, mine)


def _secret(wizard: WizardInputs, entry: SecretEntry, data: bytes) -> KeyFile:
    return KeyFile(
        SECRET, wizard.name, entry.place, data, entry.mode & 0o770, wizard.user, wizard.user
    )


def ids(pairs: bytes | None) -> dict[str, tuple[str, ...]]:
    """Peer → ``epoch:key id`` of what a pairs.json holds; nothing for what can't be read."""
    try:
        held = json.loads(pairs or b"{}").get("pairs", {})
        return {
            str(peer): tuple(f"{int(one['epoch'])}:{_id(b64decode(one['key']))}" for one in keys)
            for peer, keys in held.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, NotBase64):
        return {}


def _id(key: bytes) -> str:
    return hashlib.sha256(b"fleet-agent key id\0" + key).hexdigest()[:_ID_DIGITS]


def difference(old: bytes | None, new: bytes) -> str:
    """What replacing one pairs.json by another means, a key id a line."""
    before = {(peer, one) for peer, keys in ids(old).items() for one in keys}
    after = {(peer, one) for peer, keys in ids(new).items() for one in keys}
    lines = [f"-{peer} {one}" for peer, one in sorted(before - after)]
    lines += [f"+{peer} {one}" for peer, one in sorted(after - before)]
    return "\n".join(lines) + "\n" if lines else "mode or owner, or another form of the same keys\n"


def token_difference(old: bytes | None, new: bytes) -> str:
    """The same for tokens.json: ids and whose they are."""
    before, after = _tokens(old), _tokens(new)
    lines = [f"-token {one} of {whose}" for one, whose in sorted(before - after)]
    lines += [f"+token {one} of {whose}" for one, whose in sorted(after - before)]
    return "\n".join(lines) + "\n" if lines else "mode or owner\n"


def _tokens(data: bytes | None) -> set[tuple[str, str]]:
    try:
        return {
            (str(one["id"]), str(one["principal"])) for one in json.loads(data or b"{}")["tokens"]
        }
    except (ValueError, KeyError, TypeError):
        return set()


def certificate_difference(old: bytes | None, new: bytes) -> str:
    """The same for files of certificates: their fingerprints."""
    before, after = _fingerprints(old), _fingerprints(new)
    lines = [f"-certificate {one}" for one in before if one not in after]
    lines += [f"+certificate {one}" for one in after if one not in before]
    return "\n".join(lines) + "\n" if lines else "mode or owner\n"


def _fingerprints(pem: bytes | None) -> list[str]:
    found = _CERTIFICATE.findall(pem or b"")
    return [hashlib.sha256(b64decode(one)).hexdigest()[:_FINGERPRINT_DIGITS] for one in found]


def digest(files: Mapping[str, bytes]) -> str:
    """What a daemon that has read these files, by kind, tells in its health (``bus.keyring``)."""
    read = [files[kind] for kind in READ if kind in files]
    return hashlib.sha256(b"\0".join(read)).hexdigest()[:_ID_DIGITS]


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"
