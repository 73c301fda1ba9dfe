"""The last line of standard error: short, printable, without what looks like a secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_agent.runner.lastwords import last_line


@given(st.binary())
def test_whatever_was_said_it_is_one_short_printable_line(said: bytes) -> None:
    line = last_line(said)
    assert len(line) <= 201
    assert line.isprintable()


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (b"", ""),
        (b"\n \n", ""),
        (b"Traceback\n  File x\nValueError: no such model\n\n", "ValueError: no such model"),
        (b"\x1b[31mred\x1b[0m", "[31mred [0m"),
        (b"token: abcdef12", "token: ***"),
        (b"OPENAI_API_KEY=abcdefgh is wrong", "OPENAI_API_KEY=*** is wrong"),
        (b"Authorization: Bearer abc.def.ghi", "Authorization: Bearer ***"),
        (b'{"password": "hunter22", "user": "ezra"}', '{"password": ***, "user": "ezra"}'),
        (b"key sk-proj-abcdefghijkl rejected", "key *** rejected"),
        (b"from ghp_abcdefghijklmnop1234", "from ***"),
        (b"GET https://ezra:hunter2@forge.example/x", "GET https://***forge.example/x"),
        (b"digest 0123456789abcdef0123456789abcdef", "digest ***"),
        (b"no such file: /opt/ezra/bin/answer", "no such file: /opt/ezra/bin/answer"),
        (b"the token bucket of this pair is empty", "the token bucket of this pair is empty"),
    ],
)
def test_the_last_line_is_told_and_secrets_are_not(said: bytes, line: str) -> None:
    assert last_line(said) == line
