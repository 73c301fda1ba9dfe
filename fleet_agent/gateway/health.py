"""``GET /health``: what the checks say, as application/health+json. No secret, no key, no work.

Format: draft-inadarei-api-health-check-06, and members of our own beside it. The checks
themselves are callables; ``checks`` makes them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from fleet_agent import __version__
from fleet_agent.errors import RequestError
from fleet_agent.gateway.serving import Serving
from fleet_agent.httpd.answer import json_response
from fleet_agent.httpd.types import Request, Response
from fleet_agent.wire import DESCRIPTION, MEDIA_HEALTH, Health

_SEVERITY: Final = {Health.PASS: 0, Health.WARN: 1, Health.FAIL: 2}
_NEVER_STORED: Final = (("Cache-Control", "no-store"),)


class Check(NamedTuple):
    """One thing looked at. ``name`` is component:measurement, ``reason`` why it is not pass."""

    name: str
    status: Health
    value: object = None
    unit: str = ""
    kind: str = "component"
    reason: str = ""


class Release(NamedTuple):
    """Ids for the answer's top: the release and input digest that run, the release installed."""

    running_id: str = ""
    running: str = ""
    installed: str = ""


def health_handler(
    serving: Serving,
    release: Callable[[], Release],
    checks: Sequence[Callable[[], Check]],
    *,
    now: Callable[[], float] = time.time,
) -> Callable[[Request], Response]:
    """``GET /health``; ``release`` and ``checks`` are asked for each request."""

    def answer(request: Request) -> Response:
        if request.query_value("deep") not in (None, "0"):
            raise RequestError(
                "this release has no probes",
                status=501,
                where="query of /health",
                mend="ask without deep",
            )
        return report(serving, release(), [check() for check in checks], now())

    return answer


def report(serving: Serving, release: Release, checks: Sequence[Check], now: float) -> Response:
    """The answer that ``checks`` add up to: the worst of them; 503 when one of them failed."""
    status = max((check.status for check in checks), key=_SEVERITY.__getitem__, default=Health.PASS)
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    worst_first = sorted(checks, key=lambda check: -_SEVERITY[check.status])
    value = {
        "status": status,
        "version": __version__,
        "releaseId": release.running_id,
        "serviceId": serving.wizard,
        "description": f"{DESCRIPTION}{serving.wizard} in fleet {serving.fleet}",
        "fleet": serving.fleet,
        "wizard": serving.wizard,
        "running": release.running,
        "installed": release.installed,
        "output": [check.reason for check in worst_first if check.reason],
        "checks": {check.name: [_shown(check, moment)] for check in checks},
    }
    return json_response(503 if status is Health.FAIL else 200, value, MEDIA_HEALTH, _NEVER_STORED)


def _shown(check: Check, moment: str) -> dict[str, object]:
    value: dict[str, object] = {
        "componentType": check.kind,
        "status": check.status,
        "time": moment,
    }
    if check.value is not None:
        value["observedValue"] = check.value
    if check.unit:
        value["observedUnit"] = check.unit
    if check.reason:
        value["output"] = check.reason
    return value
