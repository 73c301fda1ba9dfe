import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_agent.httpd import parse
from fleet_agent.httpd.parse import Head, More, _judged, _usual, read_head
from fleet_agent.httpd.refusal import Refusal
from tests.unit.httpd.reading import SIZES

GET = "GET / HTTP/1.1\r\nHost: a\r\n"


def head(text: str) -> Head:
    outcome = read_head(text, SIZES)
    assert isinstance(outcome, Head), outcome
    return outcome


def refused(text: str) -> Refusal:
    outcome = read_head(text, SIZES)
    assert isinstance(outcome, Refusal), outcome
    return outcome


def test_a_head_is_read_with_everything_that_it_says() -> None:
    text = (
        "POST /hook/gitea?a=1 HTTP/1.1\r\nHost: wizard.example:9876\r\n"
        "Content-Length: 17\r\nX-Gitea-Event: push\r\n\r\n"
    )
    read = head(text + "the body, not its matter")
    assert (read.method, read.target, read.path) == ("POST", "/hook/gitea?a=1", "/hook/gitea")
    assert read.query == (("a", "1"),)
    assert read.headers.get("X-Gitea-Event") == "push"
    assert (read.minor, read.length, read.keep_alive, read.expects_continue) == (1, 17, True, False)
    assert read.size == len(text)


def test_one_empty_line_before_the_request_is_passed_over_and_counted() -> None:
    text = f"\r\n{GET}\r\n"
    assert head(text).size == len(text)


def test_a_second_empty_line_before_the_request_is_refused() -> None:
    assert refused(f"\r\n\r\n{GET}\r\n").status == 400


@pytest.mark.parametrize(
    "text", ["", "G", "GET / HTTP/1.1", "GET / HTTP/1.1\r", "\r", "\r\n", GET, GET + "\r"]
)
def test_what_is_not_whole_asks_for_more(text: str) -> None:
    assert isinstance(read_head(text, SIZES), More)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET /", 400),
        ("GET", 400),
        ("GET  / HTTP/1.1", 400),
        ("GET / HTTP/1.1 ", 400),
        ("GET /\tHTTP/1.1", 400),
        ("GET / a HTTP/1.1", 400),
        ("G(T / HTTP/1.1", 400),
        ("GET\x00 / HTTP/1.1", 400),
        ("GET\xff / HTTP/1.1", 400),
        ("GET / HTTP/1.2", 505),
        ("GET / HTTP/2.0", 505),
        ("GET / HTTP/0.9", 505),
        ("GET / http/1.1", 400),
        ("GET / HTTP/1", 400),
        ("GET / HTTP/11.1", 400),
        ("GET / HTTP/1.", 400),
        ("GET / HTTP/1.1\r", 400),
        ("GET / HTTP/\u00b9.1", 400),
        ("GET / ICY", 400),
        ("PRI * HTTP/2.0", 505),
        ("CONNECT a:443 HTTP/1.1", 501),
        ("GET a:443 HTTP/1.1", 400),
        ("GET * HTTP/1.1", 400),
        (f"GET /{'x' * 300} HTTP/1.1", 414),
        ("\x16\x03\x01\x02", 400),
        (" GET / HTTP/1.1", 400),
        ("\n", 400),
    ],
)
def test_a_wrong_request_line_is_refused(line: str, status: int) -> None:
    assert refused(f"{line}\r\nHost: a\r\n\r\n").status == status


@pytest.mark.parametrize(
    "text",
    [
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        f"{GET}\n",
        f"{GET}X: a\rb\r\n\r\n",
        f"{GET}X: a\r\r\n\r\n",
        f"{GET}\r\r\n",
        "GET\n/\nHTTP/1.1\r\n\r\n",
    ],
)
def test_a_bare_line_feed_or_carriage_return_is_refused(text: str) -> None:
    assert refused(text).status == 400


@pytest.mark.parametrize(
    "fields",
    [
        "",
        "Host:\r\n",
        "Host: \r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nHost: b\r\n",
        "Host: a\r\nHost:\r\n",
        "Host: a b\r\n",
        "Host: a/b\r\n",
        "Host: user@a\r\n",
        "Host: a,b c\r\n",
    ],
)
def test_http_1_1_needs_exactly_one_host_that_is_one(fields: str) -> None:
    assert refused(f"GET / HTTP/1.1\r\n{fields}\r\n").status == 400


