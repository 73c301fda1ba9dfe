"""Thieves in the lab: with an agent's account, with a whole node, on a disk that fills."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from . import content
from .checks import is_well
from .content import Registry
from .fleet import Deployed, Fleet, until
from .node import Node

THIEF = content.THEIR_USER
HOME = content.home("bezalel")
ATTACK = Path(__file__).parent / "attack"
DEEP = f"{HOME}/deep/down/config.json"
CONFIRM_S = content.LIMITS["confirm_seconds"]

FLOOD = 'exec yes \'{"ok": true, "changed": true}\''
HANG = "printf '{'; exec sleep 600"


def script(name: str) -> str:
    """A program of the thief's, or of whoever watches it."""
    return (ATTACK / name).read_text()


def model(name: str) -> content.Edit:
    """An edit that gives every wizard another model, and a thief's wizard a place to fight for."""

    def edit(registry: Registry) -> None:
        registry["deploy"]["phase_seconds"] = 10
        for entry in registry["wizards"].values():
            entry["model"] = name
        fought = {"source": "agents/config.json.j2", "place": DEEP, "mode": "0640"}
        if fought not in registry["wizards"]["bezalel"]["files"]:
            registry["wizards"]["bezalel"]["files"].append(fought)

    return edit


@pytest.fixture(scope="module", autouse=True)
def patience_again(founded: Fleet) -> Iterator[None]:
    """What was verified here is the next tests' base: they get their patience back."""
    yield
    founded.checkout.registry["deploy"].pop("phase_seconds", None)


def etc_of(node: Node) -> dict[str, list[object]]:
    found: dict[str, list[object]] = json.loads(
        node.run(["python3", "-c", script("look_at_etc.py")]).stdout
    )
    return found


@contextmanager
def stolen(node: Node, does: str, *, on_the_way_back: bool) -> Iterator[None]:
    """A node whose root does as it likes when it is asked for phase services, and to go back."""
    real = "/usr/bin/systemd-run"
    back = does if on_the_way_back else ":"
    cases = f"*fleet-phase-back-*) {back};; *-services*) {does};;"
    text = f'#!/bin/sh\ncase "$*" in {cases} esac\nexec {real}.real "$@"\n'
    node.run(["mv", real, f"{real}.real"])
    node.put(real, text, "0755")
    try:
        yield
    finally:
        node.run(["mv", f"{real}.real", real])


def settled(fleet: Fleet, node: Node) -> None:
    """Wait until a node that was left alone has put itself back."""
    until(lambda: fleet.look(node).state in ("reverted", "confirmed"), "its own way back", 120)


