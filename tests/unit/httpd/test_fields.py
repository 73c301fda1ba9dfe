import pytest

from fleet_agent.httpd.fields import read_field
from fleet_agent.httpd.refusal import Refusal


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("Host: example.com", ("host", "example.com")),
        ("hOsT:example.com", ("host", "example.com")),
        ("X-Empty:", ("x-empty", "")),
        ("X-Padded: \t a b \t", ("x-padded", "a b")),
        ("X.Custom|Pipe: ok", ("x.custom|pipe", "ok")),
        ("X-Tab: a\tb", ("x-tab", "a\tb")),
        ("X-Colon: a:b", ("x-colon", "a:b")),
        ("X-Obs-Text: caf\xe9 \x80\xff\xa0\xad", ("x-obs-text", "caf\xe9 \x80\xff\xa0\xad")),
        ("X_Underscore: fine", ("x_underscore", "fine")),
    ],
)
def test_a_legal_field_is_read(line: str, field: tuple[str, str]) -> None:
    assert read_field(line) == field


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("Host", "without a colon"),
        ("no colon here", "without a colon"),
        (": value", "no token"),
        ("Host : a", "whitespace before the colon"),
        ("Host\t: a", "whitespace before the colon"),
        (" folded", "whitespace"),
        ("\tfolded: yes", "whitespace"),
        ("X Y: a", "no token"),
        ("X\xe9: a", "no token"),
        ("X\x00: a", "no token"),
        ("X(: a", "no token"),
        ("X-Bell: \x07", "control character"),
        ("X-Nul: a\x00b", "control character"),
        ("X-Del: plain\x7finjected", "control character"),
        ("X-Cr: a\rb", "control character"),
        ("X-Lf: a\nb", "control character"),
        ("X-Escape: \x1b[31m", "control character"),
        ("Content_Length: 5", "looks like a framing field"),
        ("transfer_ENCODING: chunked", "looks like a framing field"),
    ],
)
def test_anything_else_is_refused_and_says_why(line: str, why: str) -> None:
    refused = read_field(line)
    assert isinstance(refused, Refusal)
    assert refused.status == 400
    assert why in refused.what