def test_http_1_0_needs_no_host_but_a_wrong_one_is_wrong() -> None:
    assert head("GET / HTTP/1.0\r\n\r\n").minor == 0
    assert refused("GET / HTTP/1.0\r\nHost: a b\r\n\r\n").status == 400


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ("Content-Length: 5\r\nContent-Length: 5\r\n", 400),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", 400),
        ("Content-Length: 5, 5\r\n", 400),
        ("Content-Length: +5\r\n", 400),
        ("Content-Length: -5\r\n", 400),
        ("Content-Length: 0x5\r\n", 400),
        ("Content-Length: 5 5\r\n", 400),
        ("Content-Length: 5.0\r\n", 400),
        ("Content-Length: 1_0\r\n", 400),
        ("Content-Length:\r\n", 400),
        ("Content-Length: \xb2\r\n", 400),
        ("Content-Length: 9999999999999999\r\n", 400),
        ("Content-Length: 5\x0b\r\n", 400),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", 400),
        ("Transfer-Encoding: gzip, chunked\r\n", 501),
        ("Transfer-Encoding: identity\r\n", 501),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 501),
        ("Transfer-Encoding: chunked, gzip\r\n", 501),
        ("Transfer-Encoding: xchunked\r\n", 501),
        ("Transfer-Encoding: \x0bchunked\r\n", 400),
        ("Transfer-Encoding:\r\n", 501),
        ("Transfer-Encoding : chunked\r\n", 400),
        (" Transfer-Encoding: chunked\r\n", 400),
        ("Content-Length\x00: 5\r\n", 400),
        ("X: y\r\n Transfer-Encoding: chunked\r\n", 400),
        ("Expect: 200-ok\r\n", 417),
    ],
)
def test_framing_that_two_readers_could_read_differently_is_refused(
    fields: str, status: int
) -> None:
    assert refused(f"{GET}{fields}\r\n").status == status


def test_transfer_encoding_in_http_1_0_is_refused() -> None:
    assert refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").status == 400


@pytest.mark.parametrize(
    ("version", "connection", "stays"),
    [
        ("1.1", None, True),
        ("1.1", "close", False),
        ("1.1", "Close", False),
        ("1.1", "keep-alive", True),
        ("1.1", "keep-alive, close", False),
        ("1.1", "TE,\tCLOSE", False),
        ("1.1", "closed", True),
        ("1.0", None, False),
        ("1.0", "keep-alive", True),
        ("1.0", "Keep-Alive", True),
        ("1.0", "keep-alive, close", False),
    ],
)
def test_whether_the_connection_stays(version: str, connection: str | None, stays: bool) -> None:
    field = "" if connection is None else f"Connection: {connection}\r\n"
    assert head(f"GET / HTTP/{version}\r\nHost: a\r\n{field}\r\n").keep_alive is stays


def test_several_connection_fields_count_together() -> None:
    assert not head(f"{GET}Connection: te\r\nConnection: close\r\n\r\n").keep_alive


