"""What other YAML readers take unquoted text for."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fleet_agent.yamlfile.nodes import NOTHING, NUMBER, TRUTH, looks_like


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("", NOTHING), ("~", NOTHING), ("null", NOTHING), ("Null", NOTHING),
        ("no", TRUTH), ("On", TRUTH), ("FALSE", TRUTH), ("yes", TRUTH),
        ("0640", NUMBER), ("640", NUMBER), ("0x1F", NUMBER), ("0o17", NUMBER), ("1_000", NUMBER),
        ("1.10", NUMBER), (".5", NUMBER), ("5.", NUMBER), ("1e3", NUMBER), ("-.inf", NUMBER),
        ("-3", NUMBER), (".nan", NUMBER),
        ("nope", ""), ("1.2.3", ""), ("192.0.2.10", ""), ("2001:db8::1", ""),
        ("1:2:3:4:5:6:7:8", ""),
        ("google/gemma-4-31b-it", ""), ("2024-01-01", ""),
        ("y", ""), ("-", ""), (".", ""), ("+", ""),
    ],
)  # fmt: skip
def test_looks_like(text: str, meaning: str) -> None:
    assert looks_like(text) == meaning


@given(st.text(alphabet="0123456789.+-_eExXoObBaAfFnNyYsStTuUlLrR~:", min_size=1, max_size=8))
def test_what_pyyaml_reads_as_another_type_is_never_taken_for_text(text: str) -> None:
    resolver = yaml.SafeLoader("")
    try:
        tag = resolver.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    finally:
        resolver.dispose()
    kinds = {"null": NOTHING, "bool": TRUTH, "int": NUMBER, "float": NUMBER}
    wanted = kinds.get(str(tag).rpartition(":")[2], "")
    sexagesimal = ":" in text  # left out on purpose: it is an IPv6 address
    if wanted and not sexagesimal:
        assert looks_like(text) == wanted