def may_of(wizard: str, account: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What an account may read of the secrets, and where it may write, by how paths begin."""
    keys, boxes = f"/etc/fleet-agent/{wizard}/keys/", f"/var/lib/fleet-agent/{wizard}"
    sockets = (f"/run/fleet-agent/{wizard}/agent.sock", "/run/fleet-agent/deploy.sock")
    anybodys = ("/run/", "/dev/", "/var/lock")
    if account != f"fa-{wizard}":
        homes = (content.home(wizard), f"/home/{account}")
        return (f"{keys}token",), (*sockets, *homes, *anybodys)
    secret = ("/etc/fleet-agent/hook/secret",) if wizard == "ezra" else ()
    return (keys, boxes, *secret), (keys, boxes, *sockets, *anybodys)


def test_no_account_of_a_wizard_reads_or_writes_what_is_not_its_own(fleet: Fleet) -> None:
    for wizard, node in fleet.nodes.items():
        for account in (THIEF if wizard == "bezalel" else wizard, f"fa-{wizard}"):
            groups = "--groups=fleet-hook" if account == "fa-ezra" else "--clear-groups"
            as_it = ["setpriv", f"--reuid={account}", f"--regid={account}", groups]
            said = node.run([*as_it, "python3", "-c", script("look_around.py")]).stdout
            found = [line.partition(" ")[::2] for line in said.splitlines()]
            reads, writes = may_of(wizard, account)
            assert any(what == "reads" for what, _ in found), "it can read its own"
            for what, path in found:
                assert path.startswith(reads if what == "reads" else writes), (account, what, path)
            ours = {path for what, path in found
                    if what == "writes" and path.startswith("/run/fleet-agent")}  # fmt: skip
            assert ours <= {path for path in writes if path.startswith("/run/fleet-agent")}


def test_the_hooks_account_may_hand_over_pushes_and_nothing_else(fleet: Fleet) -> None:
    said = "deploy check rollback list show follow deliveries status"
    words = [{"do": word} for word in said.split()]
    pushed = {"do": "submit", "forge": "gitea", "event": "push", "delivery": "x" * 20}
    refs = ("refs/heads/main", "refs/tags/OTHER", "refs/tags/PROD/../x", "PROD", "--upload-pack=x")
    before = fleet.newest()
    as_it = ["setpriv", "--reuid=fa-ezra", "--regid=fa-ezra", "--groups=fleet-hook"]
    asked = json.dumps([*words, *({**pushed, "ref": ref} for ref in refs)])
    told = fleet.orchestrator.run([*as_it, "python3", "-c", script("asking.py"), asked]).stdout
    answers = [json.loads(line) for line in told.splitlines()]
    assert [one["error"]["status"] for one in answers] == [403] * len(words) + [400] * len(refs)
    assert fleet.newest() == before


def test_what_a_thief_swaps_in_its_home_leads_root_nowhere(fleet: Fleet) -> None:
    node = fleet.lab["n2"]
    before = etc_of(node)
    node.put("/srv/swapping.py", script("swapping.py"))
    node.run(["systemd-run", "--quiet", f"--uid={THIEF}", "--unit=swapping", "--collect",
              "python3", "/srv/swapping.py", HOME])  # fmt: skip
    ends = []
    try:
        for number in range(6):
            ends.append(fleet.push(edit=model(f"lab/fought-{number}"), label="against a thief"))
    finally:
        node.run(["systemctl", "stop", "swapping"])
    touched = [record for record in ends if content.host_of(node) in record.result["touched"]]
    assert touched, "none came so far that there was something to fight for"
    assert etc_of(node) == before
    owned = node.run(["find", "/", "-xdev", "-user", THIEF, "-not", "-path", f"{HOME}*",
                      "-not", "-path", "/proc/*", "-not", "-path", "/tmp/*"]).stdout  # fmt: skip
    assert owned == ""
    # What a person does then; a node that still goes back by itself puts back what it needs.
    spoilt = "config.json soul.md stand_in.py deep caught .fleet-agent.*"
    node.run(["sh", "-c", f"cd {HOME} && rm -rf {spoilt}"])
    settled(fleet, node)
    assert fleet.push(label="after the thief was stopped").state == "verified"
    is_well(fleet)


@pytest.mark.parametrize("does", [FLOOD, HANG], ids=["floods", "hangs"])
def test_a_stolen_node_keeps_no_other_from_its_way_back(fleet: Fleet, does: str) -> None:
    node = fleet.lab["n3"]
    others = {content.host_of(one) for one in fleet.lab.nodes if one is not node}
    pid = fleet.orchestrator.pid("fleet-deploy.service")
    with stolen(node, does, on_the_way_back=True):
        record = fleet.push(edit=model("lab/stolen"), label="a stolen node")
    assert record.state == "failed", record
    assert record.cause["host"] == content.host_of(node), record
    assert set(record.result["put_back"]) == others, record
    assert record.result["unconfirmed"] == [content.host_of(node)]
    assert fleet.orchestrator.pid("fleet-deploy.service") == pid
    settled(fleet, node)
    is_well(fleet)


def test_words_of_a_stolen_node_are_shown_and_run_nowhere(fleet: Fleet) -> None:
    node = fleet.lab["n3"]
    key = "/var/lib/fleet-deploy/ssh/id_ed25519"
    error = {
        "what": f"{{{{ lookup('file', '{key}') }}}}\x1b[2J\ndeploy 99: verified",
        "where": "{{ 'zy' * 4 }}", "mend": "\ud800\u202e",
    }  # fmt: skip
    said = json.dumps({"ok": False, "error": error})
    node.put("/srv/said", said + "\n")
    with stolen(node, "exec cat /srv/said", on_the_way_back=False):
        record: Deployed = fleet.push(edit=model("lab/stolen"), label="a node with words")
    assert record.state == "rolled_back", record
    assert "lookup(" in record.reason
    run = fleet.runs / str(record.id)
    everything = "".join(path.read_text(errors="replace") for path in run.glob("*[ngl]"))
    log = fleet.orchestrator.journal("fleet-deploy.service")
    shown = fleet.on("deploys", "show", str(record.id)).stdout
    for text in (everything, log, shown):
        assert "lookup(" in text
        assert "PRIVATE KEY" not in text
        assert "zyzyzyzy" not in text, "what a node says was taken for a template"
        assert "\x1b" not in text
    assert not any(line.startswith("deploy 99") for line in (log + shown).splitlines())
    is_well(fleet)


def test_a_disk_that_fills_in_mid_deploy_is_put_back(fleet: Fleet) -> None:
    node = fleet.lab["n3"]
    before = fleet.looks()
    # A disk of its own, as small as it can be: what is there, and 4 MiB.
    node.run(["sh", "-euc", """
systemctl stop 'fleet-*@*.service' 'fleet-*@*.socket'
used=$(du -sm /opt/fleet-agent /var/lib/fleet-agent | awk '{sum += $1} END {print sum}')
mkdir -p /srv/small && mount -t tmpfs -o size=$((used + 4))M small /srv/small
cp -a /opt/fleet-agent /srv/small/opt && cp -a /var/lib/fleet-agent /srv/small/var
mount --bind /srv/small/opt /opt/fleet-agent && mount --bind /srv/small/var /var/lib/fleet-agent
systemctl start fleet-agent@allegro.socket fleet-agent@allegro.service fleet-wizard@allegro.service
"""])  # fmt: skip

    def edit(registry: Registry) -> None:
        registry["deploy"] |= {"disk_free_mib": 1, "file_bytes": 16 * 1024 * 1024}

    files = {"souls/allegro.md": b"x" * 8_000_000}
    try:
        record = fleet.push(files, edit, label="a disk that fills in mid-deploy")
        after = fleet.looks()
        left = node.run(["df", "-m", "--output=avail", "/opt/fleet-agent"]).stdout
    finally:
        node.run(["sh", "-euc", """
systemctl stop 'fleet-*@*.service' 'fleet-*@*.socket'
umount /opt/fleet-agent /var/lib/fleet-agent
umount /srv/small && rmdir /srv/small
systemctl start fleet-agent@allegro.socket fleet-agent@allegro.service fleet-wizard@allegro.service
"""])  # fmt: skip
    assert record.state == "rolled_back", record
    assert "No space left" in record.reason, record
    assert {name: look.release for name, look in after.items()} == {
        name: look.release for name, look in before.items()
    }
    assert int(left.split()[-1]) >= 2, "what could not be finished takes no room"


def test_no_secret_stands_in_an_argument_or_an_environment(fleet: Fleet) -> None:
    state = fleet.runs.parent
    master = (state / "keys/master").read_bytes()
    secrets = {master.hex(), fleet.secret}
    for wizard, node in fleet.nodes.items():
        held = json.loads(node.read(f"/etc/fleet-agent/{wizard}/keys/pairs.json"))["pairs"]
        secrets |= {one["key"] for keys in held.values() for one in keys}
        secrets.add(node.read(f"/etc/fleet-agent/{wizard}/keys/token").strip())
    for node in fleet.lab.nodes:
        node.put("/root/secrets", json.dumps(sorted(secrets)), "0600")
        node.put("/root/watching.py", script("watching.py"), "0600")
        node.run(["sh", "-c", "rm -f /root/enough; systemd-run --quiet --unit=watching --collect "
                  "-p StandardOutput=file:/root/watched python3 /root/watching.py"])  # fmt: skip
    record = fleet.push(edit=model("lab/watched"), label="watched")
    assert record.state == "verified", record
    for node in fleet.lab.nodes:
        node.run(["sh", "-c", "touch /root/enough"])
        until(lambda node=node: node.run(["cat", "/root/watched"]).stdout.strip(), "the watch", 60)  # type: ignore[misc]
        assert json.loads(node.read("/root/watched")) == [[], True], node.name
        node.run(["sh", "-c", "rm -f /root/secrets /root/watch* /root/enough"])