def test_100_continue_is_wanted_only_in_http_1_1() -> None:
    assert head(f"{GET}Content-Length: 5\r\nExpect: 100-Continue\r\n\r\n").expects_continue
    old = head("POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    assert not old.expects_continue


def test_a_request_line_of_exactly_the_limit_is_accepted_and_one_byte_more_is_not() -> None:
    room = SIZES.line - len("GET / HTTP/1.1")
    assert head(f"GET /{'x' * room} HTTP/1.1\r\nHost: a\r\n\r\n").method == "GET"
    assert refused(f"GET /{'x' * (room + 1)} HTTP/1.1\r\nHost: a\r\n\r\n").status == 414


def test_fields_of_exactly_the_limit_are_accepted_and_one_byte_more_is_not() -> None:
    room = SIZES.fields - len("Host: a\r\nX: \r\n\r\n")
    assert head(f"GET / HTTP/1.1\r\nHost: a\r\nX: {'y' * room}\r\n\r\n").method == "GET"
    assert refused(f"GET / HTTP/1.1\r\nHost: a\r\nX: {'y' * (room + 1)}\r\n\r\n").status == 431


def test_as_many_fields_as_the_limit_are_accepted_and_one_more_is_not() -> None:
    fields = "".join(f"X-{number}: y\r\n" for number in range(SIZES.most - 1))
    assert len(head(f"{GET}{fields}\r\n").headers) == SIZES.most
    assert refused(f"{GET}{fields}One: more\r\n\r\n").status == 431


def test_a_head_without_end_is_refused_at_the_limit_without_waiting_for_its_end() -> None:
    assert refused("GET /" + "x" * SIZES.line).status == 414
    assert refused(GET + "X: " + "y" * SIZES.fields).status == 431


def test_more_says_the_length_at_which_a_limit_is_passed() -> None:
    for text in ("GET /", GET, GET + "X: y"):
        more = read_head(text, SIZES)
        assert isinstance(more, More)
        assert isinstance(read_head(text.ljust(more.upto - 1, "x"), SIZES), More)
        assert isinstance(read_head(text.ljust(more.upto, "x"), SIZES), Refusal)


def test_the_earliest_fault_is_the_one_that_is_told() -> None:
    assert refused("GET / HTTP/9.9\r\nbroken\r\n\r\n").status == 505
    assert "colon" in refused("GET / HTTP/1.1\r\nbroken\r\n" + "x" * 1000).what


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "GET / HTTP/1.1",
                "POST /a?b=%20 HTTP/1.0",
                "GET /a#b HTTP/1.1",
                "Host: a",
                "host:a",
                "HOST: \ta\t",
                "Host",
                "Host : a",
                "Host: a b",
                "Content-Length: 5",
                "Content-Length: x",
                "Transfer-Encoding: chunked",
                "Connection: close",
                "Expect: 100-continue",
                "X-Y: caf\xe9",
                "X-Y: \x80",
                "X-Y: \x7f",
                "X Y: z",
                "Content_Length: 5",
                " folded",
                "",
                "X: " + "y" * 300,
                "a\nb",
                "a\rb",
            ]
        ),
        st.text(st.characters(max_codepoint=255), max_size=12),
    ),
    max_size=16,
)


@settings(max_examples=1000, deadline=None)
@given(LINES, st.sampled_from(["\r\n\r\n", "\r\n", "\n", "", "\r\n\r\nmore"]))
def test_the_quick_yes_is_the_yes_of_the_judge(lines: list[str], end: str) -> None:
    text = "\r\n".join(lines) + end
    quick = _usual(text, SIZES)
    if quick is not None:
        assert quick == _judged(text, SIZES)


def test_a_usual_head_takes_the_quick_way() -> None:
    text = f"{GET}X-Own: 1\r\nContent-Length: 5\r\n\r\n"
    assert _usual(text, SIZES) == _judged(text, SIZES) == head(text)


def test_what_was_read_before_is_read_the_same_again() -> None:
    text = (
        "POST /message HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        "Webhook-Signature: v1,abc\r\nContent-Length: 2\r\n\r\n"
    )
    first, again = head(text), head(text)
    assert (again, list(again.headers)) == (first, list(first.headers))
    assert refused(text.replace("Host: a\r\n", "Host: a\r\nHost: a\r\n")).status == 400
    assert refused(text.replace("Host: a\r\n", "")).status == 400
    assert head(text.replace("Length: 2", "Length: 3")).length == 3


def test_no_secret_is_remembered() -> None:
    secrets = ("Authorization: Bearer fat_secret", "Cookie: key=secret", "Webhook-Signature: v1,x")
    head(f"{GET}" + "".join(f"{line}\r\n" for line in secrets) + "\r\n")
    assert not any(line in parse._SEEN_FIELDS for line in secrets)


def test_what_is_remembered_is_bounded() -> None:
    for number in range(3 * parse._MOST_SEEN):
        head(f"GET /{number} HTTP/1.1\r\nHost: h{number}\r\nUser-Agent: {number}\r\n\r\n")
    for memory in (parse._SEEN_LINES, parse._SEEN_FIELDS, parse._SEEN_FRAMINGS):
        assert len(memory) <= parse._MOST_SEEN
