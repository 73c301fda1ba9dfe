"""What old deploys leave behind: files go, what one may return to stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.deploy import history
from fleet_agent.deploy.entry import Kind, Request
from fleet_agent.deploy.paths import DeployPaths
from fleet_agent.deploy.queue import Queue, open_queue
from fleet_agent.deploy.rules import Rules
from fleet_agent.deploy.source import NoSuchCommit, Source
from fleet_agent.deploy.verdict import Outcome
from fleet_agent.deploy.work import Work
from fleet_agent.services.changes import Changes
from fleet_agent.services.deploy_work import Worker
from fleet_agent.wire import DeployState
from tests.deploy_world import Repository

PLENTY = 1 << 40


@dataclass
class Ground:
    """A worker, its queue, and what the pipeline is to say next."""

    repository: Repository
    queue: Queue
    source: Source
    worker: Worker
    says: list[DeployState] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)

    def deploy(self, name: str, state: DeployState) -> int:
        """Commit and deploy; the deploy's number."""
        self.repository.commit(name)
        self.says[:] = [state]
        self.queue.ask(Request(Kind.MANUAL, "main", "root", "socket"))
        entry = self.queue.start()
        assert entry is not None
        return self.worker.work(entry).id


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    repository = Repository(tmp_path / "repository")
    paths = DeployPaths(str(tmp_path / "state"), str(tmp_path / "root"))
    (tmp_path / "state").mkdir()
    queue, source = open_queue(paths.database, 100), Source(paths)
    says: list[DeployState] = []
    result: dict[str, Any] = {"unconfirmed": []}

    def execute(work: Work) -> Outcome:
        return Outcome(says[0], "said so", dict(result))

    worker = Worker(
        paths, queue, source, execute, execute, Changes(), lambda _: Rules(str(repository.path))
    )
    yield Ground(repository, queue, source, worker, says, result)
    queue.close()


def test_files_of_all_but_the_newest_deploys_go_and_what_runs_keeps_its_own(
    ground: Ground, tmp_path: Path
) -> None:
    ground.deploy("one", DeployState.VERIFIED)
    for name in ("two", "three", "four"):
        ground.deploy(name, DeployState.ROLLED_BACK)
    ground.worker.prune(2, PLENTY)
    left = sorted(path.name for path in (tmp_path / "state" / "runs").iterdir())
    assert left == ["1", "3", "4"]
    ground.worker.prune(2, PLENTY)


def test_files_go_before_their_time_where_nodes_said_too_much_but_never_the_newest_ones(
    ground: Ground, tmp_path: Path
) -> None:
    for name in ("one", "two", "three", "four"):
        number = ground.deploy(name, DeployState.ROLLED_BACK)
        (tmp_path / "state" / "runs" / str(number) / "events.jsonl").write_bytes(b"x" * 100_000)
    ground.worker.prune(3, 250_000)
    assert sorted(path.name for path in (tmp_path / "state" / "runs").iterdir()) == ["3", "4"]
    ground.worker.prune(3, 1)
    assert [path.name for path in (tmp_path / "state" / "runs").iterdir()] == ["4"]


def test_of_old_deploys_the_history_keeps_what_was_decided_and_why(ground: Ground) -> None:
    said = {"evidence": {"192.0.2.10": {"keys": {"keys": {"x": "y" * 10_000}}}}}
    ground.result.update(
        touched=["192.0.2.10"], unconfirmed=[], runs={"forward": said},
        cause={"host": "192.0.2.10", "what": "broke", "unit_log": ["x" * 10_000]},
    )  # fmt: skip
    ground.deploy("one", DeployState.ROLLED_BACK)
    ground.deploy("two", DeployState.VERIFIED)
    ground.deploy("three", DeployState.ROLLED_BACK)
    ground.deploy("four", DeployState.ROLLED_BACK)
    for _ in range(2):
        ground.worker.prune(1, PLENTY)
        with ground.queue.reading() as db:
            results = [history.get(db, number).result for number in (1, 2, 3, 4)]
        short = {"touched": ["192.0.2.10"], "unconfirmed": [], "in_short": True,
                 "cause": {"host": "192.0.2.10", "what": "broke"}}  # fmt: skip
        assert [results[0], results[2]] == [short, short]
        assert results[1]["runs"] == {"forward": said}  # it runs: its keys can still be asked for
        assert results[3]["runs"] == {"forward": said}


def test_a_report_that_cannot_be_written_changes_no_outcome(
    ground: Ground, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state" / "runs" / "1" / "result.json").mkdir(parents=True)
    assert ground.deploy("one", DeployState.VERIFIED) == 1
    with ground.queue.reading() as db:
        assert history.get(db, 1).state is DeployState.VERIFIED
    assert "result.json: Is a directory" in caplog.text


def test_commits_that_one_may_return_to_are_kept_and_others_are_let_go(ground: Ground) -> None:
    verified = ground.deploy("one", DeployState.VERIFIED)
    broken = ground.deploy("two", DeployState.ROLLED_BACK)
    ground.deploy("three", DeployState.VERIFIED)
    ground.worker.prune(1, PLENTY)
    assert ground.source.find(f"refs/deploys/{verified}").commit
    with pytest.raises(NoSuchCommit):
        ground.source.find(f"refs/deploys/{broken}")
