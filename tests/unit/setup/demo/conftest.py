"""A short folder: where the path is long, the demo takes one of its own in /tmp."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder that leaves room for the paths of Unix sockets."""
    with tempfile.TemporaryDirectory(prefix="fd-", dir="/tmp") as folder:
        yield Path(folder)
