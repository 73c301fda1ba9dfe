"""JSON from hostile bytes: what two parsers could read differently is refused, in no time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_agent.bus.strictjson import NotStrictJson, parse_object

MIB = 1024 * 1024

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('abc\\"[{', max_size=5), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text('ab[]{}"\\é', max_size=8), values), st.booleans())
def test_reads_what_json_writes(value: dict[str, Any], ascii_only: bool) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_only, indent=1).encode()
    assert parse_object(b"\r\n " + raw + b" \t\n", depth=200) == value


@given(st.binary(max_size=200) | st.text('{}[]":,\\u0dD8 1eE+-.nulltrfas').map(str.encode))
def test_any_bytes_are_an_object_or_refused(raw: bytes) -> None:
    try:
        assert isinstance(parse_object(raw, depth=5), dict)
    except NotStrictJson as refusal:
        assert refusal.http_status == 400
        assert refusal.what


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b'{"a":', "ends in the middle"),
        (b'\xef\xbb\xbf{"a":1}', "begins with a byte-order mark"),
        (b'{"a":"\xff"}', "byte 6 is not UTF-8"),
        (b'{"a":"\xed\xa0\x80"}', "byte 6 is not UTF-8"),
        ('{"a":1}'.encode("utf-16"), "is not UTF-8"),
        (b'{"a":1} {"a":1}', "something follows the object at character 7"),
        (b'{"a":1}\x0c', "something follows"),
        (b'{"a":1,"a":1}', "the key 'a' is there twice"),
        (b'{"a":{"b":[{"c":1,"c":2}]}}', "the key 'c' is there twice"),
        (b'{"a":1,"\\u0061":2}', "the key 'a' is there twice"),
        (b'{"a":NaN}', "NaN is not JSON"),
        (b'{"a":Infinity}', "Infinity is not JSON"),
        (b'{"a":-Infinity}', "-Infinity is not JSON"),
        (b'{"a":1e999}', "1e999 does not fit into a double"),
        (b'{"a":-1e999}', "does not fit into a double"),
        (b'{"a":18446744073709551616}', "does not fit into 64 bits"),
        (b'{"a":-9223372036854775809}', "does not fit into 64 bits"),
        (b'{"a":' + b"9" * 100_000 + b"}", "999… does not fit into 64 bits"),
        (b'{"a":"\\u0000"}', "holds NUL"),
        (b'{"a\\u0000":1}', "holds NUL"),
        (b'{"a":["\\ud800"]}', "half a surrogate pair"),
        (b'{"\\uDFFF":1}', "half a surrogate pair"),
        (b'{"a":"\\udc00\\ud800"}', "half a surrogate pair"),
        (b"[1]", "is an array"),
        (b'"a"', "is a string"),
        (b"null", "is null"),
        (b"true", "is a boolean"),
        (b"7", "is a number"),
        (b"{'a':1}", "line 1 column 2"),
        (b'{"a":1,}', "line 1 column 8"),
        (b'{"a":01}', "line 1 column 7"),
        (b'{"a":"\n"}', "Invalid control character"),
        (b'{"a":"\x00"}', "Invalid control character"),
        (b'{"a":"\\x"}', "Invalid"),
        (b'{"a":' * 6 + b"1" + b"}" * 6, "nested deeper than 5"),
        (b'{"a":' + b"[" * 5 + b"]" * 5 + b"}", "nested deeper than 5"),
    ],
)
def test_refuses(raw: bytes, what: str) -> None:
    with pytest.raises(NotStrictJson) as caught:
        parse_object(raw, depth=5)
    assert what in caught.value.what


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":"[[[[[[[{{{{{{{"}',
        b'{"a":"\\"[[[[[[[[[","b":[[[[1]]]]}',
        b'{"a":[[]],"b":[[]],"c":[[]],"d":[[]]}',
        b'{"a":"\\\\u0000 \\\\ud800 \\ud83d\\ude00"}',
        b'{"a":18446744073709551615,"b":-9223372036854775808,"c":1e308}',
    ],
)
def test_accepts_what_only_looks_like_trouble(raw: bytes) -> None:
    assert parse_object(raw, depth=5) == json.loads(raw)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":"' + b'\\"' * MIB,
        b'"[' * MIB,
        b"[" * MIB,
        b'{"a":' * (MIB // 5),
        b"\\" * MIB + b"[" * 40,
        b'{"a":' + b"9" * MIB + b"}",
        b" " * MIB,
        b'{"a":[' + b"{}," * (MIB // 3) + b"{}]]}",
        b'{"a":"' + b"\\ud800" * (MIB // 6) + b'"}',
    ],
)
def test_a_mebibyte_of_evil_is_refused_without_quadratic_work(raw: bytes) -> None:
    with pytest.raises(NotStrictJson):
        parse_object(raw, depth=32)
