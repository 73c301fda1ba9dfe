"""Errors as one small tree, by what the reader can do about them.

Each class carries its exit code, HTTP status and whether trying again helps; one place a rim
(``cli.main`` for the terminal, ``httpd.problem`` for HTTP) writes them out.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_BUG = 1
EXIT_USAGE = 2
EXIT_ROLLED_BACK = 3
EXIT_FAILED = 4
EXIT_SOMETHING_NOT_WELL = 10
EXIT_COULD_NOT_LOOK = 11


class FleetError(Exception):
    """What went wrong, where, and how to mend it.

    ``what`` is a sentence without a secret in it, ``where`` names file, line, key, host or unit,
    ``mend`` is the next step for the reader.
    """

    exit_code = EXIT_FAILED
    http_status = 500
    retryable = False
    title = "failed"

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.mend = mend

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text} ({self.mend})" if self.mend else text


class ConfigError(FleetError):
    """Mend the configuration: a file, key or option that the operator wrote is wrong."""

    exit_code = EXIT_USAGE
    http_status = 400
    title = "configuration is wrong"


class RequestError(FleetError):
    """Mend the request: what a caller sent is refused. ``status`` says how (4xx)."""

    exit_code = EXIT_USAGE
    title = "request refused"

    def __init__(
        self, what: str, *, status: int = 400, where: str = "", mend: str = "", title: str = ""
    ) -> None:
        super().__init__(what, where=where, mend=mend)
        self.http_status = status
        if title:
            self.title = title


class TryAgain(FleetError):  # noqa: N818 (it reads as what to do)
    """Try again later: something needed is busy, starting or full."""

    http_status = 503
    retryable = True
    title = "not now"


class NodeError(FleetError):
    """Look at a node: something on it, or on the way to it, is not as it must be."""

    http_status = 502
    title = "a node is not as it must be"


class CouldNotLook(FleetError):  # noqa: N818 (it reads as what happened)
    """Nothing could be asked at all, so nothing is known."""

    exit_code = EXIT_COULD_NOT_LOOK
    http_status = 503
    retryable = True
    title = "could not look"


class IllegalMove(FleetError):  # noqa: N818
    """Report a bug: a state machine was asked for a move that its table does not have."""

    exit_code = EXIT_BUG
    title = "illegal move (a bug of fleet-agent)"

    def __init__(self, machine: str, now: str, wanted: str) -> None:
        super().__init__(f"{machine} cannot go from {now!r} to {wanted!r}")
