"""The commands deploy, deploys, rollback and hook against a real fleet-deploy process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy_world import HERE, Pushes, Repository, Service, until
from tests.recordings import recordings


def run(served: Service, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "FLEET_AGENT_SOCKET": served.socket, "PYTHONPATH": str(HERE.parent)}
    return subprocess.run(
        [sys.executable, "-m", "fleet_agent", *words],
        cwd=cwd or HERE.parent, env=env, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.fixture
def tagged(repository: Repository) -> str:
    commit = repository.commit("one")
    repository.tag("PROD", commit)
    return commit


@pytest.mark.parametrize(
    ("behaviour", "code"), [("verified", 0), ("rolled_back", 3), ("failed", 4), ("error", 4)]
)
def test_deploy_follows_to_the_end_and_its_exit_code_says_how_it_ended(
    served: Service, tagged: str, behaviour: str, code: int
) -> None:
    served.behave(behaviour)
    done = run(served, "deploy")
    assert done.returncode == code
    lines = done.stdout.splitlines()
    assert any("fetched in" in line for line in lines)
    word = "failed" if behaviour == "error" else behaviour
    assert any(line.startswith(f"deploy 1  {word}") for line in lines)
    assert served.deploys()[0]["commit"] == tagged


def test_deploy_by_ref_without_following_only_queues(served: Service, tagged: str) -> None:
    done = run(served, "deploy", "--ref", "main", "--no-follow", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["deploy"]["ref"] == "main"
    assert served.idle()[0]["commit"] == tagged


def test_json_of_a_followed_deploy_is_one_object_a_line(served: Service, tagged: str) -> None:
    done = run(served, "deploy", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[-1]["done"] and lines[-1]["deploy"]["state"] == "verified"
    assert {"note", "start"} <= {line["event"]["event"] for line in lines if "event" in line}


def test_check_shows_and_deploys_nothing(served: Service, tagged: str) -> None:
    done = run(served, "deploy", "--check")
    assert done.returncode == 0, done.stderr
    assert served.runs() == [] and served.runs("checked") == [tagged]
    pasted = run(served, "deploy", "--check", "--markdown")
    assert pasted.stdout.startswith("**fleet-agent**: `refs/tags/PROD` at `" + tagged[:12])
    served.behave("error")
    failing = run(served, "deploy", "--check")
    assert failing.returncode == 4
    assert "would fail" in failing.stdout and "refused by the stand-in" in failing.stdout
    pasted = run(served, "deploy", "--check", "--markdown")
    assert pasted.returncode == 4
    assert "would fail:\n\n```\n" in pasted.stdout and "refused by the stand-in" in pasted.stdout


def test_deploys_lists_shows_and_follows(
    served: Service, pushes: Pushes, repository: Repository
) -> None:
    commit = repository.commit("one")
    pushes.push(commit)
    served.idle()
    served.behave("rolled_back")
    pushes.push(repository.commit("two"))
    served.idle()
    listed = run(served, "deploys")
    assert listed.returncode == 0
    rows = [line.split() for line in listed.stdout.splitlines()]
    assert [row[:2] for row in rows[1:]] == [["2", "rolled_back"], ["1", "verified"]]
    assert commit[:10] in listed.stdout and "timmy" in listed.stdout
    value = json.loads(run(served, "deploys", "--json", "--limit", "1").stdout)
    assert [one["id"] for one in value["deploys"]] == [2]
    shown = run(served, "deploys", "show", "1")
    assert commit in shown.stdout and "delivery-1" in shown.stdout and "running" in shown.stdout
    whole = json.loads(run(served, "deploys", "show", "1", "--json").stdout)
    assert whole["deploy"]["result"] == {"touched": ["192.0.2.10"], "unconfirmed": []}
    assert run(served, "deploys", "follow", "1").returncode == 0
    assert run(served, "deploys", "follow").returncode == 3
    missing = run(served, "deploys", "show", "99")
    assert missing.returncode == 2 and "no deploy 99" in missing.stderr


def test_deliveries_are_listed_with_their_reasons(served: Service, pushes: Pushes) -> None:
    from tests.deploy_world import post

    one = recordings("gitea")[0]
    post(pushes.port, one.headers, one.body)
    until(lambda: served.client.ask("deliveries")["deliveries"], "the row")
    done = run(served, "deploys", "--deliveries")
    assert "ignored" in done.stdout and "never deploys" in done.stdout
    assert "e7f7b8c3" in done.stdout


def test_rollback_goes_back_and_says_to_what(served: Service, pushes: Pushes) -> None:
    first = run(served, "rollback")
    assert first.returncode == 2 and "no verified deploy" in first.stderr
    one, two = pushes.repo.commit("one"), pushes.repo.commit("two")
    for commit in (one, two):
        pushes.push(commit)
        served.idle()
    done = run(served, "rollback")
    assert done.returncode == 0, done.stderr
    assert "what deploy 1 verified" in done.stderr
    assert served.runs() == [one, two, one]


def test_hook_test_waits_and_says_what_came(served: Service, pushes: Pushes) -> None:
    nothing = run(served, "hook", "test", "--timeout", "0.2")
    assert nothing.returncode == 10 and "ALLOWED_HOST_LIST" in nothing.stderr
    env = {**os.environ, "FLEET_AGENT_SOCKET": served.socket}
    waiting = subprocess.Popen(
        [sys.executable, "-m", "fleet_agent", "hook", "test", "--timeout", "30"],
        cwd=HERE.parent, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert waiting.stderr is not None
    assert "waiting" in waiting.stderr.readline()
    pushes.push(pushes.repo.commit("one"))
    out, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert out.startswith("gitea push delivery-1: queued as deploy 1")


def test_hook_show_is_what_the_form_wants(served: Service, tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(
        "wizards:\n  ezra: {host: 192.0.2.10, listen: {address: 10.0.0.10}, role: orchestrator}\n"
        "deploy: {tag: LIVE}\n"
    )
    done = run(served, "hook", "show", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for words in ("http://192.0.2.10:9876/", "application/json", "LIVE"):
        assert words in done.stdout


def test_without_a_service_the_error_says_where_and_what_to_look_at(served: Service) -> None:
    served.end()
    done = run(served, "deploys")
    assert done.returncode == 4
    assert served.socket in done.stderr and "fleet-deploy" in done.stderr


def test_beside_a_fleet_yaml_the_orchestrator_is_asked_over_ssh(
    served: Service, tmp_path: Path
) -> None:
    (tmp_path / "fleet.yaml").write_text(
        "wizards:\n  ezra: {host: 192.0.2.10, role: orchestrator, ssh: {user: op, port: 2222}}\n"
    )
    from fleet_agent.cli.orchestrator import ssh_words
    from fleet_agent.registry.source import choose, open_registry

    registry = open_registry(choose(str(tmp_path / "fleet.yaml")))
    words = ssh_words(registry, str(tmp_path), ["deploy", "--ref", "a b;c"])
    assert words[0] == "ssh" and "BatchMode=yes" in words
    assert words[-2:] == ["192.0.2.10", "sudo -n -- fleet-agent deploy --ref 'a b;c'"]
    assert words[words.index("-l") + 1] == "op"
    assert words[words.index("-p") + 1] == "2222"
