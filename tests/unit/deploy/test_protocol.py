"""The lines of fleet-deploy's socket."""

from __future__ import annotations

import pytest

from fleet_agent.deploy import protocol
from fleet_agent.deploy.entry import Seen, Submission
from fleet_agent.errors import EXIT_FAILED, EXIT_USAGE, RequestError, TryAgain

PUSHED = Submission("gitea", "push", "1", "refs/tags/PROD", "a" * 40, False, "timmy", "t/ops")
SEEN = Seen("gogs", "push", "2", "ignored", "why", True, "refs/heads/main", "timmy", "t/ops")


def test_what_is_handed_over_arrives_as_it_was() -> None:
    line = protocol.decode(protocol.encode(protocol.submit_line(PUSHED)))
    assert line["do"] == "submit" and protocol.read_as(Submission, line) == PUSHED
    line = protocol.decode(protocol.encode(protocol.record_line(SEEN)))
    assert line["do"] == "record" and protocol.read_as(Seen, line) == SEEN


def test_what_an_older_or_newer_daemon_leaves_out_or_adds_is_taken() -> None:
    line = {"forge": "gitea", "event": "push", "delivery": "1", "ref": "x", "new": 1}
    assert protocol.read_as(Submission, line).hint == ""


@pytest.mark.parametrize("change", [{"ref": 7}, {"twin": "yes"}, {"forge": None}])
def test_a_value_of_another_type_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(RequestError, match="must be"):
        protocol.read_as(Submission, {**protocol.submit_line(PUSHED), **change})


def test_what_is_missing_is_refused() -> None:
    with pytest.raises(RequestError, match="lacks one of"):
        protocol.read_as(Submission, {"do": "submit", "forge": "gitea"})


def test_a_refusal_comes_back_as_an_error_that_says_the_same() -> None:
    for error, code in (
        (RequestError("no", status=403), EXIT_USAGE),
        (TryAgain("busy"), EXIT_FAILED),
    ):
        with pytest.raises(protocol.FromService) as caught:
            protocol.checked(protocol.decode(protocol.encode(protocol.refusal(error))))
        assert caught.value.what == error.what
        assert caught.value.http_status == error.http_status
        assert caught.value.retryable is error.retryable
        assert caught.value.exit_code == code


@pytest.mark.parametrize("answer", [{}, {"ok": False}, {"ok": 1}, {"ok": False, "error": "x"}])
def test_an_answer_that_says_nothing_is_an_error(answer: dict[str, object]) -> None:
    with pytest.raises(protocol.FromService):
        protocol.checked(answer)
