"""A release appears whole or not at all, and what could not be finished takes no room."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fleet_agent.errors import NodeError
from fleet_agent.node.content import Contents
from fleet_agent.node.layout import Layout
from fleet_agent.node.unpack import is_whole, unpack
from tests.unit.release.samples import built

NONCE = "0" * 16


def contents(missing: int = 0) -> Contents:
    tree = built().tree
    packed = {entry.sha256: tree[entry.path][1] for entry in built().manifest.files}
    return Contents(dict(list(packed.items())[missing:]))


def test_a_release_is_unpacked_whole_and_once(tmp_path: Path) -> None:
    layout, manifest = Layout(root=str(tmp_path)), built().manifest
    assert unpack(layout, manifest, contents(), NONCE, None)
    assert is_whole(layout, manifest)
    assert not unpack(layout, manifest, contents(), NONCE, None)
    assert os.listdir(layout.releases) == [manifest.id]


def test_one_that_cannot_be_finished_leaves_nothing(tmp_path: Path) -> None:
    layout, manifest = Layout(root=str(tmp_path)), built().manifest
    with pytest.raises(NodeError, match="neither in the pack"):
        unpack(layout, manifest, contents(missing=1), NONCE, None)
    assert os.listdir(layout.releases) == []
