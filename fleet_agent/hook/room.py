"""The hook's routes: a webhook comes in, is judged, and is queued by fleet-deploy before a 202.

Everything else is answered with its reason, logged, and written into fleet-deploy's history.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from fleet_agent.deploy import protocol
from fleet_agent.errors import FleetError
from fleet_agent.forge.events import Ignored, Refusal, TagPush
from fleet_agent.forge.rules import HookRules
from fleet_agent.hook import answer, parse
from fleet_agent.hook.enqueue import Submitter
from fleet_agent.hook.gate import Gate
from fleet_agent.httpd.deferred import Deferred
from fleet_agent.httpd.loop import Loop
from fleet_agent.httpd.router import Route
from fleet_agent.httpd.types import Request, Response
from fleet_agent.limits import Limits
from fleet_agent.wire import ROUTE_HOOK, ROUTE_HOOK_FORGE

_log = logging.getLogger("fleet_agent.hook")

# Anyone may send unsigned requests. They are all answered; this many are written down and logged.
_UNSIGNED_BURST: Final = 10.0
_UNSIGNED_A_SECOND: Final = 1.0


class HookRoom:
    """Takes webhooks. ``rules`` are asked for each one, so that a reload needs nothing of this."""

    def __init__(
        self,
        loop: Loop,
        gate: Gate,
        rules: Callable[[], HookRules],
        socket_path: str,
        limits: Limits,
    ) -> None:
        self._loop = loop
        self._gate = gate
        self._rules = rules
        self._submitter = Submitter(
            loop, socket_path, limits["hook_submit_seconds"], limits.whole("hook_submits")
        )
        self._allowance = _UNSIGNED_BURST
        self._counted_at = loop.now
        self._passed_over = 0

    def routes(self) -> tuple[Route, ...]:
        """The routes of the hook's port."""
        return (
            Route("POST", ROUTE_HOOK, self.take, "hook_body_bytes"),
            Route("POST", ROUTE_HOOK_FORGE, self.take, "hook_body_bytes"),
        )

    def take(self, request: Request) -> Response | Deferred:
        """Answer one webhook. Raises RequestError (404) for the path of an unknown forge."""
        said = parse.verdict(request, self._gate.secrets, self._rules())
        if isinstance(said, TagPush):
            return self._submit(said)
        if isinstance(said, Ignored):
            delivery = said.delivery
            _log.info("%s %s %s: %s", delivery.forge, delivery.event, delivery.id, said.reason)
            self._record(said)
            return answer.ignored(said)
        self._refuse(said, request.peer.address)
        return answer.refused(said)

    def _submit(self, push: TagPush) -> Deferred:
        deferred = Deferred()
        who = f"{push.delivery.forge} {push.delivery.event} {push.delivery.id}"

        def done(said: protocol.Line | FleetError) -> None:
            if isinstance(said, FleetError):
                _log.error(
                    "%s: push of %s by %s is not queued: %s", who, push.tag, push.pusher, said
                )
                deferred.resolve(answer.not_queued(said))
                return
            _log.info(
                "%s: push of %s by %s: %s as deploy %s",
                who, push.tag, push.pusher, said.get("status"), said.get("deploy"),
            )  # fmt: skip
            deferred.resolve(answer.submitted(said))

        self._submitter.say(protocol.submit_line(parse.submission(push)), done)
        return deferred

    def _refuse(self, said: Refusal, address: str) -> None:
        if said.status == 401:
            passed = (self._loop.now - self._counted_at) * _UNSIGNED_A_SECOND
            self._allowance = min(_UNSIGNED_BURST, self._allowance + passed)
            self._counted_at = self._loop.now
            if self._allowance < 1:
                self._passed_over += 1
                return
            self._allowance -= 1
        delivery = said.delivery
        who = f"{delivery.forge} {delivery.event} {delivery.id}" if delivery else "a request"
        more = f" ({self._passed_over} more like it)" if self._passed_over else ""
        self._passed_over = 0
        _log.warning(
            "%s from %s: refused with %d: %s%s", who, address, said.status, said.what, more
        )
        self._record(said)

    def _record(self, said: Ignored | Refusal) -> None:
        seen = parse.seen(said)

        def done(answered: protocol.Line | FleetError) -> None:
            if isinstance(answered, FleetError):
                _log.warning("%s: not written into the history: %s", seen.delivery, answered)

        self._submitter.say(protocol.record_line(seen), done)
