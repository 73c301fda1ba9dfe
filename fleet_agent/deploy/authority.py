"""The fleet's own CA: its key, and the wizards' keys and certificates, made with ``openssl``.

Files below ``<state>/keys/tls``, 0600, each whole or not there. Secrets never stand in an argument
list. Not for who gets what (``parcel``) or which names a wizard has (``tlsnames``).
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, NamedTuple

from fleet_agent import certificate, proc
from fleet_agent.certificate import Certificate
from fleet_agent.deploy.keyfile import Files, KeyStoreError
from fleet_agent.deploy.rotation import Rotation
from fleet_agent.deploy.tlsnames import is_address
from fleet_agent.errors import RequestError

VERSION: Final = 1
_DAY: Final = 86400
# Clocks differ; what is made now must be good for those who are behind.
_BACK_SECONDS: Final = 3600
_OPENSSL_SECONDS: Final = 30.0
_STATE: Final = "state.json"
_CURVE: Final = "ec_paramgen_curve:P-256"
_CERTIFICATE: Final = re.compile(
    r"-----BEGIN CERTIFICATE-----\n.*?-----END CERTIFICATE-----\n", re.S
)
_CONFIG: Final = """\
[req]
distinguished_name = nothing
prompt = no
[nothing]
[ca]
default_ca = ours
[ours]
database = {folder}/index
new_certs_dir = {folder}
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
organizationName = supplied
commonName = supplied
[root]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[wizard]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
{names}
"""


@dataclass(frozen=True, slots=True)
class Days:
    """For how many days certificates are made, and with how many left a deploy renews one."""

    authority: float = 3650
    certificate: float = 365
    renew: float = 90


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one wizard's daemon proves itself with. ``ca`` is the number of who signed."""

    ca: int
    names: tuple[str, ...]
    key: str
    certificate: str

    def __repr__(self) -> str:
        return f"Credentials(ca={self.ca}, names={self.names})"  # a repr ends in logs


class _Wish(NamedTuple):
    """A certificate to be made: for whom, with which key, from when to when."""

    fleet: str
    name: str
    key: str
    now: float
    until: float


