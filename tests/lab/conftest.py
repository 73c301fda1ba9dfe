"""The lab for pytest: one a session, never skipped; without root or its tools the tests fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .fixtures import fleet, fleets, founded, timings
from .gitserver import GitServer
from .lab import Lab

__all__ = ["fleet", "founded", "git", "lab"]
HERE = Path(__file__).parent
# The first test of a session may have to build the base trees.
LIMIT_S = 900
LAST_LINES = 12
OF_THE_LAB_ITSELF = ("test_lab.py", "test_gitserver.py")
OF_THE_FIRST_FLEET = "test_deploy.py"
OF_THE_END = "test_no_unit_failed.py"
_labs: list[Lab] = []


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Three nodes n1 (Debian 12), n2 (Debian 13), n3 (Debian 12), up."""
    with Lab() as made:
        _labs.append(made)
        yield made
        _labs.remove(made)


@pytest.fixture(scope="session")
def git(lab: Lab) -> Iterator[GitServer]:
    """The Git server on the operator's side of the lab."""
    with GitServer(lab) as server:
        yield server


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Test the lab itself first, then the fleet that bootstrap made; give each test its limit.

    The limit fits machines, where a test names none itself.
    """
    items.sort(key=lambda item: _turn(item.path.name))
    if not config.pluginmanager.hasplugin("timeout"):
        return
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LIMIT_S))


def _turn(name: str) -> int:
    """0 before a fleet stands, 1 while it is as bootstrap left it, 2 afterwards, 3 at the end."""
    if name in OF_THE_LAB_ITSELF:
        return 0
    if name == OF_THE_END:
        return 3
    return 1 if name == OF_THE_FIRST_FLEET else 2


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[pytest.TestReport]:
    """Show what the nodes last said with a failure; tell fixtures whether the test passed."""
    report: pytest.TestReport = yield  # type: ignore[assignment,misc]
    if report.when == "call":
        item.lab_passed = report.passed  # type: ignore[attr-defined]
    if report.failed and HERE in item.path.parents:
        for running in _labs:
            for node in running.nodes:
                tail = node.last_words(LAST_LINES)
                report.sections.append((f"last words of {node.name}", tail))
        for one in fleets:
            report.sections += one.told()
    return report  # type: ignore[return-value]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The record: how long each deploy took, from before the push to the end of the deploy."""
    if timings:
        terminalreporter.section("seconds from push to the end of the deploy")
        for label, seconds in timings:
            terminalreporter.line(f"{seconds:7.2f}  {label}")
