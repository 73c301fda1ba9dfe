"""Files of keys on a node: what a parcel must be, and what may be shown of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_agent.bus.keyring import LOCAL_FILE, PAIRS_FILE, TOKENS_FILE, Keyring
from fleet_agent.deploy import pairkeys
from fleet_agent.node import keyfiles
from fleet_agent.node.errors import SpecError
from fleet_agent.release.manifest import Manifest
from tests.node_world import MASTER, World, parcel


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return World(tmp_path_factory.mktemp("root"), 8646).release("x").manifest


def raw(**more: object) -> bytes:
    return json.dumps(parcel(**more)).encode()  # type: ignore[arg-type]


def test_the_daemon_reads_what_the_node_writes_and_tells_the_same_digest(
    wanted: Manifest, tmp_path: Path
) -> None:
    token = {"id": "t1", "principal": "alexander", "sha256": "0" * 64}
    pairs, tokens, _ = keyfiles.of_parcel(raw(epochs=(2, 1), tokens=(token,)), wanted)
    assert pairs.data is not None and tokens.data is not None
    (tmp_path / PAIRS_FILE).write_bytes(pairs.data)
    (tmp_path / TOKENS_FILE).write_bytes(tokens.data)
    (tmp_path / LOCAL_FILE).write_bytes(b"mine\n")
    ring = Keyring.read(str(tmp_path), "ezra")
    assert ring.epochs == (2, 1)
    assert ring.pair("bezalel")[0].key == pairkeys.pair_key(MASTER, "fleet", 2, "ezra", "bezalel")
    assert ring.local_token == "mine"
    assert ring.digest == keyfiles.digest(pairs.data, tokens.data, b"mine\n")


def test_what_changes_is_shown_by_ids(wanted: Manifest) -> None:
    old, new = (keyfiles.of_parcel(raw(epochs=one), wanted)[0].data for one in ((1,), (2, 1)))
    assert old is not None and new is not None
    newer = pairkeys.key_id(pairkeys.pair_key(MASTER, "fleet", 2, "ezra", "bezalel"))
    first = pairkeys.key_id(pairkeys.pair_key(MASTER, "fleet", 1, "ezra", "bezalel"))
    assert keyfiles.ids(new) == {"bezalel": (f"2:{newer}", f"1:{first}")}
    assert keyfiles.difference(old, new) == f"+bezalel 2:{newer}\n"
    assert keyfiles.difference(new, old) == f"-bezalel 2:{newer}\n"
    assert keyfiles.difference(None, old) == f"+bezalel 1:{first}\n"


@given(there=st.binary() | st.just(b'{"pairs": {"a": [{"epoch": 1, "key": "!"}]}}'))
def test_whatever_lies_there_can_be_compared(there: bytes) -> None:
    assert isinstance(keyfiles.difference(there, there), str)
    assert isinstance(keyfiles.token_difference(there, there), str)


@pytest.mark.parametrize(
    "bad",
    [
        b"", b"{", b"[]", b'{"v": 2, "wizards": {}}', b'{"v": 1, "wizards": {}}',
        b'{"v": 1, "wizards": {"ezra": {"pairs": {}, "tokens": []}}}',
        b'{"v": 1, "wizards": {"ezra": {"pairs": {}, "tokens": [], "secrets": [{"place": "/etc/x",'
        b' "content": "c2VjcmV0"}]}}}',
    ],
)  # fmt: skip
def test_a_parcel_that_is_none_is_refused_without_a_word_of_it(
    wanted: Manifest, bad: bytes
) -> None:
    with pytest.raises(SpecError) as caught:
        keyfiles.of_parcel(bad, wanted)
    assert "c2VjcmV0" not in str(caught.value)
    assert caught.value.__cause__ is None
