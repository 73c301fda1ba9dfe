import email.utils
import time

import pytest

from fleet_agent.httpd.types import Response
from fleet_agent.httpd.write import Writer


def render(
    response: Response, minor: int = 1, keep_alive: bool = True, head: bool = False
) -> bytes:
    return Writer().render(response, minor=minor, keep_alive=keep_alive, head=head)


def fields(data: bytes) -> dict[str, str]:
    lines = data.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return dict(line.split(": ", 1) for line in lines)


def test_an_answer_has_its_status_length_type_and_body() -> None:
    data = render(Response(202, b'{"id":1}', headers=(("Retry-After", "1"),)))
    assert data.startswith(b"HTTP/1.1 202 Accepted\r\n")
    assert data.endswith(b'\r\n\r\n{"id":1}')
    assert fields(data) | {"Date": ""} == {
        "Date": "", "Content-Type": "application/json", "Content-Length": "8", "Retry-After": "1",
    }  # fmt: skip


def test_the_date_is_now_as_http_says_it() -> None:
    before = int(time.time())
    said = email.utils.parsedate_to_datetime(fields(render(Response(200)))["Date"])
    assert before <= said.timestamp() <= time.time()


def test_the_answer_to_head_has_the_length_and_no_body() -> None:
    data = render(Response(200, b"body"), head=True)
    assert fields(data)["Content-Length"] == "4"
    assert data.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_content_has_neither_body_nor_length(status: int) -> None:
    data = render(Response(status, b"ignored"))
    assert set(fields(data)) == {"Date"}
    assert data.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("minor", "keep_alive", "said"),
    [(1, True, None), (1, False, "close"), (0, True, "keep-alive"), (0, False, "close")],
)
def test_what_is_said_of_the_connection(minor: int, keep_alive: bool, said: str | None) -> None:
    data = render(Response(200), minor=minor, keep_alive=keep_alive)
    assert fields(data).get("Connection") == said


def test_a_status_without_a_phrase_is_said_all_the_same() -> None:
    assert render(Response(299)).startswith(b"HTTP/1.1 299 \r\n")


@pytest.mark.parametrize("field", [("X", "a\r\nY: b"), ("X", "a\n"), ("X\r\nY", "b"), ("X:", "b")])
def test_a_field_that_would_break_the_framing_is_a_bug(field: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="line break"):
        render(Response(200, headers=(field,)))
