"""Looks at all wizards at once: real ssh to each node, health of each, with a time limit each.

For whoever shows the fleet's state; what the answers mean is ``healthbody``. Changes nothing.
"""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from fleet_agent import proc
from fleet_agent.errors import FleetError
from fleet_agent.httpd import client
from fleet_agent.httpd.dial import NoAnswer
from fleet_agent.observe import healthbody
from fleet_agent.observe.sight import HTTP, SSH, FleetSnapshot, HealthSight, SshSight, WizardSight
from fleet_agent.observe.trust import Authorities, Trust, nobody
from fleet_agent.registry.schema import Registry, Wizard
from fleet_agent.release import unitfile
from fleet_agent.wire import Health

# The ssh command line up to and with the host, for the node of a wizard; with BatchMode=yes.
# Empty for a node that is a folder of this machine (the demo): there is nothing to log in to.
SshWays = Callable[[Wizard], Sequence[str]]

BODY_BYTES: Final = 256 * 1024
# What a login may say besides: banners, complaints.
_SAID_BYTES: Final = 64 * 1024
_AT_ONCE: Final = 64
_STARTING_SECONDS: Final = 1.0
_SSH_FAILED: Final = 255
# Asks the daemon's loopback socket on the node itself; prints the status, then the body. Where
# loopback is what it listens on, that speaks TLS: whose machine it is, ssh knows.
_ASK: Final = """\
import http.client,ssl,sys
a,n,t=("127.0.0.1",int(sys.argv[1])),float(sys.argv[2]),sys.argv[4]
c=http.client.HTTPSConnection(*a,timeout=n,context=ssl._create_unverified_context()) if t=="tls" \
else http.client.HTTPConnection(*a,timeout=n)
try:
    c.request("GET","/health")
    r=c.getresponse()
    sys.stdout.buffer.write(b"%d\\n"%r.status+r.read(int(sys.argv[3])))
except OSError as e:
    sys.exit(e.strerror or str(e) or type(e).__name__)
"""


def look(
    registry: Registry,
    ssh: SshWays,
    limits: Mapping[str, float],
    *,
    now: Callable[[], float] = time.time,
    authorities: Authorities = nobody,
) -> FleetSnapshot:
    """The state of every wizard of ``registry``; ``limits`` has ``status_seconds``.

    ``authorities`` is asked for the fleet's CA where a wizard speaks TLS. Never raises for what it
    finds: what can't be reached is told as such.
    """
    seconds = limits["status_seconds"]
    began = now()
    nodes = registry.nodes
    most = max(1, min(_AT_ONCE, len(nodes) + len(registry.wizards)))
    trust = Trust.of(registry, authorities)
    with ThreadPoolExecutor(most) as pool:
        reached = {
            host: pool.submit(ask_ssh, ssh(wizards[0]), seconds) for host, wizards in nodes.items()
        }
        direct = {
            wizard.name: pool.submit(ask_http, wizard, registry.fleet, seconds, trust)
            for wizard in registry.wizards
        }
        ways = {host: future.result() for host, future in reached.items()}
        healths = {name: future.result() for name, future in direct.items()}
        again = {
            wizard.name: pool.submit(ask_over_ssh, wizard, registry.fleet, ssh(wizard), seconds)
            for wizard in registry.wizards
            if not healths[wizard.name].via and ways[wizard.host].ok and ssh(wizard)
        }
        for name, future in again.items():
            healths[name] = future.result()
    return FleetSnapshot(
        registry.fleet,
        began,
        tuple(
            WizardSight(
                name=wizard.name,
                host=wizard.host,
                role=str(wizard.role),
                model=wizard.model,
                ssh=ways[wizard.host],
                health=healths[wizard.name],
            )
            for wizard in registry.wizards
        ),
    )


def ask_ssh(argv: Sequence[str], seconds: float) -> SshSight:
    """Whether ``true`` can be run on the node behind ``argv`` within ``seconds``."""
    if not argv:
        return SshSight(True, "", 0.0)
    began = time.monotonic()
    try:
        done = proc.run(
            [*argv, "true"],
            timeout_seconds=seconds + _STARTING_SECONDS,
            check=False,
            most_bytes=_SAID_BYTES,
        )
    except FleetError as error:
        return SshSight(False, str(error), round(time.monotonic() - began, 3))
    took = round(time.monotonic() - began, 3)
    if done.code == 0:
        return SshSight(True, "", took)
    last = done.complaint.splitlines()
    why = last[-1] if last else f"ssh ended with {done.code}"
    if done.code != _SSH_FAILED:
        why = f"logged in, but `true` ended with {done.code}: {why}"
    return SshSight(False, why, took)


def ask_http(wizard: Wizard, fleet: str, seconds: float, trust: Trust) -> HealthSight:
    """Health by its endpoint, from here. ``via`` is empty where nothing could be reached.

    A certificate that is not believed, or plain HTTP in TLS's place, was reached and is a failure.
    """
    if wizard.tls and trust.context is None:
        return HealthSight(Health.FAIL, f"{wizard.health_endpoint} was not asked: {trust.why}")
    context = trust.context if wizard.tls else None
    try:
        answer = client.get(wizard.health_endpoint, seconds, body_limit=BODY_BYTES, tls=context)
    except NoAnswer as error:
        return HealthSight(Health.FAIL, f"no answer from {wizard.health_endpoint}: {error.what}")
    except FleetError as error:
        return HealthSight(Health.FAIL, str(error), HTTP)
    return healthbody.judge(wizard.name, fleet, answer.status, answer.body, HTTP)


def ask_over_ssh(wizard: Wizard, fleet: str, argv: Sequence[str], seconds: float) -> HealthSight:
    """Health by the daemon's loopback socket on its own node, asked through ssh."""
    port = wizard.listen.port
    at_once = unitfile.listens_on_loopback(wizard.listen.address)
    way = "tls" if wizard.tls and at_once else "plain"
    numbers = [str(port), f"{seconds:g}", str(BODY_BYTES)]
    remote = ["python3", "-I", "-S", "-c", _ASK, *numbers, way]
    try:
        done = proc.run(
            [*argv, shlex.join(remote)],
            timeout_seconds=2 * seconds + _STARTING_SECONDS,
            check=False,
            most_bytes=BODY_BYTES + _SAID_BYTES,
        )
    except FleetError as error:
        return HealthSight(Health.FAIL, str(error))
    head, _, body = done.out.partition(b"\n")
    if done.code != 0 or not head.isdigit():
        last = done.complaint.splitlines()
        why = last[-1] if last else f"ended with {done.code}"
        return HealthSight(Health.FAIL, f"no answer on the node at port {port}: {why}")
    return healthbody.judge(wizard.name, fleet, int(head), body, SSH)


def connect_seconds(limits: Mapping[str, float]) -> int:
    """ssh's ConnectTimeout, whole seconds, for looking."""
    return max(1, math.ceil(limits["status_seconds"]))
