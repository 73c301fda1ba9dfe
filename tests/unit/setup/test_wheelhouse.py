"""Wheels for another Python: what pip is asked for, and what is kept."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from fleet_agent.errors import ConfigError
from fleet_agent.setup import wheelhouse
from fleet_agent.setup.wheelhouse import (
    Interpreter,
    gather,
    interpreter_of,
    pip_arguments,
    requirements_of,
)

BOOKWORM = Interpreter(3, 11, "x86_64", (2, 36))
OWN = ("fleet_agent-0.1.0-py3-none-any.whl", b"own")


def kept(cache: Path, interpreter: Interpreter) -> Path:
    """A cache in which pip has been already."""
    said = repr(
        (wheelhouse.REQUIREMENTS, interpreter.version, interpreter.machine, interpreter.glibc)
    )
    directory = cache / hashlib.sha256(said.encode()).hexdigest()[:20]
    directory.mkdir(parents=True)
    (directory / "ansible_core-2.19.14-py3-none-any.whl").write_bytes(b"ansible")
    (directory / "pyyaml-6.0.3-cp311-cp311-manylinux2014_x86_64.whl").write_bytes(b"yaml")
    (directory / ".whole").touch()
    return directory


def test_pip_is_asked_for_the_other_machines_python_and_nothing_to_build() -> None:
    words = pip_arguments(BOOKWORM, "/into", wheelhouse.REQUIREMENTS)
    assert "--only-binary=:all:" in words
    assert words[words.index("--python-version") + 1] == "3.11"
    platforms = [words[i + 1] for i, word in enumerate(words) if word == "--platform"]
    assert platforms[0] == "manylinux_2_36_x86_64"
    assert "manylinux_2_17_x86_64" in platforms
    assert "manylinux2014_x86_64" in platforms
    assert "manylinux_2_37_x86_64" not in platforms
    assert words[-2:] == list(wheelhouse.REQUIREMENTS)


def test_the_cache_answers_without_pip(tmp_path: Path) -> None:
    kept(tmp_path, BOOKWORM)
    house = gather(BOOKWORM, OWN, tmp_path)
    assert house.requirements == ("ansible_core==2.19.14", "pyyaml==6.0.3", "fleet_agent==0.1.0")
    assert house.wheels[-1] == OWN


def test_the_digest_names_what_is_in_it(tmp_path: Path) -> None:
    directory = kept(tmp_path, BOOKWORM)
    first = gather(BOOKWORM, OWN, tmp_path).digest
    assert gather(BOOKWORM, OWN, tmp_path).digest == first
    assert gather(BOOKWORM, (OWN[0], b"newer"), tmp_path).digest != first
    (directory / "pyyaml-6.0.3-cp311-cp311-manylinux2014_x86_64.whl").write_bytes(b"other")
    assert gather(BOOKWORM, OWN, tmp_path).digest != first


def test_facts_become_an_interpreter() -> None:
    facts = {
        "python": [3, 13, 5],
        "implementation": "cpython",
        "glibc": ["glibc", "2.41"],
        "machine": "aarch64",
    }
    assert interpreter_of(facts) == Interpreter(3, 13, "aarch64", (2, 41))


@pytest.mark.parametrize(
    "changed", [{"implementation": "pypy"}, {"glibc": ["", ""]}, {"glibc": ["musl", "1.2"]}]
)
def test_a_python_that_no_wheel_fits_is_said(changed: dict[str, object]) -> None:
    facts: dict[str, object] = {
        "python": [3, 11, 2],
        "implementation": "cpython",
        "glibc": ["glibc", "2.36"],
        "machine": "x86_64",
    }
    with pytest.raises(ConfigError):
        interpreter_of(facts | changed)


def test_one_ansible_core_may_be_asked_for() -> None:
    assert requirements_of("") == wheelhouse.REQUIREMENTS
    assert requirements_of("2.14") == ("ansible-core==2.14.*", wheelhouse.REQUIREMENTS[1])
    assert requirements_of("2.21.5") == ("ansible-core==2.21.5", wheelhouse.REQUIREMENTS[1])


@pytest.mark.parametrize("version", ["2.13", "2.22", "3.0", "2", "newest", "2.19; rm", "-r x"])
def test_an_ansible_core_that_is_not_supported_is_refused_with_those_that_are(version: str) -> None:
    with pytest.raises(ConfigError) as refused:
        requirements_of(version)
    assert "from 2.14 to 2.21" in refused.value.mend
