"""The hook's port: what is answered, when, and what of it is on disk by then."""

from __future__ import annotations

import json
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.forge.rules import HookRules
from fleet_agent.limits import Limits
from tests.deploy_world import Pushes, Repository, Service, gitea_headers, hook, post, until
from tests.recordings import recordings


def test_a_push_is_answered_202_with_its_deploy_and_then_deployed(
    pushes: Pushes, served: Service
) -> None:
    commit = pushes.repo.commit("one")
    pushes.repo.tag("PROD", commit)
    status, said = pushes.send(commit, "a")
    assert (status, said["deploy"], said["state"]) == (202, 1, "queued")
    (deploy,) = served.idle()
    assert deploy["commit"] == commit
    assert (deploy["state"], deploy["requested_by"], deploy["source"]) == (
        "verified",
        "timmy",
        "gitea",
    )
    assert served.runs() == [commit]


def test_what_was_answered_202_is_deployed_though_the_service_is_killed_at_once(
    pushes: Pushes, served: Service
) -> None:
    commit = pushes.repo.commit("one")
    pushes.repo.tag("PROD", commit)
    served.behave("wait")
    assert pushes.send(commit, "a")[0] == 202
    served.end(signal.SIGKILL)
    served.behave("verified")
    served.start()
    (deploy,) = served.idle()
    assert deploy["id"] == 1 and deploy["commit"] == commit


def test_a_captured_push_that_is_sent_again_under_other_ids_is_tried_a_few_times_an_hour(
    pushes: Pushes, served: Service
) -> None:
    most = Limits().whole("deploy_hook_tries")
    commit = pushes.repo.commit("one")
    pushes.repo.tag("PROD", commit)
    served.behave("rolled_back")
    for number in range(most + 3):
        assert pushes.send(commit, f"captured-{number}")[0] == 202
        served.idle()
    assert served.runs() == [commit] * most
    last = served.deploys()[-1]
    assert last["state"] == "failed"
    assert f"tried {most} times" in last["reason"]
    # A person is not kept from it, nor is the next commit.
    served.client.ask("deploy", ref="main", fetch=True)
    served.idle()
    served.behave("verified")
    pushes.push(pushes.repo.commit("two"))
    assert served.idle()[-1]["state"] == "verified"
    assert served.runs()[most] == commit


def test_a_repeated_delivery_is_answered_200_and_deploys_nothing(
    pushes: Pushes, served: Service
) -> None:
    commit = pushes.repo.commit("one")
    delivery = pushes.push(commit)
    for _ in range(3):
        status, said = pushes.send(commit, delivery)
        assert (status, said["status"], said["deploy"]) == (200, "repeated", 1)
    served.idle()
    assert served.runs() == [commit]
    (row,) = served.client.ask("deliveries")["deliveries"]
    assert row["repeats"] == 3


def test_push_and_create_with_one_id_are_two_deliveries_of_one_deploy(
    pushes: Pushes, served: Service
) -> None:
    served.behave("wait")
    first = pushes.repo.commit("one")
    pushes.push(first)
    until(lambda: served.states() == ["running"], "a running deploy")
    second = pushes.repo.commit("two")
    pushes.repo.tag("PROD", second)
    assert pushes.send(second, "same", event="push")[0] == 202
    status, said = pushes.send(second, "same", event="create")
    assert (status, said["status"], said["deploy"]) == (202, "folded", 2)


def test_without_fleet_deploy_a_push_is_503_and_can_be_delivered_again(
    pushes: Pushes, served: Service, secret: Path
) -> None:
    commit = pushes.repo.commit("one")
    pushes.repo.tag("PROD", commit)
    served.end()
    with hook(served.socket, secret, HookRules("PROD"), {"hook_submit_seconds": 0.3}) as port:
        status, said = Pushes(port).send(commit, "a")
    assert status == 503 and said["retry_after"]
    assert "nothing is queued" in said["detail"]
    assert "it cannot be reached: Connection refused" in said["detail"]
    served.start()
    status, said = pushes.send(commit, "a")
    assert (status, said["state"]) == (202, "queued")
    assert len(served.idle()) == 1


