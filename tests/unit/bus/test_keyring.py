"""A daemon's keys, read from real files: whole, its own, and never told."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.bus.keyring import NO_KEYS, NOTHING_READ, Keyring, KeyringError, PairKey

KEY = bytes(range(32))


def pairs(**more: Any) -> dict[str, Any]:
    keys = [{"epoch": epoch, "key": b64encode(KEY).decode()} for epoch in (1, 2)]
    return {"v": 1, "wizard": "ezra", "pairs": {"bezalel": keys}, **more}


def write(folder: Path, name: str, value: object) -> None:
    (folder / name).write_text(value if isinstance(value, str) else json.dumps(value))


def test_a_wizard_without_files_has_no_keys(tmp_path: Path) -> None:
    ring = Keyring.read(str(tmp_path / "absent"), "ezra")
    assert (ring.pair("bezalel"), ring.local_token, ring.epochs) == ((), None, ())
    assert ring.principal("anything") is None
    assert ring.digest == NO_KEYS.digest == NOTHING_READ


def test_the_newest_epoch_comes_first(tmp_path: Path) -> None:
    write(tmp_path, "pairs.json", pairs())
    ring = Keyring.read(str(tmp_path), "ezra")
    assert ring.pair("bezalel") == (PairKey(2, KEY), PairKey(1, KEY))
    assert (ring.epochs, ring.peers) == ((2, 1), ("bezalel",))


def test_a_token_is_known_by_its_hash(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"fat_x").hexdigest()
    token = {"id": "t", "principal": "alexander", "sha256": digest}
    write(tmp_path, "tokens.json", {"v": 1, "wizard": "ezra", "tokens": [token]})
    ring = Keyring.read(str(tmp_path), "ezra")
    assert ring.principal("fat_x") == "alexander"
    assert ring.principal(digest) is None
    assert ring.principal("\udcff") is None


def test_the_local_token_is_a_line_of_text(tmp_path: Path) -> None:
    write(tmp_path, "token", "abc\n")
    assert Keyring.read(str(tmp_path), "ezra").local_token == "abc"
    write(tmp_path, "token", "\n")
    assert Keyring.read(str(tmp_path), "ezra").local_token is None, "an empty token opens nothing"


def test_each_change_changes_the_digest(tmp_path: Path) -> None:
    seen = {Keyring.read(str(tmp_path)).digest}
    for name, value in (("pairs.json", pairs()), ("token", "a"), ("token", "b"),
                        ("tokens.json", {"v": 1, "wizard": "ezra", "tokens": []})):  # fmt: skip
        write(tmp_path, name, value)
        seen.add(Keyring.read(str(tmp_path)).digest)
    assert len(seen) == 5


@pytest.mark.parametrize(
    "bad",
    ["", "[]", "{", pairs(v=2), pairs(wizard="bezalel"), pairs(pairs=3),
     pairs(pairs={"x": [{"epoch": 1}]}), pairs(pairs={"x": [{"epoch": 1, "key": "hidden!"}]}),
     pairs(pairs={"x": [{"epoch": "hidden", "key": ""}]})],
)  # fmt: skip
def test_files_that_are_not_ours_are_refused_without_a_word_of_them(
    tmp_path: Path, bad: object
) -> None:
    write(tmp_path, "pairs.json", bad)
    with pytest.raises(KeyringError) as caught:
        Keyring.read(str(tmp_path), "ezra")
    assert "pairs.json" in str(caught.value)
    assert "hidden" not in str(caught.value) and caught.value.__cause__ is None


def test_what_is_printed_by_accident_holds_no_key() -> None:
    assert repr(PairKey(2, b"hidden")) == "PairKey(epoch=2)"
