"""Going over from one CA to the next: at no step does a node see a certificate it can't believe."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from fleet_agent.deploy.rotation import Rotation

FIRST = Rotation()
RUNS = Rotation(current=1, trusted=1, issued=1)


def test_the_first_ca_signs_at_once_since_there_is_no_other() -> None:
    assert (FIRST.signs, FIRST.valid, FIRST.is_over) == (1, (1,), False)
    assert (RUNS.signs, RUNS.valid, RUNS.is_over) == (1, (1,), True)


def test_the_next_ca_is_believed_first_signs_then_and_only_then_ends_the_one_before() -> None:
    begun = replace(RUNS, current=2)
    assert (begun.signs, begun.valid) == (1, (2, 1))
    believed = replace(begun, trusted=2)
    assert (believed.signs, believed.valid) == (2, (2, 1))
    through = replace(believed, issued=2)
    assert (through.signs, through.valid, through.is_over) == (2, (2,), True)


def test_whoever_signs_is_believed_by_all_who_were_deployed_to_before() -> None:
    seen = [RUNS, replace(RUNS, current=2), replace(RUNS, current=2, trusted=2),
            Rotation(2, 2, 2)]  # fmt: skip
    for before, after in pairwise(seen):
        # Half of the nodes are at the step before: both halves believe each other.
        assert before.signs in after.valid
        assert after.signs in before.valid
