"""Who may say what to fleet-deploy: decided by the uid and groups that the kernel names."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fleet_agent.deploy import protocol
from fleet_agent.errors import RequestError

OPERATORS: Final = "fleet-agent"
HOOKS: Final = "fleet-hook"

_FOR_HOOKS: Final = frozenset({protocol.SUBMIT, protocol.RECORD})
_SO_PEERGROUPS: Final = 59  # asm-generic/socket.h; Python has no name for it
_ANSWER_BYTES: Final = 1024  # the most that Python lets getsockopt return: 256 groups


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is at the other end: uid, and all groups of the process at the time of its connect."""

    uid: int
    groups: frozenset[int]

    @property
    def name(self) -> str:
        """The account's name, its number where it has none."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return f"uid {self.uid}"


def caller_of(connection: socket.socket) -> Caller:
    """Who connected."""
    size = struct.calcsize("3i")
    said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    _, uid, gid = struct.unpack("3i", said)
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _ANSWER_BYTES)
    except OSError as error:
        if error.errno != errno.ERANGE:
            raise
        raw = b""  # a member of more groups than that counts by its first one
    more = struct.unpack(f"{len(raw) // 4}I", raw)
    return Caller(uid, frozenset((gid, *more)))


def group_number(name: str) -> int | None:
    """The number of a group, None where there is no such group."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


@dataclass(frozen=True, slots=True)
class Rights:
    """Root, the service's own account and ``operators`` may all; ``hooks`` may hand over pushes."""

    operators: str = OPERATORS
    hooks: str = HOOKS
    number_of: Callable[[str], int | None] = group_number

    def greet(self, caller: Caller) -> None:
        """Raises RequestError (403) for a caller that may say nothing at all."""
        if not self._is_operator(caller) and self.number_of(self.hooks) not in caller.groups:
            raise self._refusal(caller, f"{caller.name} may not speak to fleet-deploy", "")

    def check(self, caller: Caller, do: str) -> None:
        """Raises RequestError (403) unless ``caller`` may do ``do``."""
        self.greet(caller)
        if not self._is_operator(caller) and do not in _FOR_HOOKS:
            what = f"{caller.name} may hand over webhooks, and nothing else"
            raise self._refusal(caller, what, do)

    def _is_operator(self, caller: Caller) -> bool:
        operators = self.number_of(self.operators)
        return caller.uid in (0, os.geteuid()) or operators in caller.groups

    def _refusal(self, caller: Caller, what: str, do: str) -> RequestError:
        return RequestError(
            what,
            status=403,
            where=do,
            mend=f"be root or a member of the group {self.operators} "
            f"(adduser {caller.name} {self.operators}, then log in anew)",
        )