class Authority:
    """The files below ``directory``. One thread at a time may ``prepare``."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._files = Files(directory)
        self._lock = threading.Lock()
        self._wizards = Files(os.path.join(directory, "wizards"))

    @property
    def exists(self) -> bool:
        """Whether there is a CA: it is made when the first wizard wants TLS."""
        return self._files.read(_STATE) is not None

    def rotation(self) -> Rotation:
        """Where rotation stands. Raises KeyStoreError."""
        data = self._files.object(_STATE, VERSION)
        try:
            return Rotation(**(data or {}))
        except TypeError as error:
            raise KeyStoreError(str(error), where=self._files.path(_STATE)) from error

    def authorities(self) -> tuple[tuple[int, str], ...]:
        """Number and certificate (PEM) of each CA to believe, the newest first.

        One that a rotation has just asked for is made by the next deploy.
        """
        rotation = self.rotation()
        return tuple(
            (number, self._authority(number))
            for number in rotation.valid
            if number <= rotation.trusted or self._has(number)
        )

    def bundle(self) -> str:
        """All certificates to believe, as one PEM text."""
        return "".join(pem for _, pem in self.authorities())

    def wizards(self) -> tuple[str, ...]:
        """Who has a certificate, by name."""
        names = sorted(os.listdir(self._wizards.directory))
        return tuple(name.removesuffix(".json") for name in names if name.endswith(".json"))

    def credentials(self, wizard: str) -> Credentials | None:
        """Key and certificate of ``wizard``; None where it has none. Raises KeyStoreError."""
        data = self._wizards.object(f"{wizard}.json", VERSION)
        try:
            return None if data is None else Credentials(**{**data, "names": tuple(data["names"])})
        except (TypeError, KeyError) as error:
            raise KeyStoreError(
                f"is damaged: {error}", where=self._wizards.path(f"{wizard}.json")
            ) from error

    def prepare(
        self, fleet: str, wanted: Mapping[str, Sequence[str]], days: Days, *, now: float
    ) -> Rotation:
        """Make what is missing, was made for other names or by another CA, or ends too soon.

        ``wanted``: wizards with the names and addresses that they are reached by; nothing is made
        where it is empty. Raises KeyStoreError.
        """
        if not wanted and not self.exists:
            return Rotation()
        self._files.make_directory()
        self._wizards.make_directory()
        rotation = self.rotation()
        for number in range(1, rotation.current + 1):
            if number in (*rotation.valid, rotation.signs) and not self._has(number):
                self._make_authority(fleet, number, rotation, days, now)
        if not self.exists:
            self._write(rotation)
        signs = rotation.signs
        end = certificate.read(self._authority(signs)).not_after
        until = min(now + days.certificate * _DAY, end)
        for wizard, names in wanted.items():
            if not self._is_good(wizard, tuple(names), signs, now + days.renew * _DAY, until):
                wish = _Wish(fleet, wizard, self._new_key(), now, until)
                self._provide(wish, tuple(names), signs)
        return rotation

    def rotate(self, now: float, by: str) -> Rotation:
        """Begin to go over to another CA; a deploy makes it, and every node believes both.

        Raises RequestError (409) while the rotation before is under way.
        """
        with self._lock:
            before = self.rotation()
            if not self.exists:
                raise RequestError(
                    "there is no CA: no wizard speaks TLS", status=409, where="tls rotate",
                    mend="say `tls: true` in fleet.yaml, and deploy",
                )  # fmt: skip
            if not before.is_over:
                raise RequestError(
                    f"not every node has its certificate of CA {before.current} yet",
                    status=409,
                    where="tls rotate",
                    mend="fleet-agent deploy, until `fleet-agent tls show` says that it is over",
                )
            after = replace(before, current=before.current + 1, rotated_at=now, rotated_by=by)
            self._write(after)
            return after

    def verified(self, placed: Rotation) -> None:
        """Note that what a deploy placed, made at ``placed``, is known to be on every node."""
        with self._lock:
            now = self.rotation()
            after = replace(
                now,
                trusted=max(now.trusted, placed.current),
                issued=max(now.issued, placed.signs),
            )
            if after != now:
                self._write(after)

    # Making.

    def _is_good(
        self, wizard: str, names: tuple[str, ...], ca: int, least: float, until: float
    ) -> bool:
        """Whether there is a certificate that is good for longer than ``least``, or as long as a
        new one would be: what the CA's own end cuts short would be no longer the next time."""
        have = self.credentials(wizard)
        if have is None or have.ca != ca or have.names != names:
            return False
        end = facts(have).not_after
        return end > least or end > until - _DAY

    def _provide(self, wish: _Wish, names: tuple[str, ...], ca: int) -> None:
        path = self._files.path(_authority_file(ca))
        how = ["-extensions", "wizard", "-keyfile", path, "-cert", path]
        with self._room(f"subjectAltName = @names\n[names]\n{_names(names)}") as folder:
            made = Credentials(ca, names, wish.key, self._signed(folder, wish, how))
        self._wizards.write(f"{wish.name}.json", _json({"v": VERSION, **asdict(made)}))

    def _make_authority(
        self, fleet: str, number: int, rotation: Rotation, days: Days, now: float
    ) -> None:
        if number <= rotation.trusted:
            raise KeyStoreError(
                "the key of the CA is gone, while there are certificates made with it",
                where=self._files.path(_authority_file(number)),
                mend="put it back from a backup; or remove this directory and deploy: until that "
                "deploy's end the nodes don't believe each other",
            )
        end = now + days.authority * _DAY
        wish = _Wish(fleet, f"fleet-agent CA {number}", self._new_key(), now, end)
        with self._room("") as folder:
            path = os.path.join(folder, "key")
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                out.write(wish.key)
            how = ["-extensions", "root", "-selfsign", "-keyfile", path]
            pem = self._signed(folder, wish, how)
        self._files.write(_authority_file(number), (wish.key + pem).encode())

    def _new_key(self) -> str:
        return self._openssl(["genpkey", "-algorithm", "EC", "-pkeyopt", _CURVE]).decode("ascii")

    def _signed(self, folder: str, wish: _Wish, how: list[str]) -> str:
        config = ["-config", os.path.join(folder, "config")]
        subject = f"/O={wish.fleet}/CN={wish.name}"
        request = self._openssl(
            ["req", "-new", *config, "-subj", subject, "-key", "/dev/stdin"], wish.key.encode()
        )
        times = ["-startdate", _stamp(wish.now - _BACK_SECONDS), "-enddate", _stamp(wish.until)]
        words = ["ca", "-batch", "-notext", *config, *how, *times, "-in", "/dev/stdin"]
        return self._openssl(words, request).decode("ascii")

    @contextmanager
    def _room(self, names: str) -> Iterator[str]:
        """A folder in which ``openssl ca`` may keep its books, for one certificate."""
        with tempfile.TemporaryDirectory(prefix=".making-", dir=self.directory) as folder:
            text = _CONFIG.format(folder=folder, names=names)
            for name, content in (("config", text), ("index", "")):
                with open(os.path.join(folder, name), "w", encoding="ascii") as out:
                    out.write(content)
            yield folder

    def _openssl(self, words: list[str], given: bytes = b"") -> bytes:
        try:
            return proc.run(["openssl", *words], timeout_seconds=_OPENSSL_SECONDS, stdin=given).out
        except proc.ProcessError as error:
            raise KeyStoreError(
                error.what,
                where=error.where,
                mend="TLS needs the command openssl on the orchestrator: apt-get install openssl",
            ) from error

    # Files.

    def _has(self, number: int) -> bool:
        return self._files.read(_authority_file(number)) is not None

    def _authority(self, number: int) -> str:
        raw = self._files.read(_authority_file(number))
        found = _CERTIFICATE.search((raw or b"").decode("ascii", "replace"))
        if found is None:
            raise KeyStoreError(
                "holds no certificate" if raw else "is not there",
                where=self._files.path(_authority_file(number)),
                mend="fleet-agent deploy makes it",
            )
        return found[0]

    def _write(self, rotation: Rotation) -> None:
        self._files.write(_STATE, _json({"v": VERSION, **asdict(rotation)}))


def facts(credentials: Credentials) -> Certificate:
    """From when to when a wizard's certificate is good, and its fingerprint."""
    return certificate.read(credentials.certificate)


def _authority_file(number: int) -> str:
    return f"ca-{number}.pem"


def _names(names: Iterable[str]) -> str:
    kinds = ("IP" if is_address(name) else "DNS" for name in names)
    return "".join(
        f"{kind}.{number} = {name}\n"
        for number, (kind, name) in enumerate(zip(kinds, names, strict=True), 1)
    )


def _stamp(at: float) -> str:
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(at))


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"
