"""The orchestrator's keys on disk: made once, rotated one step at a time, tokens only as hashes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from fleet_agent.deploy.keyfile import KeyStoreError
from fleet_agent.deploy.keystore import Epochs, KeyStore
from fleet_agent.errors import RequestError


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    made = KeyStore(str(tmp_path / "keys"))
    made.prepare()
    return made


def files(store: KeyStore) -> dict[str, str]:
    return {path.name: oct(path.stat().st_mode & 0o777) for path in Path(store.directory).iterdir()}


def test_the_master_key_is_made_once_and_only_its_owner_reads_it(store: KeyStore) -> None:
    key = store.master()
    store.prepare()
    assert store.master() == KeyStore(store.directory).master() == key
    assert len(key) == 32 and key != bytes(32)
    assert files(store) == {"master": "0o600", "epochs.json": "0o600"}
    assert Path(store.directory).stat().st_mode & 0o777 == 0o700


def test_a_lost_master_key_is_not_made_anew_in_silence(store: KeyStore) -> None:
    (Path(store.directory) / "master").unlink()
    with pytest.raises(KeyStoreError, match="backup"):
        store.prepare()


@pytest.mark.parametrize("damage", [b"", b"short"])
def test_a_damaged_master_key_is_refused_without_a_word_of_it(
    store: KeyStore, damage: bytes
) -> None:
    (Path(store.directory) / "master").write_bytes(damage)
    with pytest.raises(KeyStoreError) as caught:
        store.master()
    assert "short" not in str(caught.value)


def test_a_rotation_keeps_one_epoch_before_and_waits_for_the_nodes(store: KeyStore) -> None:
    assert store.epochs().valid == (1,)
    with pytest.raises(RequestError, match="not known to be on every node") as caught:
        store.rotate(5.0, "root")
    assert caught.value.http_status == 409
    store.placed(1)
    assert store.rotate(5.0, "root") == Epochs(2, 1, 1, 5.0, "root")
    with pytest.raises(RequestError):
        store.rotate(6.0, "root")
    store.placed(2)
    assert store.rotate(7.0, "root").valid == (3, 2)
    assert KeyStore(store.directory).epochs() == Epochs(3, 2, 2, 7.0, "root")


def test_an_older_deploy_s_end_takes_nothing_back(store: KeyStore) -> None:
    store.placed(1)
    store.rotate(5.0, "root")
    store.placed(2)
    store.placed(1)
    assert store.epochs().placed == 2


def test_of_a_token_only_its_hash_is_kept(store: KeyStore) -> None:
    entry, token = store.create_token("alexander", ["ezra"], 5.0, "root")
    assert token.startswith("fat_") and len(token) > 40
    assert entry.sha256 == hashlib.sha256(token.encode()).hexdigest()
    assert store.tokens() == (entry,)
    kept = b"".join(path.read_bytes() for path in Path(store.directory).iterdir())
    assert token.encode() not in kept
    assert "sha256" not in entry.shown()
    assert files(store)["tokens.json"] == "0o600"


def test_a_revoked_token_is_gone_and_the_others_stay(store: KeyStore) -> None:
    first, _ = store.create_token("alexander", [], 5.0, "root")
    second, _ = store.create_token("alexander", [], 5.0, "root")
    assert store.revoke_token(first.id) == first
    assert store.tokens() == (second,)
    with pytest.raises(RequestError, match="there is no token"):
        store.revoke_token(first.id)


@pytest.mark.parametrize("name", ["epochs.json", "tokens.json"])
@pytest.mark.parametrize("text", ["", "[]", '{"v": 2}', '{"v": 1, "tokens": [{}], "x": 1}'])
def test_what_somebody_else_wrote_is_refused(store: KeyStore, name: str, text: str) -> None:
    (Path(store.directory) / name).write_text(text)
    with pytest.raises(KeyStoreError, match=name):
        store.epochs() if name == "epochs.json" else store.tokens()
