"""A repository, a fleet-deploy process and a hook for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_agent.forge.rules import HookRules
from tests.deploy_world import Pushes, Repository, Service, hook, service
from tests.recordings import SECRET


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


@pytest.fixture
def served(tmp_path: Path, repository: Repository) -> Iterator[Service]:
    with service(tmp_path, str(repository.path)) as made:
        yield made


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(SECRET + b"\n")
    path.chmod(0o640)
    return path


@pytest.fixture
def pushes(served: Service, secret: Path, repository: Repository) -> Iterator[Pushes]:
    with hook(served.socket, secret, HookRules("PROD")) as port:
        yield Pushes(port, repository)
