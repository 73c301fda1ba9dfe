"""What a real Gitea and a real Gogs sent, replayed against a repository that moves as theirs did.

One deploy for each commit that the tag came to name; none for deletions, branches, releases.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleet_agent.forge import webhook
from fleet_agent.forge.rules import HookRules
from tests.deploy_world import Repository, Service, hook, post, service, until
from tests.recordings import SECRET, Recording, recordings

OURS = "http://127.0.0.1/timmy/fleet-ops.git"


@dataclass(frozen=True)
class Move:
    """A tag comes to name something (empty: is deleted) before recording number ``before``."""

    before: int
    tag: str
    value: str  # c0, c1: light; t1, t2: annotated, of c1


MOVES = {
    "gitea": (
        Move(2, "v1.0.0", "c1"),
        Move(5, "v1.0.1", "t1"),
        Move(8, "v1.0.0", "c0"),
        Move(13, "v1.0.1", ""),
        Move(15, "b1", "c1"),
        Move(17, "b2", "c1"),
        Move(19, "b3", "c1"),
        Move(21, "v1.0.1", "t1"),
        Move(24, "v2.0.0", "t2"),
        Move(26, "v3.0.0", "c1"),
    ),
    "gogs": (
        Move(2, "v1.0.0", "c1"),
        Move(3, "v1.0.1", "t1"),
        Move(4, "v1.0.0", "c0"),
        Move(5, "v1.0.1", ""),
    ),
}
# The move that each recording is about, by the number of the recording before which it happened.
ABOUT = {
    "gitea": {2: 2, 3: 2, 4: 2, 5: 5, 6: 5, 7: 5, 8: 8, 9: 8, 10: 8, 11: 8, 12: 8, 13: 13, 14: 13,
              15: 15, 16: 15, 17: 17, 18: 17, 19: 19, 20: 19, 21: 21, 22: 21, 23: 21, 24: 24,
              25: 24, 26: 26, 27: 26, 28: 26},
    "gogs": {2: 2, 3: 3, 4: 4, 5: 5},
}  # fmt: skip
# What the recorded object ids stand for.
RECORDED = {
    "5e14d2218f28e90f0540917f850195876c24a50b": "c1",
    "edabc0d13d0e123feeff414cb9fb8e9353255956": "c0",
    "2c265fb9876a8172fa8b7627aa694e3dcf333cff": "t1",
    "1e93d5d7de267110d2d49fdaa3f77a2c5352637d": "t2",
    "ae96821d3487aececff64286697621fce9a353c9": "c1",
    "585fc9ee4aea7894281c2be6272b047fc40ffcd5": "t1",
    "c958f901b4bdcfb4ba2aac07c2c2b4daa75fe9a8": "c0",
}


class World:
    """The repository, the service and the hook of one replay."""

    def __init__(self, repository: Repository, served: Service, port: int, forge: str) -> None:
        self.repository = repository
        self.service = served
        self.port = port
        self.forge = forge
        git = repository.git
        c0, c1 = repository.commit("c0"), repository.commit("c1")
        self.values = {"c0": c0, "c1": c1}
        for name in ("t1", "t2"):
            self.values[name] = repository.tag(name, c1, annotated=True)
            git("tag", "--delete", name)
        self.recordings = dict(enumerate(recordings(forge), 1))

    def move(self, move: Move) -> None:
        if move.value:
            self.repository.point(move.tag, self.values[move.value])
        else:
            self.repository.untag(move.tag)

    def send(self, number: int, *, real_ids: bool = False) -> int:
        """Send a recording, as it is or with our object ids in it and signed anew."""
        one = self.recordings[number]
        if real_ids:
            one = self._with_our_ids(one)
        status, _ = post(self.port, one.headers, one.body)
        return status

    def _with_our_ids(self, one: Recording) -> Recording:
        text = one.body.decode()
        for recorded, name in RECORDED.items():
            text = text.replace(recorded, self.values[name])
        body, headers = text.encode(), []
        for name, value in one.headers:
            signs = name.lower() in ("x-gitea-signature", "x-gogs-signature")
            headers.append((name, webhook.sign(SECRET, body) if signs else value))
        return Recording(one.name, tuple(headers), body)

    def ran(self) -> list[str]:
        """Names of the commits that were deployed."""
        names = {commit: name for name, commit in self.values.items()}
        return [names[commit] for commit in self.service.runs()]


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    forge, tag = request.param
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET + b"\n")
    secret.chmod(0o640)
    repository = Repository(tmp_path / "repository")
    with (
        service(tmp_path, str(repository.path), tag=tag) as served,
        hook(served.socket, secret, HookRules(tag, OURS)) as port,
    ):
        yield World(repository, served, port, forge)


def replay(world: World, *, wait: bool, early: bool = False) -> None:
    """All recordings in order. ``early``: v1.0.0 moves before its first ``create`` comes."""
    moves = {move.before: move for move in MOVES[world.forge]}
    for number in sorted(world.recordings):
        if early and number == 3:
            world.move(moves[8])
        if number in moves and not (early and number == 8):
            world.move(moves[number])
        assert world.send(number) in (200, 202), world.recordings[number].name
        if wait:
            world.service.idle()
    world.service.idle()


IN_ORDER = [
    ("gitea", "v1.0.0", ["c1", "c0"]),
    ("gitea", "v1.0.1", ["c1"]),
    ("gitea", "v2.0.0", ["c1"]),
    ("gitea", "b2", ["c1"]),
    # All tags from v on: v1.0.1 first names what v1.0.0 has brought, and later brings it back.
    ("gitea", "v*", ["c1", "c0", "c1"]),
    ("gitea", "PROD", []),
    ("gitea", "main", []),
    ("gogs", "v1.0.0", ["c1", "c0"]),
    ("gogs", "v1.0.1", ["c1"]),
    ("gogs", "v*", ["c1", "c0"]),
    ("gogs", "master", []),
]


@pytest.mark.parametrize(
    ("world", "wanted"),
    [((forge, tag), wanted) for forge, tag, wanted in IN_ORDER],
    ids=[f"{forge}-{tag}" for forge, tag, _ in IN_ORDER],
    indirect=["world"],
)
def test_in_order_each_commit_that_the_tag_came_to_name_is_deployed_once(
    world: World, wanted: list[str]
) -> None:
    replay(world, wait=True)
    assert world.ran() == wanted
    assert set(world.service.states()) <= {"verified"}


@pytest.mark.parametrize("world", [("gitea", "v1.0.0")], indirect=True)
def test_a_create_that_carries_a_later_commit_does_not_cost_the_later_push_a_second_deploy(
    world: World,
) -> None:
    replay(world, wait=True, early=True)
    assert world.ran() == ["c1", "c0"]


@pytest.mark.parametrize("world", [("gitea", "v1.0.0"), ("gogs", "v1.0.0")], indirect=True)
def test_while_a_deploy_runs_all_that_comes_folds_into_one_more(world: World) -> None:
    world.service.behave("wait")
    moves = {move.before: move for move in MOVES[world.forge]}
    for number in sorted(world.recordings):
        if number in moves:
            world.move(moves[number])
        world.send(number)
        if number == 2:
            until(lambda: world.ran() == ["c1"], "the first deploy's beginning")
    world.service.behave("verified")
    world.service.idle()
    assert world.ran() == ["c1", "c0"]
    assert len(world.service.deploys()) == 2


@pytest.mark.parametrize("world", [("gitea", "v1.0.0"), ("gogs", "v1.0.1")], indirect=True)
def test_every_delivery_stands_in_the_history_once_with_its_reason(world: World) -> None:
    replay(world, wait=True)
    rows = world.service.client.ask("deliveries", limit=1000)["deliveries"]
    sent = {
        (fields.get("x-gogs-event"), fields.get("x-gogs-delivery"))
        for fields in (one.fields for one in world.recordings.values())
    }
    assert {(row["event"], row["delivery"]) for row in rows} == sent
    assert len(rows) == len(sent)
    assert all(row["signed"] for row in rows)
    for row in rows:
        assert row["outcome"] in ("queued", "folded", "ignored")
        assert (row["deploy"] is None) == (row["outcome"] == "ignored")
        assert row["reason"] or row["outcome"] == "queued"


def shuffled(world: World, seed: int) -> tuple[list[str], dict[tuple[str, str], int]]:
    """Send all deliveries in any order, none before its move; wait after each.

    Returns which values the followed tags named whenever one of their deliveries came (no value
    twice in a row), and how often each tag was moved to each value.
    """
    dice = random.Random(seed)
    steps: list[Move | int] = list(MOVES[world.forge])
    for number in world.recordings:
        about = ABOUT[world.forge].get(number, 0)
        first = next(
            (i for i, s in enumerate(steps) if isinstance(s, Move) and s.before == about), 0
        )
        steps.insert(dice.randint(first + 1, len(steps)), number)
    seen: list[str] = []
    moved: dict[tuple[str, str], int] = {}
    now: dict[str, str] = {}
    for step in steps:
        if isinstance(step, Move):
            world.move(step)
            now[step.tag] = step.value
            moved[step.tag, step.value] = moved.get((step.tag, step.value), 0) + 1
            continue
        world.send(step, real_ids=True)
        world.service.idle()
        payload = world.recordings[step].payload
        tag = str(payload.get("ref", "")).removeprefix("refs/tags/")
        gone = payload.get("after") == "0" * 40 or ("ref_type" in payload and "sha" not in payload)
        if now.get(tag) and not gone and "release" not in payload:
            seen.append(f"{tag} {now[tag].replace('t', 'c')}")
    return seen, moved


SHUFFLED = [
    ((forge, tag), seed)
    for forge, tag in (("gitea", "v1.0.0"), ("gitea", "v1.0.1"), ("gogs", "v1.0.0"))
    for seed in range(5)
]


@pytest.mark.parametrize(("world", "seed"), SHUFFLED, indirect=["world"])
def test_in_any_order_each_commit_is_deployed_when_a_delivery_first_finds_it(
    world: World, seed: int, request: pytest.FixtureRequest
) -> None:
    tag = request.node.callspec.params["world"][1]
    seen, _ = shuffled(world, seed)
    wanted: list[str] = []
    for name, value in (one.split() for one in seen):
        if name == tag and (not wanted or wanted[-1] != value):
            wanted.append(value)
    assert world.ran() == wanted


@pytest.mark.parametrize(("world", "seed"), SHUFFLED, indirect=["world"])
def test_in_any_order_no_push_is_tried_twice_when_every_deploy_is_rolled_back(
    world: World, seed: int, request: pytest.FixtureRequest
) -> None:
    tag = request.node.callspec.params["world"][1]
    world.service.behave("rolled_back")
    seen, moved = shuffled(world, seed)
    ran = world.ran()
    for value in ("c0", "c1"):
        pushes = moved.get((tag, value), 0) + moved.get((tag, value.replace("c", "t")), 0)
        found = any(one.split() == [tag, value] for one in seen)
        assert min(1, found) <= ran.count(value) <= pushes, (value, ran, seen)


def test_the_recordings_are_all_here() -> None:
    assert (len(recordings("gitea")), len(recordings("gogs"))) == (28, 5)
    assert json.loads(recordings("gitea")[0].body)["ref"] == "refs/heads/main"


@pytest.mark.parametrize(
    ("world", "final"),
    [(("gitea", "v1.0.0"), ["c0"]), (("gitea", "v1.0.1"), ["c1"]), (("gogs", "v1.0.0"), ["c0"])],
    indirect=["world"],
)
@pytest.mark.parametrize("how", ["verified", "rolled_back"])
def test_all_at_once_and_at_the_end_the_last_commit_is_deployed_once(
    world: World, final: list[str], how: str
) -> None:
    world.service.behave(how)
    moves = {(move.tag, move.value): move for move in MOVES[world.forge] if move.value}
    for move in moves.values():
        world.move(move)
    threads = [
        threading.Thread(target=world.send, args=(number,), kwargs={"real_ids": True})
        for number in world.recordings
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world.service.idle()
    ran = world.ran()
    if how == "verified":
        assert ran == final
    else:  # v1.0.1 was really pushed twice
        assert ran in (final, final * 2) if final == ["c1"] else ran == final
