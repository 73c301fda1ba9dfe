"""fleet-agent keys and token against a real fleet-deploy: what is told, kept and queued."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.cli.main import main
from fleet_agent.deploy.keystore import KeyStore
from fleet_agent.deploy.protocol import FromService
from tests.deploy_world import Pushes, Service


def store(served: Service) -> KeyStore:
    (directory,) = (path.parent for path in served.place.rglob("epochs.json"))
    return KeyStore(str(directory))


def test_the_service_makes_the_master_key_and_shows_the_epoch(served: Service) -> None:
    said = served.client.ask("keys")
    assert said["epochs"]["current"] == 1 and said["keys"] == {}
    assert len(store(served).master()) == 32
    assert store(served).master().hex() not in json.dumps(said)


def test_before_the_first_deploy_there_is_nothing_to_rotate(served: Service) -> None:
    with pytest.raises(FromService, match="nothing was deployed yet"):
        served.client.ask("keys-rotate")
    assert store(served).epochs().current == 1


def test_a_rotation_queues_a_deploy_of_what_the_fleet_runs(pushes: Pushes, served: Service) -> None:
    commit = pushes.repo.commit("one")
    pushes.push(commit)
    served.idle()
    store(served).placed(1)
    said = served.client.ask("keys-rotate")
    assert (said["epochs"]["current"], said["epochs"]["previous"]) == (2, 1)
    served.idle()
    entry = served.client.ask("show", deploy=said["deploy"]["id"])["deploy"]
    assert (entry["state"], entry["commit"], entry["fetch"]) == ("verified", commit, False)
    # The stand-in places no keys, so nobody may rotate further.
    with pytest.raises(FromService, match="not known to be on every node"):
        served.client.ask("keys-rotate")


def test_a_token_is_told_once_and_bound_to_one_name(
    pushes: Pushes, served: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    pushes.push(pushes.repo.commit("one"))
    served.idle()
    words = ["token", "create", "alexander", "--wizard", "ezra", "--socket", served.socket]
    assert main([*words, "--no-follow"]) == 0
    token = capsys.readouterr().out.strip()
    assert token.startswith("fat_")
    assert main(["token", "list", "--socket", served.socket]) == 0
    listed = capsys.readouterr().out
    assert "alexander" in listed and "ezra" in listed and token not in listed
    (entry,) = store(served).tokens()
    assert main(["token", "revoke", entry.id, "--socket", served.socket]) == 0
    assert store(served).tokens() == ()
    served.idle()
    assert [row["kind"] for row in served.deploys()] == ["hook", "manual", "manual"]
    written = [path for path in Path(served.place).rglob("*") if path.is_file()]
    assert [path for path in written if token.encode() in path.read_bytes()] == []


@pytest.mark.parametrize(
    "asked",
    [{"principal": "Root"}, {"principal": 3}, {}, {"principal": "a", "wizards": "ezra"},
     {"principal": "a", "wizards": ["Ezra"]}],
)  # fmt: skip
def test_a_name_that_is_none_makes_no_token(served: Service, asked: dict[str, Any]) -> None:
    with pytest.raises(FromService) as caught:
        served.client.ask("token-create", **asked)
    assert caught.value.http_status == 400
    assert store(served).tokens() == ()


def test_words_that_do_not_go_together_are_a_mistake_of_the_command_line(
    served: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["list", "x"], ["create"], ["revoke"], ["revoke", "x", "--wizard", "ezra"]):
        assert main(["token", *words, "--socket", served.socket]) == 2
        assert f"token {words[0]}" in (told := capsys.readouterr().err) or "--wizard" in told


def test_keys_show_is_a_table(served: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "show", "--socket", served.socket]) == 0
    assert capsys.readouterr().out.startswith("epoch 1 is valid; 1 is not known to be on every")
