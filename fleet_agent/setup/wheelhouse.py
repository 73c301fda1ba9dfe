"""Wheels for the orchestrator's Python, fetched on the operator's side: nodes reach no registry.

Kept in the operator's cache by what was asked for, so the second bootstrap fetches nothing.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fleet_agent import proc
from fleet_agent.errors import ConfigError, FleetError

# Supported: from the one of Debian 12 to the newest. The lab's tests run both ends, and 2.19.
OLDEST: Final = (2, 14)
NEWEST: Final = (2, 21)
# The newest of these that supports the orchestrator's Python: 2.19 for 3.11, newer for newer.
REQUIREMENTS: Final = (f"ansible-core>=2.19,<{NEWEST[0]}.{NEWEST[1] + 1}", "PyYAML>=6.0")
_VERSION: Final = re.compile(r"(\d+)\.(\d+)(\.\d+)?", re.ASCII)
FETCH_SECONDS: Final = 600.0
_WHOLE: Final = ".whole"
# manylinux tags begin at glibc 2.5 (PEP 600); pip wants each older one named that is good too.
_OLDEST_GLIBC: Final = 5


class WheelhouseError(FleetError):
    """The wheels for the orchestrator could not be had."""

    title = "no wheels for the orchestrator"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The Python that wheels are wanted for: version, machine (``x86_64``) and its glibc."""

    major: int
    minor: int
    machine: str
    glibc: tuple[int, int]

    @property
    def version(self) -> str:
        """``3.11``."""
        return f"{self.major}.{self.minor}"

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platform tags that run there, the newest first."""
        major, minor = self.glibc
        return (
            *(
                f"manylinux_{major}_{number}_{self.machine}"
                for number in range(minor, _OLDEST_GLIBC - 1, -1)
            ),
            f"manylinux2014_{self.machine}",
            f"linux_{self.machine}",
        )


@dataclass(frozen=True, slots=True)
class Wheelhouse:
    """Wheels by file name. ``digest`` names the environment that is made of them."""

    wheels: tuple[tuple[str, bytes], ...]
    digest: str
    requirements: tuple[str, ...]

    def tar(self) -> bytes:
        """All wheels as one tar, as ``setup.remote.venv`` takes it."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            for name, data in self.wheels:
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
        return out.getvalue()


def requirements_of(ansible_core: str) -> tuple[str, ...]:
    """What is asked for: the newest ansible-core for "", else this one ("2.14" or "2.14.18").

    Raises ConfigError for one that is not supported.
    """
    if not ansible_core:
        return REQUIREMENTS
    found = _VERSION.fullmatch(ansible_core)
    if found is None or not OLDEST <= (int(found[1]), int(found[2])) <= NEWEST:
        raise ConfigError(
            f"{ansible_core!r} is no supported version of ansible-core",
            where="--ansible-core",
            mend=f"from {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}, such as 2.19",
        )
    exact = ansible_core if found[3] else f"{ansible_core}.*"
    return (f"ansible-core=={exact}", *REQUIREMENTS[1:])


def interpreter_of(facts: Mapping[str, object]) -> Interpreter:
    """The interpreter that ``setup.remote.look`` found. Raises ConfigError where no wheel runs."""
    python, libc = facts["python"], facts["glibc"]
    if not isinstance(python, list) or facts["implementation"] != "cpython":
        raise ConfigError("the orchestrator's python3 is no CPython")
    if not isinstance(libc, list) or libc[0] != "glibc":
        raise ConfigError("the orchestrator has no glibc, so no manylinux wheel runs on it")
    major, minor = (int(part) for part in str(libc[1]).split(".")[:2])
    return Interpreter(python[0], python[1], str(facts["machine"]), (major, minor))


def gather(
    interpreter: Interpreter,
    own: tuple[str, bytes],
    cache: Path,
    requirements: Sequence[str] = REQUIREMENTS,
) -> Wheelhouse:
    """Wheels of ``requirements`` for ``interpreter``, from the cache or by pip, and ``own``.

    Raises WheelhouseError with pip's own last words when they can't be had.
    """
    fetched = _fetched(interpreter, cache, requirements)
    wheels = [(path.name, path.read_bytes()) for path in sorted(fetched.glob("*.whl"))]
    wheels.append(own)
    digest = hashlib.sha256(interpreter.version.encode())
    for name, data in wheels:
        digest.update(f"{name} {hashlib.sha256(data).hexdigest()}\n".encode())
    # What was fetched is pinned by name, so that pip on the other side has nothing to choose.
    pinned = tuple(_requirement(name) for name, _ in wheels)
    return Wheelhouse(tuple(wheels), digest.hexdigest()[:32], pinned)


def cache_directory() -> Path:
    """Where wheels are kept on the operator's side (XDG)."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base, "fleet-agent", "wheels")


def pip_arguments(interpreter: Interpreter, into: str, requirements: Sequence[str]) -> list[str]:
    """pip's arguments for wheels that run on ``interpreter``, whatever runs here."""
    tag = f"{interpreter.major}{interpreter.minor}"
    arguments = [
        "--disable-pip-version-check", "download", "--quiet", "--only-binary=:all:",
        "--dest", into, "--implementation", "cp", "--python-version", interpreter.version,
        "--abi", f"cp{tag}", "--abi", "abi3", "--abi", "none",
    ]  # fmt: skip
    for platform in interpreter.platforms:
        arguments += ["--platform", platform]
    return [*arguments, *requirements]


def _fetched(interpreter: Interpreter, cache: Path, requirements: Sequence[str]) -> Path:
    said = repr((tuple(requirements), interpreter.version, interpreter.machine, interpreter.glibc))
    kept = cache / hashlib.sha256(said.encode()).hexdigest()[:20]
    if (kept / _WHOLE).exists():
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".fetching-", dir=cache))
    try:
        _download(interpreter, str(fresh), requirements)
        (fresh / _WHOLE).touch()
        shutil.rmtree(kept, ignore_errors=True)
        fresh.rename(kept)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return kept


def _download(interpreter: Interpreter, into: str, requirements: Sequence[str]) -> None:
    complaint = ""
    for pip in _pips():
        try:
            argv = [*pip, *pip_arguments(interpreter, into, requirements)]
            proc.run(argv, timeout_seconds=FETCH_SECONDS)
            return
        except proc.ProcessError as error:
            complaint = error.what
            if "No module named pip" not in complaint and "could not be started" not in complaint:
                break
    raise WheelhouseError(
        f"pip could not fetch {' and '.join(requirements)} for Python {interpreter.version} on "
        f"{interpreter.machine}: {complaint}",
        where="this machine",
        mend="this machine must reach a package index (pip's own configuration holds, proxies "
        "and mirrors too); then run bootstrap again",
    )


def _pips() -> Sequence[list[str]]:
    """Ways to call pip; an environment made by pipx or uv may have none of its own."""
    return ([sys.executable, "-m", "pip"], ["python3", "-m", "pip"], ["pip3"], ["pip"])


def _requirement(wheel: str) -> str:
    """``name==version`` of a wheel's file name (PEP 427)."""
    name, version = wheel.split("-")[:2]
    return f"{name}=={version}"
