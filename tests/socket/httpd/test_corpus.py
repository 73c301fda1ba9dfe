"""Requests that others and we have written down, each at a real socket."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.socket.httpd.corpus import OWN, SHARED, unescape
from tests.socket.httpd.decisions import DECISIONS, DECISIONS_WITH_HOST, Decision
from tests.socket.httpd.running import Running
from tests.unit.httpd.reading import read

SHARED_FILES = sorted(SHARED.glob("*/*.http"))
absent = pytest.mark.skipif(
    not SHARED_FILES, reason=f"the shared request corpus is not at {SHARED}"
)
NO_HOST = re.compile(rb"( HTTP/1\.1\r\n)((?:(?!Host:)[^\r\n]*\r\n)*?\r\n)")


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running() as made:
        yield made


def check(running: Running, data: bytes, kind: str, decision: Decision | None) -> None:
    before = running.on_loop(lambda: running.server.counts.refused)
    statuses = tuple(answer.status for answer in running.say(data))
    refused = running.on_loop(lambda: running.server.counts.refused) - before
    if decision is not None:
        assert statuses == decision.statuses, decision.why
    elif kind == "valid":
        assert statuses
        assert not refused, statuses
        assert set(statuses) <= {200, 204, 404, 405}
    else:
        assert refused == 1
        assert 400 <= statuses[-1] < 600


@absent
@pytest.mark.parametrize("path", SHARED_FILES, ids=name_of)
def test_a_shared_request_is_answered_or_refused_as_it_should_be(
    running: Running, path: Path
) -> None:
    decision = DECISIONS.get(name_of(path))
    check(running, unescape(path.read_bytes()), path.parent.name, decision)


@absent
@pytest.mark.parametrize("path", SHARED_FILES, ids=name_of)
def test_a_shared_request_with_the_host_it_lacks_is_judged_by_what_it_is_about(
    running: Running, path: Path
) -> None:
    data = unescape(path.read_bytes())
    with_host = NO_HOST.sub(rb"\1Host: a\r\n\2", data)
    table = DECISIONS if with_host == data else DECISIONS_WITH_HOST
    check(running, with_host, path.parent.name, table.get(name_of(path)))


@absent
def test_every_decision_is_about_a_file_that_is_there() -> None:
    names = {name_of(path) for path in SHARED_FILES}
    assert set(DECISIONS) <= names
    assert set(DECISIONS_WITH_HOST) <= names


class Case(NamedTuple):
    """A file of our own corpus: the statuses of all answers to it, and what it is about."""

    path: Path
    statuses: tuple[int, ...]
    about: str


def own_cases() -> list[Case]:
    lines = (OWN / "EXPECTED").read_text().splitlines()
    rows = [line.split(None, 2) for line in lines if line and not line.startswith("#")]
    return [
        Case(OWN / f"{name}.http", tuple(map(int, statuses.split(","))), about)
        for name, statuses, about in rows
    ]


OWN_CASES = own_cases()


def test_every_file_of_our_corpus_has_its_line_and_every_line_its_file() -> None:
    assert [case.path.stem for case in OWN_CASES] == sorted(
        path.stem for path in OWN.glob("*.http")
    )
    assert len(OWN_CASES) >= 40


@pytest.mark.parametrize("case", OWN_CASES, ids=lambda case: case.path.stem)
def test_a_request_of_our_corpus_has_the_outcome_that_is_written_down(
    running: Running, case: Case
) -> None:
    data = unescape(case.path.read_bytes())
    assert tuple(answer.status for answer in running.say(data)) == case.statuses, case.about
    assert running.get().status == 200


EVERY_FILE = [*(case.path for case in OWN_CASES), *SHARED_FILES]


@pytest.mark.parametrize("path", EVERY_FILE, ids=name_of)
def test_a_request_of_any_corpus_means_the_same_in_pieces(path: Path) -> None:
    data = unescape(path.read_bytes())
    expected = read([data])
    for size in (1, 2, 3, 7, 64):
        assert read(data[at : at + size] for at in range(0, len(data), size)) == expected, size


@pytest.mark.parametrize("path", sorted(OWN.glob("found/*")), ids=lambda path: path.name)
def test_what_the_fuzzer_once_found_is_survived(running: Running, path: Path) -> None:
    running.say(path.read_bytes())
    assert running.get().status == 200
