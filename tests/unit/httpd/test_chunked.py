import pytest

from fleet_agent.httpd.chunked import ChunkedBody
from fleet_agent.httpd.refusal import Refusal
from tests.unit.httpd.reading import SIZES


def take(data: bytes, most: int = 100) -> tuple[bytes, int] | Refusal:
    """The body and how many bytes it took."""
    body = ChunkedBody(SIZES, most)
    taken = body.take(data, 0)
    if isinstance(taken, Refusal):
        return taken
    assert body.whole
    return body.body(), taken


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"0\r\n\r\n", b""),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"0005\r\nhello\r\n000\r\n\r\n", b"hello"),
        (b"5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n", b"hello0123456789"),
        (b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
        (b"5;ext=1;b\r\nhello\r\n0;x\r\n\r\n", b"hello"),
        (b"5; some; parameters=stuff\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5 \t;ext\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5\r\n\r\n\r\n\n\r\n0\r\n\r\n", b"\r\n\r\n\n"),
        (b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n", b"hello"),
    ],
)
def test_a_body_in_chunks_is_put_together_and_only_its_bytes_are_taken(
    data: bytes, body: bytes
) -> None:
    assert take(data + b"GET /next") == (body, len(data))


@pytest.mark.parametrize(
    "data",
    [
        b"\r\nhello",
        b" 5\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b"+5\r\nhello\r\n",
        b"-5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"5\nhello\r\n",
        b"5\r\r\nhello\r\n",
        b"g\r\n",
        b";ext\r\nhello\r\n",
        b"5_0\r\n",
        b"\xb2\r\n",
        b"5;e\x00xt\r\nhello\r\n",
        b"5;ext=val\rue\r\nhello\r\n",
        b"5;\x7f\r\nhello\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"5\r\nhell\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"00000000000000000005\r\nhello\r\n",
        b"11111111111111111\r\n",
        b"0\r\n\n",
        b"0\r\nX: y\n\r\n",
        b"0\r\n folded\r\n\r\n",
        b"0\r\nX : y\r\n\r\n",
        b"0\r\nX: \x00\r\n\r\n",
        b"0\r\nHost: evil\r\n\r\n",
        b"0\r\ncontent-length: 5\r\n\r\n",
        b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"0\r\nAuthorization: Bearer x\r\n\r\n",
        b"0\r\nTransfer_Encoding: chunked\r\n\r\n",
    ],
)
def test_broken_framing_is_refused(data: bytes) -> None:
    refused = take(data)
    assert isinstance(refused, Refusal)
    assert refused.status == 400


@pytest.mark.parametrize(
    "data", [b"65\r\n", b"60\r\n" + b"x" * 0x60 + b"\r\n5\r\n", b"ffffffffffffffff\r\n"]
)
def test_a_body_over_the_limit_is_refused_before_its_bytes_are_there(data: bytes) -> None:
    refused = take(data)
    assert isinstance(refused, Refusal)
    assert refused.status == 413


def test_a_body_of_exactly_the_limit_is_accepted() -> None:
    assert take(b"64\r\n" + b"x" * 100 + b"\r\n0\r\n\r\n") == (b"x" * 100, 111)


def test_extensions_are_limited_all_together() -> None:
    one = b"1;" + b"e" * 9 + b"\r\nx\r\n"
    assert take(one * 4 + b"0\r\n\r\n") == (b"xxxx", len(one) * 4 + 5)
    refused = take(one * 5 + b"0\r\n\r\n")
    assert isinstance(refused, Refusal)
    assert "extensions" in refused.what


def test_a_size_line_without_end_is_refused_at_its_limit() -> None:
    assert isinstance(take(b"5;" + b"e" * 100), Refusal)


def test_trailers_are_limited_in_bytes_and_number() -> None:
    many = take(b"0\r\n" + b"X: y\r\n" * (SIZES.most + 1) + b"\r\n")
    large = take(b"0\r\nX: " + b"y" * SIZES.fields)
    assert isinstance(many, Refusal)
    assert isinstance(large, Refusal)
    assert many.status == large.status == 431


def test_what_is_not_whole_is_left_for_the_next_time() -> None:
    body = ChunkedBody(SIZES, 100)
    assert body.take(b"5\r\nhel", 0) == 6
    assert body.take(b"lo\r", 0) == 2
    assert body.take(b"\r\n0\r\nX-Sum", 0) == 5
    assert body.take(b"X-Sum: 1\r\n\r\n", 0) == 12
    assert body.whole
    assert body.body() == b"hello"