def test_a_push_waits_for_a_fleet_deploy_that_starts_and_nobody_else_waits(
    pushes: Pushes, served: Service, secret: Path
) -> None:
    commit = pushes.repo.commit("one")
    pushes.repo.tag("PROD", commit)
    served.end()
    with hook(served.socket, secret, HookRules("PROD"), {"hook_submit_seconds": 30.0}) as port:
        answers: list[tuple[int, dict[str, Any]]] = []
        waiting = threading.Thread(target=lambda: answers.append(Pushes(port).send(commit, "a")))
        waiting.start()
        assert post(port, gitea_headers(b"{}", X_Gitea_Signature="00"), b"{}")[0] == 401
        assert answers == []
        served.start()
        waiting.join()
    assert [(status, said["state"]) for status, said in answers] == [(202, "queued")]
    assert len(served.idle()) == 1


def test_a_push_whose_answer_was_lost_is_said_again_within_its_time(
    tmp_path: Path, secret: Path
) -> None:
    path = str(tmp_path / "ending.sock")
    lines: list[bytes] = []

    def end_once_then_answer(listening: socket.socket) -> None:
        for answer in (b"", b'{"ok":true,"deploy":7,"state":"queued","status":"repeated"}\n'):
            connection, _ = listening.accept()
            with connection:
                lines.append(connection.recv(65536))
                connection.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(8)
        serving = threading.Thread(target=end_once_then_answer, args=(listening,))
        serving.start()
        with hook(path, secret, HookRules("PROD"), {"hook_submit_seconds": 30.0}) as port:
            status, said = Pushes(port).send("1" * 40, "a")
        serving.join()
    assert (status, said["deploy"]) == (200, 7)
    assert len(lines) == 2 and lines[0] == lines[1]


def test_a_service_that_does_not_answer_costs_503_and_nobody_else_waits(
    tmp_path: Path, secret: Path
) -> None:
    path = str(tmp_path / "deaf.sock")
    deaf = socket.socket(socket.AF_UNIX)
    deaf.bind(path)
    deaf.listen(8)
    limits = {"hook_submit_seconds": 1.0}
    with hook(path, secret, HookRules("PROD"), limits) as port:
        answers: list[int] = []
        waiting = threading.Thread(
            target=lambda: answers.append(Pushes(port).send("1" * 40, "a")[0])
        )
        waiting.start()
        one = recordings("gitea")[0]
        assert post(port, one.headers, one.body)[0] == 200
        assert answers == []  # the push still waits while others were answered
        waiting.join()
        assert answers == [503]
    deaf.close()


def test_a_service_whose_backlog_is_full_costs_503_too(tmp_path: Path, secret: Path) -> None:
    path = str(tmp_path / "full.sock")
    full = socket.socket(socket.AF_UNIX)
    full.bind(path)
    full.listen(0)
    with socket.socket(socket.AF_UNIX) as first:
        first.connect(path)
        with hook(path, secret, HookRules("PROD"), {"hook_submit_seconds": 0.3}) as port:
            status, said = Pushes(port).send("1" * 40, "a")
    assert status == 503 and "did not answer" in said["detail"]
    full.close()


