"""The check of ``GET /health`` that looks at the daemon's own certificate, before its end comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from fleet_agent.gateway.checks import Look
from fleet_agent.gateway.health import Check
from fleet_agent.limits import Limits
from fleet_agent.wire import Health

if TYPE_CHECKING:
    from fleet_agent.certificate import Certificate

_DAY: Final = 86400
_MEND: Final = "fleet-agent deploy gives it a new one"


class Own(Protocol):
    """The certificate in force, and why there is none or not the one that lies there."""

    @property
    def own(self) -> Certificate | None: ...

    @property
    def failure(self) -> str: ...


def tls_check(tls: Own, limits: Callable[[], Limits], now: Callable[[], float] = time.time) -> Look:
    """Whether there is a certificate, and for how many days it is good."""

    def look() -> Check:
        own = tls.own
        if own is None:
            return Check("tls:certificate", Health.FAIL, reason=f"{tls.failure} ({_MEND})")
        left = (own.not_after - now()) / _DAY
        value = {
            "days": round(left, 1),
            "until": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(own.not_after)),
            "fingerprint": own.fingerprint,
        }
        status, reason = Health.PASS, ""
        if left <= 0:
            status, reason = Health.FAIL, f"the certificate has expired ({_MEND})"
        elif now() < own.not_before:
            status, reason = Health.FAIL, "the certificate is not valid yet: set the clock"
        elif tls.failure:
            status, reason = Health.WARN, f"the certificate before is in force: {tls.failure}"
        elif left < limits()["health_tls_days"]:
            status = Health.WARN
            reason = f"the certificate is good for {left:.0f} days more ({_MEND})"
        return Check("tls:certificate", status, value, reason=reason)

    return look
