"""Nodes in a thief's hands against the real ansible-playbook: what they say is only data."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from fleet_agent.wire import DeployState, Phase
from tests.talking_nodes import TalkingNodes

CORPUS = Path(__file__).parents[2] / "corpus" / "node"
GOOD = json.dumps({"ok": True, "touched": True, "notes": ["well"]})
# What `{{ 7 * 191 }}` of the corpus becomes when somebody renders it.
RENDERED = "1337"


@pytest.fixture
def nodes(tmp_path: Path) -> TalkingNodes:
    return TalkingNodes(tmp_path)


def test_no_answer_of_a_node_hinders_the_way_back_of_the_others(nodes: TalkingNodes) -> None:
    good = nodes.add(f"echo '{GOOD}'")
    said = {nodes.says(path): path.stem for path in sorted(CORPUS.glob("*.out"))}
    outcome = nodes.conductor().put_back(nodes.plan())
    ended = {event["host"] for event in nodes.events if event["event"] == "ok"
             and event["phase"] == Phase.AUDIT}  # fmt: skip
    assert good in ended
    heard = {event["host"] for event in nodes.events if event["event"] in ("ok", "failed")}
    assert heard == {good, *said}, "every node was asked, and what it said was taken"
    assert outcome.state is DeployState.FAILED
    assert outcome.result["put_back"] == [good]


def test_what_a_phase_notes_is_a_sentence_of_the_log_with_deploy_and_host(
    nodes: TalkingNodes, caplog: pytest.LogCaptureFixture
) -> None:
    host = nodes.add(f"echo '{GOOD}'")
    with caplog.at_level(logging.INFO, "fleet_agent.deploy"):
        outcome = nodes.conductor().put_back(nodes.plan())
    said = [line for line in caplog.messages if line == f"deploy 1: {host}: well"]
    assert len(said) == len(outcome.result["runs"]["back"]["notes"]) == len(Phase)


def test_nothing_that_a_node_says_is_rendered(nodes: TalkingNodes) -> None:
    nodes.says(CORPUS / "templates.out")
    plan = nodes.plan()
    nodes.conductor().put_back(plan)
    told = json.dumps(nodes.events)
    assert "{{ 7 * 191 }}" in told
    assert "lookup(" in told
    assert RENDERED not in told
    log = Path(plan.directory, "ansible.log").read_text()
    assert RENDERED not in log


def test_what_looks_like_ansibles_own_words_is_not_taken_for_them(nodes: TalkingNodes) -> None:
    nodes.says(CORPUS / "facts.out")
    nodes.conductor().put_back(nodes.plan())
    asked = [event["phase"] for event in nodes.events if event["event"] == "ok"]
    # The plan and the interpreter stayed what they were, to the last phase.
    assert asked == list(Phase)
    assert {event.get("host") for event in nodes.events if event.get("mode")} <= {None, "127.0.1.1"}


def test_a_node_that_speaks_without_end_fails_and_the_others_are_put_back(
    nodes: TalkingNodes,
) -> None:
    good = nodes.add(f"echo '{GOOD}'")
    flooding = nodes.add("exec yes '{\"ok\": true}'")
    outcome = nodes.conductor().put_back(nodes.plan())
    assert outcome.result["put_back"] == [good]
    assert outcome.result["unconfirmed"] == [flooding]
    failures = {failure["host"]: failure["what"] for failure in outcome.result["back_failures"]}
    assert "are too many" in failures[flooding], failures
