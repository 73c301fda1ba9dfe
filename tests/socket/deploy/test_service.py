"""fleet-deploy as a process: the order of deploys, what is refused, and what a crash leaves."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.deploy.protocol import FromService
from tests.deploy_world import Pushes, Repository, Service, until


def test_a_push_of_what_the_fleet_runs_runs_nothing(pushes: Pushes, served: Service) -> None:
    one, two = pushes.repo.commit("one"), pushes.repo.commit("two")
    for commit in (one, two):
        pushes.push(commit)
        served.idle()
    pushes.tell(two, event="push")
    last = served.idle()[-1]
    assert (last["state"], last["ran"]) == ("verified", False)
    assert "nothing to do" in last["reason"] and "deploy 2" in last["reason"]
    assert served.runs() == [one, two]


def test_a_failed_commit_is_tried_again_by_a_new_push_and_not_by_a_late_create(
    pushes: Pushes, served: Service
) -> None:
    served.behave("rolled_back")
    commit = pushes.repo.commit("one")
    pushes.push(commit)
    served.idle()
    pushes.tell(commit, event="create")
    served.idle()
    assert served.runs() == [commit]
    pushes.tell(commit, event="push")
    served.idle()
    pushes.tell(commit, event="create")
    assert served.idle()[-1]["state"] == "rolled_back"
    assert served.runs() == [commit, commit]


def test_after_a_deploy_that_left_a_node_in_doubt_the_verified_commit_is_deployed_again(
    pushes: Pushes, served: Service
) -> None:
    one, two = pushes.repo.commit("one"), pushes.repo.commit("two")
    pushes.push(one)
    served.idle()
    served.behave("unsure")
    pushes.push(two)
    served.idle()
    served.behave("verified")
    pushes.push(one)
    served.idle()
    assert served.runs() == [one, two, one]


def test_a_newer_tag_of_the_rule_ends_the_waiting_of_an_older_one(
    tmp_path: Path, repository: Repository, secret: Path
) -> None:
    from fleet_agent.forge.rules import HookRules
    from tests.deploy_world import hook, service

    with (
        service(tmp_path, str(repository.path), tag="v*") as served,
        hook(served.socket, secret, HookRules("v*")) as port,
    ):
        pushes = Pushes(port, repository)
        served.behave("wait")
        for name in ("v1", "v2", "v3"):
            pushes.push(repository.commit(name), tag=name)
        # A late second event of the overtaken tag does not bring it back.
        pushes.tell(repository.git("rev-parse", "v2"), tag="v2", event="create")
        served.behave("verified")
        served.idle()
        assert served.states() == ["verified", "superseded", "verified"]
        assert served.runs() == [repository.git("rev-parse", name) for name in ("v1", "v3")]


@pytest.mark.parametrize("annotated", [False, True])
def test_the_commit_must_lie_on_the_branch(
    pushes: Pushes, served: Service, annotated: bool
) -> None:
    pushes.repo.commit("one")
    pushes.repo.git("checkout", "--quiet", "-b", "side")
    side = pushes.repo.commit("side")
    value = pushes.repo.tag("PROD", side, annotated=annotated)
    pushes.tell(value)
    (deploy,) = served.idle()
    assert deploy["state"] == "failed" and "does not lie on branch main" in deploy["reason"]
    assert served.runs() == []


def test_a_tag_that_is_gone_by_the_time_of_the_fetch_is_told(
    pushes: Pushes, served: Service
) -> None:
    pushes.tell(pushes.repo.commit("one"))
    (deploy,) = served.idle()
    assert deploy["state"] == "failed" and "does not exist" in deploy["reason"]


def test_a_refusal_by_the_pipeline_touches_nothing_and_names_the_file_of_the_commit(
    pushes: Pushes, served: Service
) -> None:
    served.behave("error")
    pushes.push(pushes.repo.commit("one"))
    (deploy,) = served.idle()
    assert deploy["reason"] == "fleet.yaml: refused by the stand-in; no node was touched"
    assert (deploy["state"], deploy["ran"], deploy["unsure"]) == ("failed", False, False)


def test_an_error_in_mid_run_is_put_back(pushes: Pushes, served: Service) -> None:
    served.behave("mid")
    commit = pushes.repo.commit("one")
    pushes.push(commit)
    (deploy,) = served.idle()
    assert deploy["state"] == "rolled_back"
    assert served.runs("recovered") == [commit]


def test_a_bug_of_the_pipeline_ends_one_deploy_and_not_the_service(
    pushes: Pushes, served: Service
) -> None:
    served.behave("bug")
    pushes.push(pushes.repo.commit("one"))
    (deploy,) = served.idle()
    assert (deploy["state"], deploy["unsure"]) == ("failed", True)
    assert "ZeroDivisionError" in deploy["reason"]
    served.behave("verified")
    pushes.push(pushes.repo.commit("two"))
    assert served.idle()[-1]["state"] == "verified"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_deploy_that_was_cut_short_is_put_back_at_the_next_start(
    pushes: Pushes, served: Service, number: signal.Signals
) -> None:
    served.behave("wait")
    commit = pushes.repo.commit("one")
    pushes.push(commit)
    until(lambda: served.runs() == [commit], "the deploy's beginning")
    assert served.end(number) == (0 if number is signal.SIGTERM else -9)
    served.behave("verified")
    served.start()
    (deploy,) = served.idle()
    assert deploy["state"] == "rolled_back"
    assert served.runs("recovered") == [commit]
    assert served.runs() == [commit]
    # What was put back was not deployed: the next push of it is.
    pushes.tell(commit)
    assert served.idle()[-1]["ran"]


def test_a_deploy_that_was_cut_short_before_anything_began_begins_anew(
    pushes: Pushes, served: Service
) -> None:
    served.behave("wait")
    commit = pushes.repo.commit("one")
    pushes.push(commit)
    until(lambda: served.runs() == [commit], "the deploy's beginning")
    served.end(signal.SIGKILL)
    served.behave("nothing-began")
    served.start()
    (deploy,) = served.idle()
    assert deploy["state"] == "verified"
    assert served.runs("recovered") == []
    moves = served.client.ask("show", deploy=1)["moves"]
    assert [(move["from"], move["to"]) for move in moves] == [
        ("", "queued"),
        ("queued", "running"),
        ("running", "running"),
        ("running", "verified"),
    ]


def test_another_current_release_takes_over_between_two_deploys_and_not_in_one(
    pushes: Pushes, served: Service
) -> None:
    served.behave("wait")
    pushes.push(pushes.repo.commit("one"))
    until(served.runs, "the deploy's beginning")
    (served.place / "stale").touch()
    two = pushes.repo.commit("two")
    pushes.push(two)
    assert served.states() == ["running", "queued"]
    served.behave("verified")
    assert served.process is not None and served.process.wait(30) == 0
    (served.place / "stale").unlink()
    served.start()
    served.idle()
    assert served.states() == ["verified", "verified"]
    assert served.runs()[-1] == two


def test_a_follower_hears_each_event_once_over_a_restart_of_the_service(
    pushes: Pushes, served: Service
) -> None:
    served.behave("wait")
    commit = pushes.repo.commit("one")
    pushes.push(commit)
    until(lambda: served.runs() == [commit], "the deploy's beginning")
    lines: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: lines.extend(served.client.follow(1)))  # type: ignore[arg-type]
    thread.start()
    served.end(signal.SIGKILL)
    served.behave("verified")
    served.start()
    thread.join(30)
    assert lines[-1]["done"] and lines[-1]["deploy"]["state"] == "rolled_back"
    events = [json.dumps(line["event"]) for line in lines if "event" in line]
    assert len(events) == len(set(events))
    phases = [json.loads(event).get("phase") for event in events]
    assert [phase for phase in phases if phase] == ["preflight", "deploy"]


def test_by_hand_a_branch_a_short_commit_and_what_is_only_in_the_mirror_deploy(
    served: Service, repository: Repository
) -> None:
    one = repository.commit("one")
    repository.git("checkout", "--quiet", "-b", "side")
    side = repository.commit("side")
    for ref, commit in (("main", one), ("side", side), (one[:9], one)):
        served.client.ask("deploy", ref=ref)
        assert served.idle()[-1]["commit"] == commit
    mirror = served.state / "mirror.git"
    repository.git("push", "--quiet", str(mirror), f"{side}:refs/bootstrap/first")
    served.client.ask("deploy", ref="refs/bootstrap/first", fetch=False)
    served.idle()
    assert served.runs() == [one, side, one, side]


@pytest.mark.parametrize("word", ["deploy", "check"])
def test_a_commit_off_the_branch_is_taken_by_hand_and_it_is_said(
    served: Service, repository: Repository, word: str
) -> None:
    repository.commit("one")
    repository.git("checkout", "--quiet", "-b", "side")
    side = repository.commit("side")
    for ref in ("main", "side"):
        served.client.ask(word, ref=ref)
        served.idle()
    said = [
        [line["message"] for line in map(json.loads, notes.read_text().splitlines())
         if "is not on main" in line["message"]]
        for notes in (served.state / "runs" / str(number) / "notes.jsonl" for number in (1, 2))
    ]  # fmt: skip
    assert [len(lines) for lines in said] == [0, 1]
    assert side[:10] in said[1][0] and "asked for by" in said[1][0]
    assert served.runs("checked" if word == "check" else "ran")[-1] == side


def test_the_default_of_a_deploy_by_hand_is_the_tag_and_it_always_runs(
    served: Service, repository: Repository
) -> None:
    commit = repository.commit("one")
    repository.tag("PROD", commit)
    for _ in range(2):
        served.client.ask("deploy")
        served.idle()
    assert served.runs() == [commit, commit]


@pytest.mark.parametrize(("seen", "following"), [(41, 42), (10**12, 2)])
def test_numbers_go_on_above_what_a_node_has_seen_but_no_lie_uses_them_up(
    served: Service, repository: Repository, seen: int, following: int
) -> None:
    repository.tag("PROD", repository.commit("one"))
    served.behave(f"seen {seen}")
    served.client.ask("deploy")
    first = served.idle()[-1]
    assert ("deploy again" in first["reason"]) == (following == seen + 1)
    served.behave("verified")
    served.client.ask("deploy")
    assert served.idle()[-1]["id"] == following


@pytest.mark.parametrize("ref", ["--upload-pack=x", "a..b", "", "a b", 7])
def test_what_cannot_be_a_ref_is_refused_before_it_is_queued(served: Service, ref: object) -> None:
    with pytest.raises(FromService) as caught:
        served.client.ask("deploy", ref=ref)
    assert caught.value.http_status == 400
    assert served.deploys() == []


def test_a_ref_that_is_not_there_fails_with_a_mend(served: Service, repository: Repository) -> None:
    repository.commit("one")
    served.client.ask("deploy", ref="nowhere")
    (deploy,) = served.idle()
    assert deploy["state"] == "failed" and "no tag, branch or commit 'nowhere'" in deploy["reason"]


def test_a_rollback_needs_no_repository_and_going_on_goes_further_back(
    pushes: Pushes, served: Service
) -> None:
    with pytest.raises(FromService) as caught:
        served.client.ask("rollback")
    assert caught.value.http_status == 409
    commits = [pushes.repo.commit(name) for name in ("one", "two", "three")]
    for commit in commits:
        pushes.push(commit)
        served.idle()
    pushes.repo.path.rename(pushes.repo.path.with_name("gone"))
    for wanted in (commits[1], commits[0]):
        served.client.ask("rollback")
        assert served.idle()[-1]["state"] == "verified"
        assert served.runs()[-1] == wanted
    with pytest.raises(FromService) as caught:
        served.client.ask("rollback")
    assert "nothing lies before it" in str(caught.value)


def test_a_late_event_does_not_undo_a_rollback_and_a_new_push_does(
    pushes: Pushes, served: Service
) -> None:
    one, two = pushes.repo.commit("one"), pushes.repo.commit("two")
    for commit in (one, two):
        pushes.push(commit)
        served.idle()
    served.client.ask("rollback")
    served.idle()
    pushes.tell(two, event="create")
    served.idle()
    assert served.runs() == [one, two, one]
    pushes.tell(two, event="push")
    served.idle()
    assert served.runs() == [one, two, one, two]


def test_a_dry_run_is_a_row_of_its_own_and_says_nothing_of_the_fleet(
    served: Service, repository: Repository
) -> None:
    commit = repository.commit("one")
    repository.tag("PROD", commit)
    served.client.ask("check")
    (deploy,) = served.idle()
    assert (deploy["kind"], deploy["state"]) == ("check", "verified")
    with pytest.raises(FromService):
        served.client.ask("rollback")
    assert served.runs("checked") == [commit] and served.runs() == []


def test_the_checkout_is_exactly_the_commit_and_is_not_writable(
    pushes: Pushes, served: Service
) -> None:
    pushes.push(pushes.repo.commit("one", {"fleet.yaml": "a\n", "souls/ezra.md": "b\n"}))
    served.idle()
    tree = served.state / "runs" / "1" / "tree"
    found = {str(path.relative_to(tree)): path for path in tree.rglob("*")}
    assert sorted(found) == ["fleet.yaml", "souls", "souls/ezra.md"]
    assert {path.stat().st_mode & 0o222 for path in [tree, *found.values()]} == {0}
    result = json.loads((tree.parent / "result.json").read_text())
    assert result["state"] == "verified"
