"""Room for connections by the limit of open files: in children, whose limits are their own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

CHILD = """
import json, logging, resource, sys
from fleet_agent.limits import Limits
from fleet_agent.services.descriptors import connections
soft, hard = map(int, sys.argv[1:3])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
said = []
logging.getLogger("fleet_agent").addHandler(logging.Handler())
logging.getLogger("fleet_agent").handlers[0].emit = lambda record: said.append(record.getMessage())
most = connections(Limits({"http_connections": 500, "outbox_connections": 100}))
print(json.dumps([most, resource.getrlimit(resource.RLIMIT_NOFILE)[0], said]))
"""


def asked(soft: int, hard: int) -> tuple[int, int, list[str]]:
    argv = [sys.executable, "-c", CHILD, str(soft), str(hard)]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60)
    most, after, said = json.loads(done.stdout)
    return most, after, said


def test_its_own_limit_is_raised_as_far_as_is_needed() -> None:
    most, after, said = asked(64, 800)
    assert (most, after, said) == (500, 500 + 100 + 128, [])


def test_a_limit_that_is_high_enough_stays() -> None:
    assert asked(800, 800) == (500, 800, [])


@pytest.mark.parametrize(("hard", "most"), [(600, 372), (300, 150), (60, 30)])
def test_where_the_system_allows_less_files_strangers_get_less_places_and_it_is_said(
    hard: int, most: int
) -> None:
    found, after, said = asked(60, hard)
    assert (found, after) == (most, hard)
    assert said == [
        f"{hard} open files are allowed: {most} connections are served at once, not 500 "
        "(ulimit -n 728)"
    ]
