"""Files of keys on a node: what a parcel must be, and what may be shown of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_agent import certificate
from fleet_agent.bus.keyring import LOCAL_FILE, PAIRS_FILE, TOKENS_FILE, Keyring
from fleet_agent.deploy import pairkeys
from fleet_agent.node import keyfiles
from fleet_agent.node.errors import SpecError
from fleet_agent.release.manifest import Manifest
from fleet_agent.wire import TLS_CA_FILE, TLS_PAIR_FILE
from tests.authority import issued
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
    held = {keyfiles.PAIRS: pairs.data, keyfiles.TOKENS: tokens.data, keyfiles.LOCAL: b"mine\n"}
    assert ring.digest == keyfiles.digest(held)
    (tmp_path / TLS_CA_FILE).write_bytes(b"ca")
    held[keyfiles.AUTHORITIES] = b"ca"
    assert Keyring.read(str(tmp_path), "ezra").digest == keyfiles.digest(held) != ring.digest
    (tmp_path / TLS_PAIR_FILE).write_bytes(b"pair")
    held[keyfiles.PAIR] = b"pair"
    assert Keyring.read(str(tmp_path), "ezra").digest == keyfiles.digest(held)


def test_certificates_come_for_who_speaks_tls_and_their_ca_for_everybody(wanted: Manifest) -> None:
    speaking = wanted._replace(wizards=(wanted.wizards[0]._replace(tls=True),))
    value = parcel()
    value["wizards"]["ezra"]["tls"] = {"authorities": issued().authorities}
    silent = keyfiles.of_parcel(json.dumps(value).encode(), wanted)
    assert [(one.kind, one.mode) for one in silent][3:] == [(keyfiles.AUTHORITIES, 0o644)]
    with pytest.raises(SpecError, match="brings no certificate for ezra"):
        keyfiles.of_parcel(json.dumps(value).encode(), speaking)
    value["wizards"]["ezra"]["tls"]["pair"] = issued().pair
    found = keyfiles.of_parcel(json.dumps(value).encode(), speaking)
    assert [(one.kind, one.mode, one.user) for one in found][3:] == [
        (keyfiles.AUTHORITIES, 0o644, "fa-ezra"), (keyfiles.PAIR, 0o600, "fa-ezra"),
    ]  # fmt: skip
    assert "PRIVATE" not in repr(found)


def test_a_change_of_certificates_is_told_by_fingerprints(wanted: Manifest) -> None:
    old, new = issued().pair.encode(), issued(of="two").pair.encode()
    text = keyfiles.certificate_difference(old, new)
    assert text == (
        f"-certificate {certificate.read(old.decode()).fingerprint}\n"
        f"+certificate {certificate.read(new.decode()).fingerprint}\n"
    )
    assert keyfiles.certificate_difference(new, new) == "mode or owner\n"
    assert keyfiles.certificate_difference(b"nothing", new).startswith("+certificate ")


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
