"""The client's side of fleet-deploy's socket, blocking: for the command line and bootstrap.

Not for the daemon's hook, which must not block (``hook.enqueue``).
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from fleet_agent.deploy import protocol
from fleet_agent.deploy.paths import SOCKET
from fleet_agent.errors import FleetError, RequestError, TryAgain

SOCKET_VARIABLE: Final = "FLEET_AGENT_SOCKET"
_ANSWER_SECONDS: Final = 30.0
# While nothing happens a follower still hears from the service every few seconds.
_SILENCE_SECONDS: Final = 60.0
_MOST_MISSES: Final = 8
_PAUSE_SECONDS: Final = 0.2


class NoService(TryAgain):
    """fleet-deploy's socket is not there, or nobody answers behind it."""

    title = "fleet-deploy does not answer"


class BrokenOff(NoService):
    """The service was there, and went away before it had answered."""


def socket_path(given: str | None, environment: Mapping[str, str]) -> str:
    """Where the socket lies: as given, else by FLEET_AGENT_SOCKET, else its place."""
    return given or environment.get(SOCKET_VARIABLE) or SOCKET


class Client:
    """Asks fleet-deploy at ``path``. Raises NoService, and FromService for what it refuses."""

    def __init__(self, path: str = SOCKET) -> None:
        self._path = path

    def ask(self, do: str, *, seconds: float = _ANSWER_SECONDS, **values: Any) -> protocol.Line:
        """One question, one answer."""
        for answer in self._lines({"do": do, **values}, seconds):
            return protocol.checked(answer)
        raise NoService("the service ended the connection without an answer", where=self._path)

    def follow(self, deploy: int | None, position: object = None) -> Iterator[protocol.Line]:
        """The lines of a deploy until it has ended; the last one has ``done``.

        When the service restarts meanwhile, it is asked again from where it was.
        """
        misses, heard = 0, False
        while True:
            question = {"do": protocol.FOLLOW, "deploy": deploy, "position": position}
            try:
                for line in self._lines(question, _SILENCE_SECONDS):
                    answer = protocol.checked(line)
                    misses, heard = 0, True
                    if isinstance(answer.get("deploy"), dict):
                        deploy = answer["deploy"]["id"]
                    position = answer.get("position", position)
                    yield answer
                    if answer.get("done"):
                        return
            except NoService as error:
                was_there = heard or isinstance(error, BrokenOff)
                if not was_there or misses >= _MOST_MISSES:
                    raise
                heard = True
            misses += 1
            if misses > _MOST_MISSES:
                raise NoService("the service ended the connection again and again")
            time.sleep(_PAUSE_SECONDS * misses)

    def _lines(self, question: Mapping[str, Any], seconds: float) -> Iterator[protocol.Line]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(seconds)
            try:
                connection.connect(self._path)
            except OSError as error:
                raise self._unreachable(error) from error
            try:
                # A refusal comes before the question is read, and is there all the same.
                with suppress(BrokenPipeError):
                    connection.sendall(protocol.encode(question))
                with connection.makefile("rb") as answers:
                    for line in answers:
                        yield _decoded(line)
            except TimeoutError as error:
                raise NoService(
                    f"did not answer within {seconds:g} s",
                    where=self._path,
                    mend="systemctl status fleet-deploy",
                ) from error
            except OSError as error:
                raise BrokenOff(f"the connection broke: {error}", where=self._path) from error

    def _unreachable(self, error: OSError) -> FleetError:
        if isinstance(error, PermissionError):
            return RequestError(
                "you may not speak to fleet-deploy",
                status=403,
                where=self._path,
                mend="be root or a member of the group fleet-agent",
            )
        return NoService(
            f"cannot be reached: {os.strerror(error.errno) if error.errno else error}",
            where=self._path,
            mend="is this the orchestrator? systemctl status fleet-deploy.socket",
        )


def _decoded(line: bytes) -> protocol.Line:
    try:
        return protocol.decode(line)
    except RequestError as error:
        raise NoService(f"answered with something else than JSON: {line[:80]!r}") from error
