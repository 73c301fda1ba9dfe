"""Keys of pairs: RFC 5869's own vectors, and that no two things share a key."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_agent.deploy.pairkeys import hkdf, key_id, pair_key, pairs_of, secret_digest

MASTER = bytes(range(32))
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,28}", fullmatch=True)


@pytest.mark.parametrize(
    ("secret", "salt", "info", "length", "expected"),
    [
        (
            "0b" * 22, "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9", 42,
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            bytes(range(0x50)).hex(), bytes(range(0x60, 0xB0)).hex(),
            bytes(range(0xB0, 0x100)).hex(), 82,
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c6"
            "5e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ),
        (
            "0b" * 22, "", "", 42,
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ],
)  # fmt: skip
def test_the_vectors_of_rfc_5869(
    secret: str, salt: str, info: str, length: int, expected: str
) -> None:
    made = hkdf(bytes.fromhex(secret), bytes.fromhex(info), length, bytes.fromhex(salt))
    assert made.hex() == expected


@given(one=NAMES, other=NAMES, epoch=st.integers(1, 1000))
def test_both_sides_of_a_pair_have_one_key(one: str, other: str, epoch: int) -> None:
    assert pair_key(MASTER, "timmy", epoch, one, other) == pair_key(
        MASTER, "timmy", epoch, other, one
    )


def test_every_pair_epoch_fleet_and_master_has_a_key_of_its_own() -> None:
    names = ["ezra", "bezalel", "allegro", "ezra-b", "ezra-bezalel"]
    keys = [
        pair_key(master, fleet, epoch, *pair)
        for master in (MASTER, bytes(32))
        for fleet in ("timmy", "timmy-1")
        for epoch in (1, 11, 2)
        for pair in combinations(names, 2)
    ]
    assert len(set(keys)) == len(keys)
    assert len({key_id(key) for key in keys}) == len(keys)
    assert {len(key) for key in keys} == {32}


def test_a_wizard_gets_its_own_pairs_and_no_others() -> None:
    names = ["ezra", "bezalel", "allegro"]
    mine = pairs_of(MASTER, "timmy", (2, 1), "ezra", names)
    assert set(mine) == {"bezalel", "allegro"}
    assert [epoch for epoch, _ in mine["bezalel"]] == [2, 1]
    foreign = pair_key(MASTER, "timmy", 2, "bezalel", "allegro")
    assert foreign not in [key for keys in mine.values() for _, key in keys]


def test_a_keyed_digest_tells_secrets_apart_and_needs_the_master_key() -> None:
    made = {
        secret_digest(master, "timmy", wizard, place, content)
        for master in (MASTER, bytes(32))
        for wizard in ("ezra", "bezalel")
        for place in ("/a", "/b")
        for content in (b"hunter2", b"hunter3")
    }
    assert len(made) == 16
