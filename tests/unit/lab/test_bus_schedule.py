"""The list of faults: a seed says all of it, every kind comes in each round, somebody is spared."""

from __future__ import annotations

from tests.lab.bus.schedule import SECONDS, USUAL, Kind, lasting, plan

NODES = ("n1", "n2", "n3")
SEEDS = range(200)


def test_a_seed_determines_the_plan_and_another_seed_another_one() -> None:
    assert plan(7, NODES, rounds=2) == plan(7, NODES, rounds=2)
    assert plan(7, NODES) != plan(8, NODES)


def test_each_round_has_every_kind_once() -> None:
    faults = plan(1, NODES, rounds=3)
    for begin in range(0, len(faults), len(USUAL)):
        assert {fault.kind for fault in faults[begin : begin + len(USUAL)]} == set(USUAL)
    assert len(faults) == 3 * len(USUAL)


def test_only_the_kinds_that_were_asked_for_come() -> None:
    faults = [fault for seed in SEEDS for fault in plan(seed, NODES, kinds=(Kind.CUT, Kind.FULL))]
    assert {fault.kind for fault in faults} == {Kind.CUT, Kind.FULL}
    assert not any(fault.beside for fault in faults)


def test_nobody_is_struck_twice_at_a_time_and_never_all() -> None:
    for seed in SEEDS:
        for fault in plan(seed, NODES):
            touched = (*fault.nodes, *fault.beside)
            assert 1 <= len(fault.nodes) < len(NODES)
            assert len(set(touched)) == len(touched)
            assert set(touched) <= set(NODES)


def test_faults_last_as_their_kind_says_and_only_clocks_are_shifted() -> None:
    for seed in SEEDS:
        for fault in plan(seed, NODES):
            least, most = SECONDS[fault.kind]
            assert least <= fault.seconds <= most
            assert bool(fault.shift) == (fault.kind is Kind.CLOCK)


def test_a_plan_knows_how_long_it_lasts() -> None:
    faults = plan(3, NODES)
    assert lasting(faults) == sum(fault.seconds + fault.rest for fault in faults)
    assert lasting([]) == 0
