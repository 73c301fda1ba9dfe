"""How a daemon reaches its handlers: programs through the runner, URLs on loopback.

Decides nothing: what an end means is ``bus.dispatch``'s.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Final

from fleet_agent.bus.dispatch import Away, Failed, Handled, Result
from fleet_agent.bus.handling import Handler
from fleet_agent.bus.leases import Leased
from fleet_agent.httpd.client import BadAnswer, ClientResponse, NoAnswer
from fleet_agent.httpd.dial import read_url
from fleet_agent.httpd.exchange import Exchange, NobodyThere
from fleet_agent.httpd.loop import Loop
from fleet_agent.limits import Limits
from fleet_agent.registry.schema import Handler as Declared
from fleet_agent.runner.client import Gone, Run
from fleet_agent.runner.lastwords import last_line
from fleet_agent.runner.protocol import Order, Outcome
from fleet_agent.services.listeners import EXEC_SOCKET
from fleet_agent.wire import MEDIA_JSON

# The runner ends a job in time itself; who waits for longer waits for a runner that is stuck.
_RUNNERS_SECONDS: Final = 60.0
# "Taken; the answer comes by itself, or there is none" (RFC 9110, sections 15.3.3 and 15.3.5).
_WITHOUT_ANSWER: Final = (202, 204)

Ended = Callable[[Result], None]


def handlers_of(
    declared: Mapping[str, Declared], loop: Loop, run_dir: str, limits: Callable[[], Limits]
) -> dict[str, Handler]:
    """A way to each declared handler, by type of message."""
    socket = os.path.join(run_dir, EXEC_SOCKET)
    return {
        kind: _over_http(one.http, loop, limits) if one.http else _run(socket, loop, limits)
        for kind, one in declared.items()
    }


def _run(socket: str, loop: Loop, limits: Callable[[], Limits]) -> Handler:
    """A program of the release, by its name: the type of the message."""

    def begin(leased: Leased, ended: Ended) -> Callable[[], None]:
        def came(what: Outcome | Gone | str) -> None:
            if isinstance(what, str):
                ended(Away(f"the runner is not to be had: {what}"))
            elif isinstance(what, Gone):
                ended(Failed(f"the runner: {what}"))
            elif what.why is not None:
                ended(Failed(f"its program {what.reason}"))
            else:
                ended(Handled(what.output))

        force = limits()
        order = Order(leased.type, leased.id, len(leased.body))
        run = Run(
            loop, socket, order, leased.body, came,
            seconds=force["handler_seconds"] + _RUNNERS_SECONDS,
            most_bytes=force.whole("handler_output_bytes"),
        )  # fmt: skip
        return run.cancel

    return begin


def _over_http(url: str, loop: Loop, limits: Callable[[], Limits]) -> Handler:
    """A POST to a server on loopback: 2xx is handled, and its JSON the answer."""
    where = read_url(url)

    def begin(leased: Leased, ended: Ended) -> Callable[[], None]:
        def heard(what: ClientResponse | NoAnswer | BadAnswer) -> None:
            if isinstance(what, NobodyThere):
                ended(Away(f"nobody listens at {where.authority}: {what.what}"))
            elif not isinstance(what, ClientResponse):
                ended(Failed(f"{url}: {what.what}"))
            elif what.status in _WITHOUT_ANSWER:
                ended(Handled(None))
            elif 200 <= what.status < 300:
                ended(Handled(what.body))
            else:
                said = last_line(what.body)
                ended(Failed(f"{url} answered {what.status}" + (f": {said}" if said else "")))

        force = limits()
        exchange = Exchange(
            loop, where, leased.body, heard, seconds=force["handler_seconds"],
            most_bytes=force.whole("handler_output_bytes"), media=MEDIA_JSON,
        )  # fmt: skip
        return exchange.cancel

    return begin