def test_more_pushes_than_may_wait_are_told_to_come_again(tmp_path: Path, secret: Path) -> None:
    path = str(tmp_path / "deaf.sock")
    deaf = socket.socket(socket.AF_UNIX)
    deaf.bind(path)
    deaf.listen(8)
    limits = {"hook_submits": 1.0, "hook_submit_seconds": 2.0}
    with hook(path, secret, HookRules("PROD"), limits) as port:
        said: list[str] = []
        threads = [
            threading.Thread(
                target=lambda n=n: said.append(Pushes(port).send("1" * 40, str(n))[1]["detail"])
            )
            for n in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted("wait for fleet-deploy already" in text for text in said) == [False, True, True]
    deaf.close()


@pytest.mark.parametrize(
    ("change", "body", "path", "status"),
    [
        ({"X_Gitea_Signature": "0" * 64}, b"{}", "/", 401),
        ({"X_Gitea_Signature": ""}, b"{}", "/", 401),
        ({}, b"not json", "/", 400),
        ({}, b"[]", "/hook/gitea", 400),
        ({"Content_Type": "application/x-www-form-urlencoded"}, b"payload=%7B%7D", "/", 400),
        ({}, b"{}", "/hook/gogs", 400),
        ({}, b"{}", "/hook/unknown", 404),
        ({}, b"{}", "/else", 404),
    ],
)
def test_what_is_refused_is_a_problem_with_its_status(
    pushes: Pushes, change: dict[str, str], body: bytes, path: str, status: int
) -> None:
    found, said = post(pushes.port, gitea_headers(body, **change), body, path)
    assert found == status
    assert said["status"] == status and said["detail"]


def test_a_body_over_the_limit_is_413(served: Service, secret: Path) -> None:
    body = b"{" + b" " * 5000 + b"}"
    with hook(served.socket, secret, HookRules("PROD"), {"hook_body_bytes": 4096}) as port:
        assert post(port, gitea_headers(body), body)[0] == 413


def test_what_was_refused_or_skipped_stands_in_the_history_with_its_reason(
    pushes: Pushes, served: Service
) -> None:
    main = recordings("gitea")[0]
    post(pushes.port, main.headers, main.body)
    post(pushes.port, gitea_headers(b"{}", X_Gitea_Signature="00"), b"{}")
    post(pushes.port, gitea_headers(b"no", delivery="bad"), b"no")

    def rows() -> list[tuple[str, bool, str]]:
        found = served.client.ask("deliveries")["deliveries"]
        return sorted((row["outcome"], row["signed"], row["reason"][:30]) for row in found)

    until(lambda: len(rows()) == 3, "three rows")
    assert rows() == [
        ("ignored", True, "a push of branch main never de"),
        ("refused", False, "the signature is not one made "),
        ("refused", True, "the body is not a JSON object"),
    ]
    assert served.runs() == []


def test_a_skipped_delivery_is_judged_anew_when_it_comes_again(
    served: Service, secret: Path, repository: Repository
) -> None:
    commit = repository.commit("one")
    repository.tag("PROD", commit)
    with hook(served.socket, secret, HookRules("OTHER")) as port:
        assert Pushes(port, repository).send(commit, "a")[1]["status"] == "ignored"
    until(lambda: served.client.ask("deliveries")["deliveries"], "the row")
    with hook(served.socket, secret, HookRules("PROD")) as port:
        assert Pushes(port, repository).send(commit, "a")[0] == 202
    served.idle()
    assert [row["outcome"] for row in served.client.ask("deliveries")["deliveries"]] == ["queued"]


def test_a_flood_of_unsigned_requests_is_answered_and_leaves_a_few_rows(
    pushes: Pushes, served: Service
) -> None:
    headers = gitea_headers(b"{}", X_Gitea_Signature="00")
    for _ in range(60):
        assert post(pushes.port, headers, b"{}")[0] == 401
    commit = pushes.repo.commit("one")
    pushes.push(commit)
    served.idle()
    rows = served.client.ask("deliveries", limit=1000)["deliveries"]
    assert 1 <= sum(row["outcome"] == "refused" for row in rows) <= 30


def test_the_hook_cannot_queue_another_ref_than_the_rule_of_fleet_deploy(
    served: Service, secret: Path, repository: Repository
) -> None:
    commit = repository.commit("one")
    repository.tag("evil", commit)
    with hook(served.socket, secret, HookRules("evil")) as port:
        status, said = Pushes(port, repository).send(commit, "a", tag="evil")
    assert status == 400 and "refs/tags/PROD" in said["detail"]
    assert served.deploys() == []


def test_only_post_is_for_the_hook(pushes: Pushes) -> None:
    with socket.create_connection(("127.0.0.1", pushes.port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while more := connection.recv(65536):
            answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 405 " in head.splitlines()[0] and b"POST" in head
    assert json.loads(body)["status"] == 405
