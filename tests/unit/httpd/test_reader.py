from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from fleet_agent.httpd.reader import Arrived, Reader, Stage
from fleet_agent.httpd.refusal import Refusal
from tests.unit.httpd.reading import BODY_LIMIT, SIZES, read, refusal, request, whole

POST = b"POST /m HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET /g HTTP/1.1\r\nHost: a\r\n\r\n"


def test_a_request_without_body_is_whole_with_its_head() -> None:
    arrived = request(GET)
    assert (arrived.head.path, arrived.body) == ("/g", b"")


def test_a_body_is_as_long_as_its_length_says() -> None:
    first, second = whole(POST + b"hello" + GET)
    assert isinstance(first, Arrived)
    assert isinstance(second, Arrived)
    assert (first.body, second.head.path) == (b"hello", "/g")


def test_a_get_with_a_body_keeps_the_framing() -> None:
    data = b"GET /g HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody" + GET
    assert [one.body for one in whole(data) if isinstance(one, Arrived)] == [b"body", b""]


def test_pipelined_requests_come_out_in_their_order() -> None:
    data = POST + b"12345" + GET + CHUNKED + b"3\r\nabc\r\n0\r\n\r\n" + GET
    assert [one.head.path for one in whole(data) if isinstance(one, Arrived)] == [
        "/m",
        "/g",
        "/c",
        "/g",
    ]


def test_a_body_over_its_limit_is_refused_at_its_head() -> None:
    head = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {BODY_LIMIT + 1}\r\n\r\n"
    assert refusal(head.encode()).status == 413


def test_nothing_comes_after_a_refusal() -> None:
    made = read([b"BROKEN\r\n\r\n", GET, GET])
    assert len(made) == 1
    assert isinstance(made[0], Refusal)


def test_what_came_before_a_refusal_counts() -> None:
    first, second = whole(GET + b"BROKEN\r\n\r\n")
    assert isinstance(first, Arrived)
    assert isinstance(second, Refusal)


def test_the_stage_says_what_there_is_of_the_next_request() -> None:
    reader = Reader(SIZES, lambda head: BODY_LIMIT)
    stages = [reader.stage]
    for piece in (b"POST /m HT", POST[10:], b"hel", b"lo"):
        reader.feed(piece)
        got = reader.next()
        stages.append(reader.stage)
    assert isinstance(got, Arrived)
    assert stages == [Stage.NOTHING, Stage.HEAD, Stage.BODY, Stage.BODY, Stage.NOTHING]


def test_held_bytes_are_those_of_requests_that_are_not_whole() -> None:
    reader = Reader(SIZES, lambda head: BODY_LIMIT)
    reader.feed(b"POST /m HT")
    reader.next()
    assert reader.held == 10
    reader.feed(POST[10:] + b"hel")
    reader.next()
    assert reader.held == 3
    reader.feed(b"lo")
    reader.next()
    assert reader.held == 0
    reader.feed(CHUNKED + b"4\r\nab")
    reader.next()
    assert reader.held == 2


def test_continue_is_wanted_while_the_body_is_held_back() -> None:
    reader = Reader(SIZES, lambda head: BODY_LIMIT)
    reader.feed(POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
    assert reader.next() is None
    assert reader.wants_continue
    reader.feed(b"hello")
    assert isinstance(reader.next(), Arrived)
    assert not reader.wants_continue


def test_the_body_limit_is_asked_for_with_the_head() -> None:
    reader = Reader(SIZES, lambda head: 10 if head.path == "/small" else 1000)
    reader.feed(b"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n")
    refused = reader.next()
    assert isinstance(refused, Refusal)
    assert refused.status == 413


# How the bytes are cut on their way must not change what they mean.

WORDS = [
    b"GET ",
    b"POST ",
    b"/",
    b"/m?x=%41",
    b"*",
    b"http://a/",
    b" HTTP/1.1",
    b" HTTP/1.0",
    b" HTTP/2.0",
    b"\r\n",
    b"\r",
    b"\n",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b":",
    b"Host: a\r\n",
    b"Host: b\r\n",
    b"X-Long: " + b"y" * 300,
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 2000\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: close\r\n",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"0\r\n",
    b"5;e=1\r\n",
    b"ffff\r\n",
    b"X-Trailer: 1\r\n",
    b"hello",
    b"\x00",
    b"\xff",
    b"x" * 150,
    GET,
    POST,
    CHUNKED,
]
STREAMS = st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=8)), max_size=14).map(
    b"".join
)
USUAL = POST + b"hello" + CHUNKED + b"5;e=1\r\nhello\r\n0\r\nX-T: 1\r\n\r\n" + GET + b"\r\n" + GET


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(places) if a < b]


def test_a_usual_stream_cut_in_two_at_every_byte_gives_the_same() -> None:
    expected = whole(USUAL)
    assert len(expected) == 4
    for cut in range(len(USUAL)):
        assert read([USUAL[:cut], USUAL[cut:]]) == expected, cut


@settings(max_examples=600, deadline=None)
@given(STREAMS, st.lists(st.integers(0, 4000), max_size=6))
@example(b"G" * (SIZES.line + 1) + b"\r\n", [SIZES.line + 1])
@example(b"G" * (SIZES.line + 2) + b"\n", [SIZES.line + 1])
@example(b"GET / HTTP/1.1\r\n" + b"X" * (SIZES.fields - 1) + b"\n", [SIZES.fields])
def test_any_stream_cut_anywhere_gives_the_same(data: bytes, cuts: list[int]) -> None:
    assert read(pieces(data, cuts)) == whole(data)


@settings(max_examples=200, deadline=None)
@given(STREAMS)
def test_any_stream_byte_by_byte_gives_the_same(data: bytes) -> None:
    assert read(data[at : at + 1] for at in range(len(data))) == whole(data)


@settings(max_examples=200, deadline=None)
@given(STREAMS)
def test_a_reader_gives_no_byte_that_it_was_not_given(data: bytes) -> None:
    taken = sum(one.head.size + len(one.body) for one in whole(data) if isinstance(one, Arrived))
    assert taken <= len(data)
