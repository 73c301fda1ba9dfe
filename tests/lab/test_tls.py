"""TLS on real machines: turned on by a push while messages flow, another CA, and the way back."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import content, wheels
from .checks import daemons, is_back, is_well
from .content import Registry
from .fleet import Fleet, until
from .test_status import rows

WIZARDS = ("ezra", "bezalel", "allegro")
# An agent that sends a message to its peer ten times a second, until it is told to stop.
AGENT = """\
me=$1 to=$2 sent=0
while ! read -r -t 0.1 _; do
    curl -gsS -o /dev/null --fail --max-time 20 --retry 20 --retry-all-errors \
        --unix-socket "/run/fleet-agent/$me/agent.sock" http://agent/message -d "{
        \\"from\\": \\"$me\\", \\"to\\": \\"$to\\", \\"type\\": \\"request\\", \\"payload\\": $sent,
        \\"id\\": \\"$me-$RANDOM-$$-$sent\\", \\"timestamp\\": $(date +%s)}" || exit 1
    sent=$((sent + 1))
done
echo "$sent"
"""


def turned(on: bool) -> content.Edit:
    def edit(registry: Registry) -> None:
        registry["tls"] = on
        for entry in registry["wizards"].values():
            entry.pop("health_endpoint", None)

    return edit


def received(fleet: Fleet, wizard: str) -> int:
    return int(fleet.health(wizard)["checks"]["bus:depth"][0]["observedValue"])


@contextmanager
def messages(fleet: Fleet) -> Iterator[None]:
    """All wizards send in a ring meanwhile; afterwards all of it arrives, each once."""
    ring = dict(zip(WIZARDS, (*WIZARDS[1:], WIZARDS[0]), strict=True))
    before = {wizard: received(fleet, wizard) for wizard in WIZARDS}
    pipe = subprocess.PIPE
    senders = {
        wizard: subprocess.Popen(
            fleet.nodes[wizard].ssh_argv(["bash", "-c", AGENT, "agent", wizard, to]),
            stdin=pipe, stdout=pipe, stderr=pipe, text=True,
        )
        for wizard, to in ring.items()
    }  # fmt: skip
    try:
        yield
        sent = {}
        for wizard, sender in senders.items():
            out, err = sender.communicate("stop\n", timeout=90)
            assert sender.returncode == 0, err
            sent[ring[wizard]] = int(out)
    finally:
        for sender in senders.values():
            sender.kill()
            sender.wait()
    assert all(count > 10 for count in sent.values()), sent
    wanted = {wizard: before[wizard] + sent[wizard] for wizard in WIZARDS}
    until(
        lambda: {wizard: received(fleet, wizard) for wizard in WIZARDS} == wanted,
        f"all that was sent: {wanted}", 90,
    )  # fmt: skip


def curl(fleet: Fleet, wizard: str, *words: str, scheme: str = "https") -> tuple[int, str]:
    """curl's exit code and the HTTP status, from the Git server's machine."""
    url = fleet.url(wizard).replace("https:", f"{scheme}:") + "/health"
    argv = ["curl", "-gsS", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_code}"]
    done = fleet.lab.operator([*argv, *words, url], check=False)
    return done.returncode, done.stdout


def test_one_push_turns_tls_on_and_no_message_is_lost(fleet: Fleet, tmp_path: Path) -> None:
    with messages(fleet):
        record = fleet.push(edit=turned(True), label="TLS turned on")
        assert record.state == "verified", record
    is_well(fleet)
    bundle = tmp_path / "ca.pem"
    bundle.write_text(fleet.on("tls", "ca").stdout)
    for wizard in fleet.nodes:
        assert curl(fleet, wizard, "--cacert", str(bundle)) == (0, "200")
        assert curl(fleet, wizard)[0] == 60, "only the fleet's CA proves a wizard"
        assert curl(fleet, wizard, scheme="http") == (0, "400")
        check = fleet.health(wizard)["checks"]["tls:certificate"][0]
        assert check["status"] == "pass", check
        there = f"/etc/fleet-agent/{wizard}/keys"
        listed = fleet.nodes[wizard].run(
            ["stat", "-c", "%a %U", f"{there}/tls.pem", f"{there}/tls-ca.pem"]
        )
        assert listed.stdout.splitlines() == [f"600 fa-{wizard}", f"644 fa-{wizard}"]
    for done in (fleet.agent("status", "--json"), fleet.on("status", "--json")):
        seen = rows(done.stdout)
        assert {row["health"]["via"] for row in seen.values()} == {"http"}, seen  # type: ignore[index]
    shown = json.loads(fleet.on("tls", "show", "--json").stdout)
    assert [one["wizard"] for one in shown["certificates"]] == sorted(fleet.nodes)


def test_another_ca_comes_in_three_steps_that_lose_nothing_and_restart_nobody(
    fleet: Fleet, tmp_path: Path
) -> None:
    before = daemons(fleet, fleet.looks())
    old, new = tmp_path / "old.pem", tmp_path / "new.pem"
    old.write_text(fleet.on("tls", "ca").stdout)
    with messages(fleet):
        assert "3 of 3" in fleet.on("tls", "rotate", timeout_s=180).stderr
    assert daemons(fleet, is_well(fleet)) == before
    new.write_text(fleet.on("tls", "ca").stdout)
    for wizard in fleet.nodes:
        assert curl(fleet, wizard, "--cacert", str(old))[0] == 60
        assert curl(fleet, wizard, "--cacert", str(new)) == (0, "200")


def test_a_failed_deploy_that_turns_tls_off_brings_it_back(fleet: Fleet) -> None:
    before = fleet.looks()

    def edit(registry: Registry) -> None:
        turned(False)(registry)
        registry["deploy"]["settle_seconds"] = 4

    with messages(fleet):
        record = fleet.push(wheels.daemon_that_dies_after(2), edit)
        is_back(fleet, before, record)
    assert all(curl(fleet, wizard, *fleet.believing()) == (0, "200") for wizard in fleet.nodes)


def test_a_push_turns_tls_off_again(fleet: Fleet) -> None:
    with messages(fleet):
        record = fleet.push(edit=turned(False), label="TLS turned off")
        assert record.state == "verified", record
    is_well(fleet)
    for wizard in fleet.nodes:
        assert curl(fleet, wizard) == (0, "200")
        assert "tls:certificate" not in fleet.health(wizard)["checks"]
