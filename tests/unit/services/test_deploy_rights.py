"""Who may say what to fleet-deploy."""

from __future__ import annotations

import os
import socket

import pytest

from fleet_agent.deploy import protocol
from fleet_agent.errors import RequestError
from fleet_agent.services.deploy_rights import Caller, Rights, caller_of

GROUPS = {"fleet-agent": 900, "fleet-hook": 901}
RIGHTS = Rights(number_of=GROUPS.get)
SOMEBODY = 4_000_000_000 - 5
ALL = (
    protocol.SUBMIT, protocol.RECORD, protocol.DEPLOY, protocol.ROLLBACK, protocol.CHECK,
    protocol.LIST, protocol.SHOW, protocol.FOLLOW, protocol.DELIVERIES, protocol.STATUS,
)  # fmt: skip


@pytest.mark.parametrize(
    "caller",
    [Caller(0, frozenset()), Caller(os.geteuid(), frozenset()), Caller(SOMEBODY, frozenset({900}))],
)
def test_root_the_service_s_own_account_and_operators_may_all(caller: Caller) -> None:
    for word in ALL:
        RIGHTS.check(caller, word)


def test_the_hook_s_daemon_may_hand_pushes_over_and_nothing_else() -> None:
    caller = Caller(SOMEBODY, frozenset({5, 901}))
    RIGHTS.greet(caller)
    for word in ALL:
        if word in (protocol.SUBMIT, protocol.RECORD):
            RIGHTS.check(caller, word)
            continue
        with pytest.raises(RequestError, match="nothing else") as caught:
            RIGHTS.check(caller, word)
        assert caught.value.http_status == 403


def test_others_may_nothing_also_where_the_groups_do_not_exist() -> None:
    for rights in (RIGHTS, Rights(number_of=lambda name: None)):
        with pytest.raises(RequestError, match="may not speak"):
            rights.greet(Caller(SOMEBODY, frozenset({1, 2})))
        for word in ALL:
            with pytest.raises(RequestError):
                rights.check(Caller(SOMEBODY, frozenset({1, 2})), word)


def test_the_kernel_names_uid_and_groups_of_who_connected() -> None:
    left, right = socket.socketpair(socket.AF_UNIX)
    with left, right:
        caller = caller_of(left)
    assert caller.uid == os.geteuid()
    assert caller.groups == {os.getegid(), *os.getgroups()}
    assert caller.name
    assert Caller(SOMEBODY, frozenset()).name == f"uid {SOMEBODY}"
