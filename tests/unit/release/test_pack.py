"""Packs: only what a manifest asks for comes out, whole, or nothing does."""

from __future__ import annotations

import hashlib
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_agent.release.manifest import Manifest
from fleet_agent.release.pack import MAGIC, PackError, pack, unpack
from fleet_agent.release.tree import entries_of

TREE = {
    "code/a.py": (0o644, b"a = 1\n"),
    "code/b.py": (0o644, b"b = 2\n" * 1000),
    "code/same.py": (0o644, b"a = 1\n"),
    "registry.json": (0o644, b""),
}
MANIFEST = Manifest(entries_of(TREE), (), orchestrator=False)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def forged(index: object, body: bytes) -> bytes:
    return MAGIC + zlib.compress(json.dumps(index).encode() + b"\n" + body)


def test_what_goes_in_comes_out_by_its_digest() -> None:
    found = unpack(pack(TREE), MANIFEST)
    assert found == {digest(content): content for _, content in TREE.values()}


def test_what_the_node_has_is_left_out() -> None:
    have = {digest(b"a = 1\n")}
    assert digest(b"a = 1\n") not in unpack(pack(TREE, have), MANIFEST)
    assert len(pack(TREE, have)) < len(pack(TREE))


def test_the_same_tree_gives_the_same_bytes() -> None:
    assert pack(TREE) == pack(dict(reversed(list(TREE.items()))))


def test_a_content_that_the_manifest_does_not_name_is_refused() -> None:
    extra = b"evil"
    with pytest.raises(PackError, match="does not ask for"):
        unpack(forged([[digest(extra), len(extra)]], extra), MANIFEST)


def test_a_content_that_is_not_what_it_says_is_refused() -> None:
    with pytest.raises(PackError, match="not what its digest says"):
        unpack(forged([[digest(b"a = 1\n"), 6]], b"a = 2\n"), MANIFEST)


def test_a_wrong_size_leftovers_and_repeats_are_refused() -> None:
    name = digest(b"a = 1\n")
    for data in (
        forged([[name, 5]], b"a = 1\n"),
        forged([[name, 6]], b"a = 1\nmore"),
        forged([[name, 6], [name, 6]], b"a = 1\na = 1\n"),
        forged([[name, 6]], b"a ="),
    ):
        with pytest.raises(PackError):
            unpack(data, MANIFEST)


def test_a_pack_that_unfolds_without_end_is_refused_early() -> None:
    bomb = MAGIC + zlib.compress(b"\0" * 50_000_000)
    with pytest.raises(PackError, match="longer than its manifest"):
        unpack(bomb, MANIFEST)


@pytest.mark.parametrize("index", [{}, [[1, 2]], [["x"]], [["x", -1]], [["x", True]], "x", None])
def test_an_index_that_is_none_is_refused(index: object) -> None:
    with pytest.raises(PackError):
        unpack(forged(index, b""), MANIFEST)


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    for candidate in (data, MAGIC + data):
        with pytest.raises(PackError):
            unpack(candidate, MANIFEST)


def test_one_flipped_bit_anywhere_is_refused_or_harmless() -> None:
    whole = pack(TREE)
    right = unpack(whole, MANIFEST)
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        try:
            assert unpack(bytes(damaged), MANIFEST) == right
        except PackError:
            continue


def test_an_empty_pack_is_a_pack() -> None:
    assert unpack(pack({}), Manifest((), (), False)) == {}
