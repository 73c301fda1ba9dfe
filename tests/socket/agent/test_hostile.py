"""Bad input at the real socket of a real daemon: each has its answer, none costs its life."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.daemon import Daemon, Machine, ask

GOOD: dict[str, Any] = {
    "from": "ezra",
    "to": "ezra",
    "type": "request",
    "payload": {"a": [1, "b"]},
    "timestamp": 1,
}
FIELDS = [*GOOD, "id", "in_reply_to", "ttl", "hops", "traceparent", "form"]
ANSWERS = {200, 202, 400, 403, 404, 409, 413, 421, 501}
at_the_socket = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    machine = Machine(tmp_path_factory.mktemp("node"))
    machine.install()
    with Daemon(machine.argv()) as started:
        yield started
        assert ask(started.port, "GET", "/health")[1]["status"] == "pass", started.log
        assert "Traceback" not in started.log
        assert started.end() == 0


class Line:
    """One kept-alive connection, made anew when the daemon ends it."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def post(self, body: bytes, media: str = "application/json") -> tuple[int, bytes]:
        self._connection.request("POST", "/message", body, {"Content-Type": media})
        answer = self._connection.getresponse()
        return answer.status, answer.read()


@pytest.fixture(scope="module")
def line(daemon: Daemon) -> Line:
    return Line(daemon.port)


def judge(status: int, data: bytes) -> None:
    assert status in ANSWERS
    said = json.loads(data)
    if status in (200, 202):
        assert set(said) == {"id", "status"}
    else:
        assert said["status"] == status
        assert said["detail"]
        assert said["mend"]


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from(
        ["*", "ezra", "bezalel", "capability:code-review", "a" * 200, "\0", "\ud800"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
messages = st.builds(
    lambda changes, gone: {k: v for k, v in (GOOD | changes).items() if k not in gone},
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=3),
    st.sets(st.sampled_from(FIELDS), max_size=1),
)


@at_the_socket
@given(messages)
def test_anything_near_a_message_has_an_answer(line: Line, value: dict[str, Any]) -> None:
    judge(*line.post(json.dumps(value).encode("utf-8", "surrogatepass")))


@at_the_socket
@given(st.binary(max_size=400) | st.text('{}[]":,\\u0dD8 1eE+-.', max_size=60).map(str.encode))
def test_any_bytes_have_an_answer(line: Line, raw: bytes) -> None:
    judge(*line.post(raw))


@at_the_socket
@given(st.lists(messages.map(json.dumps).map(str.encode) | st.binary(max_size=30), max_size=8))
def test_any_batch_has_a_status_for_each_line(line: Line, parts: list[bytes]) -> None:
    parts = [part.replace(b"\n", b"") for part in parts]
    status, data = line.post(b"".join(part + b"\n" for part in parts), "application/x-ndjson")
    if not parts:
        assert status == 400
        return
    assert status in (202, 207)
    said = [json.loads(one) for one in data.splitlines()]
    assert len(said) == len(parts)
    assert (status == 202) == all(one["status"] in ("accepted", "duplicate") for one in said)


EVIL = {
    "deep": b'{"payload":' + b"[" * 200_000,
    "deep within bounds": json.dumps(GOOD | {"payload": json.loads("[" * 40 + "]" * 40)}).encode(),
    "a huge number": b'{"timestamp":' + b"9" * 500_000 + b"}",
    "many keys": json.dumps({f"k{n}": n for n in range(50_000)}).encode(),
    "a key twice": json.dumps(GOOD).encode()[:-1] + b',"to":"allegro"}',
    "a large payload": json.dumps(GOOD | {"payload": "x" * 300_000}).encode(),
    "half a surrogate": json.dumps(GOOD | {"payload": "\ud83d"}).encode(),
    "NUL": json.dumps(GOOD | {"payload": "a\0b"}).encode(),
    "next year": json.dumps(GOOD | {"timestamp": "2199-01-01T00:00:00Z"}).encode(),
    "escaped quotes without an end": b'{"a":"' + b'\\"' * 300_000,
    "UTF-16": json.dumps(GOOD).encode("utf-16"),
}


@pytest.mark.parametrize("name", EVIL)
def test_evil_is_refused(line: Line, name: str) -> None:
    status, data = line.post(EVIL[name])
    judge(status, data)
    assert status == (413 if name == "a large payload" else 400)


def test_a_body_over_the_limit_is_refused_before_it_is_sent(daemon: Daemon) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=20)
    connection.putrequest("POST", "/message")
    connection.putheader("Content-Length", str(2 * 1024 * 1024))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_memory_does_not_grow_with_refused_bodies(daemon: Daemon) -> None:
    def resident_kib() -> int:
        status = Path(f"/proc/{daemon.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    line = Line(daemon.port)
    body = b'{"payload":' + b'["x",' * 150_000
    for _ in range(5):
        line.post(body)
    before = resident_kib()
    for _ in range(50):
        assert line.post(body)[0] == 400
    assert resident_kib() - before < 8 * 1024
