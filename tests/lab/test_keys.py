"""Keys on real machines: who has which, who may speak as whom, rotation that drops nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from . import content
from .checks import daemons, is_well
from .content import Registry
from .fleet import Fleet
from .node import Node
from .shell import Completed

PORT = 8646
# Signs with a node's own pair key as the specification says, by openssl and the shell alone.
SEND = """
set -eu
to=$1 url=$2 from=$3 body=$4 changed=$5 keys=$6
hex=$(python3 -c 'import base64, json, sys
pair = json.load(open(sys.argv[1]))["pairs"][sys.argv[2]]
print(base64.b64decode(pair[int(sys.argv[3])]["key"]).hex())' "$keys" "$to" "${7:-0}")
id=msg-$RANDOM$RANDOM now=$(date +%s)
signature=$(printf '%s' "$id.$now.$body" |
    openssl dgst -sha256 -mac HMAC -macopt "hexkey:$hex" -binary | base64)
exec curl -gsS --max-time 10 -w '\\n%{http_code}' "$url" -H "webhook-id: $id" \\
    -H "webhook-timestamp: $now" -H "webhook-signature: v1,$signature" -H "fleet-from: $from" \\
    -H 'content-type: application/json' --data-binary "$changed"
"""


def keys_dir(wizard: str) -> str:
    return f"/etc/fleet-agent/{wizard}/keys"


def pairs_of(fleet: Fleet, wizard: str) -> dict[str, list[dict[str, Any]]]:
    text = fleet.nodes[wizard].read(f"{keys_dir(wizard)}/pairs.json")
    found: dict[str, list[dict[str, Any]]] = json.loads(text)["pairs"]
    return found


def message(sender: str, to: str, **more: Any) -> str:
    return json.dumps({"from": sender, "to": to, "type": "request", "payload": "2+2?",
                       "timestamp": int(time.time()), **more})  # fmt: skip


def url_of(fleet: Fleet, wizard: str) -> str:
    host = fleet.checkout.registry["wizards"][wizard]["host"]
    return f"http://[{host}]:{PORT}/message" if ":" in host else f"http://{host}:{PORT}/message"


def send(
    fleet: Fleet, carrier: str, to: str, body: str, *, name: str = "", changed: str = "",
    peer: str = "", key: int = 0,
) -> tuple[int, dict[str, Any]]:  # fmt: skip
    """Sign on `carrier`'s node with its key of `peer` (else `to`) and send; status and answer."""
    words = [peer or to, url_of(fleet, to), name or carrier, body, changed or body,
             f"{keys_dir(carrier)}/pairs.json", str(key)]  # fmt: skip
    return answered(fleet.nodes[carrier].run(["bash", "-c", SEND, "send", *words]))


def answered(done: Completed) -> tuple[int, dict[str, Any]]:
    body, _, code = done.stdout.rpartition("\n")
    return int(code), json.loads(body)


def curl(node: Node, *words: str, user: str = "root") -> tuple[int, dict[str, Any]]:
    argv = ["runuser", "-u", user, "--", "curl", "-sS", "-w", "\n%{http_code}", *words]
    return answered(node.run(argv))


def depth(fleet: Fleet, wizard: str) -> int:
    """How many messages wait in a wizard's inbox."""
    return int(fleet.health(wizard)["checks"]["bus:depth"][0]["observedValue"])


def user_of(wizard: str) -> str:
    return content.THEIR_USER if wizard == "bezalel" else wizard


def audit(fleet: Fleet, wizard: str) -> int:
    """How many refusals a wizard's daemon has written down."""
    return (
        fleet.nodes[wizard]
        .journal(content.daemon_of(wizard), 5000)
        .count(": refused POST /message")
    )


def test_each_wizard_has_its_keys_and_only_its_daemon_reads_them(fleet: Fleet) -> None:
    for wizard, node in fleet.nodes.items():
        folder, user = keys_dir(wizard), user_of(wizard)
        listed = node.run(["stat", "-c", "%n %a %U:%G", folder, *(
            f"{folder}/{name}" for name in ("pairs.json", "tokens.json", "token")
        )]).stdout  # fmt: skip
        assert listed.splitlines() == [
            f"{folder} 755 root:root",
            f"{folder}/pairs.json 600 fa-{wizard}:fa-{wizard}",
            f"{folder}/tokens.json 600 fa-{wizard}:fa-{wizard}",
            f"{folder}/token 640 fa-{wizard}:{user}",
        ]
        as_agent = ["runuser", "-u", user, "--", "cat"]
        assert len(node.run([*as_agent, f"{folder}/token"]).stdout.strip()) == 64
        assert node.run([*as_agent, f"{folder}/pairs.json"], check=False).returncode != 0
        keys = fleet.health(wizard)["checks"]["bus:keys"][0]["observedValue"]
        assert keys["peers"] == len(fleet.nodes) - 1 and keys["epochs"]


def test_a_stolen_node_holds_its_own_pairs_and_nothing_of_the_others(fleet: Fleet) -> None:
    held = {wizard: pairs_of(fleet, wizard) for wizard in fleet.nodes}
    for wizard, pairs in held.items():
        assert set(pairs) == set(fleet.nodes) - {wizard}
        assert all(keys == held[peer][wizard] for peer, keys in pairs.items())
    between_others = held["ezra"]["allegro"][0]["key"]
    found = fleet.nodes["bezalel"].run(
        ["grep", "-rlF", between_others, "/etc", "/opt", "/var/lib", "/run/fleet-agent", "/home"],
        check=False,
    )
    assert found.stdout == ""


def test_a_signed_message_comes_in_and_an_altered_or_forged_one_does_not(fleet: Fleet) -> None:
    before, refused = depth(fleet, "ezra"), audit(fleet, "ezra")
    good = message("bezalel", "ezra")
    assert send(fleet, "bezalel", "ezra", good)[0] == 202
    tries: Mapping[str, tuple[int, dict[str, Any]]] = {
        "altered": send(fleet, "bezalel", "ezra", good, changed=good.replace("2+2", "3+3")),
        "another's name": send(fleet, "bezalel", "ezra", good, name="allegro"),
        "another's from": send(fleet, "bezalel", "ezra", message("allegro", "ezra")),
        "another pair's key": send(fleet, "bezalel", "ezra", good, peer="allegro"),
        "no signature": curl(fleet.nodes["bezalel"], "-g", url_of(fleet, "ezra"), "-d", good),
        "a wizard that is none": send(fleet, "bezalel", "ezra", good, name="gideon"),
    }
    assert {name: code for name, (code, _) in tries.items()} == {
        "altered": 401, "another's name": 401, "another's from": 403, "another pair's key": 401,
        "no signature": 401, "a wizard that is none": 401,
    }  # fmt: skip
    assert all(problem["mend"] for _, problem in tries.values())
    assert depth(fleet, "ezra") == before + 1
    assert audit(fleet, "ezra") == refused + len(tries)


def test_the_local_agent_is_itself_at_its_socket_or_with_its_token(fleet: Fleet) -> None:
    node, user = fleet.nodes["allegro"], user_of("allegro")
    socket = ("--unix-socket", "/run/fleet-agent/allegro/agent.sock", "http://localhost/message")
    loopback = (f"http://127.0.0.1:{PORT}/message",)
    token = node.read(f"{keys_dir('allegro')}/token").strip()
    mine = ("-d", message("allegro", "allegro"))
    assert curl(node, *socket, *mine, user=user)[0] == 202
    assert curl(node, *socket, *mine)[0] == 202
    assert curl(node, *loopback, *mine, user=user)[0] == 401
    bearer = ("-H", f"Authorization: Bearer {token}")
    assert curl(node, *loopback, *mine, *bearer, user=user)[0] == 202
    for way in (socket, (*loopback, *bearer)):
        assert curl(node, *way, "-d", message("ezra", "allegro"), user=user)[0] == 403
    elsewhere = curl(fleet.nodes["bezalel"], "-g", url_of(fleet, "allegro"), *mine, *bearer)
    assert elsewhere[0] == 401, "the local token is worth nothing elsewhere"


def test_a_rotation_by_a_deploy_keeps_every_process_and_both_epochs_open(fleet: Fleet) -> None:
    assert fleet.push().state == "verified"
    before = daemons(fleet, fleet.looks())
    old = pairs_of(fleet, "bezalel")["ezra"]
    shown = json.loads(fleet.on("deploy", "--check", "--json").stdout)
    assert "pairs.json" not in json.dumps(shown["deploy"]["result"]["diffs"])
    done = fleet.on("keys", "rotate", timeout_s=120)
    assert "verified" in done.stdout
    after = is_well(fleet)
    assert daemons(fleet, after) == before
    new = pairs_of(fleet, "bezalel")["ezra"]
    assert [one["epoch"] for one in new] == [old[0]["epoch"] + 1, old[0]["epoch"]]
    assert new[1] == old[0] and new[0]["key"] != old[0]["key"]
    for epoch in (0, 1):
        assert send(fleet, "bezalel", "ezra", message("bezalel", "ezra"), key=epoch)[0] == 202
    told = fleet.on("keys", "show").stdout
    assert "and on every node" in told.splitlines()[0]
    assert new[0]["key"] not in told


def test_no_key_is_left_in_what_a_deploy_leaves(fleet: Fleet) -> None:
    state = fleet.runs.parent
    master = (state / "keys" / "master").read_bytes()
    assert len(master) == 32
    told = fleet.orchestrator.run(["stat", "-c", "%a %U", "/var/lib/fleet-deploy/keys/master"])
    assert told.stdout.split() == ["600", "fleet-deploy"]
    secrets = {master, master.hex().encode()}
    for wizard, node in fleet.nodes.items():
        pairs = pairs_of(fleet, wizard).values()
        secrets |= {one["key"].encode() for keys in pairs for one in keys}
        secrets.add(node.read(f"{keys_dir(wizard)}/token").strip().encode())
    written = [path for path in (state / "runs").rglob("*") if path.is_file()]
    assert len(written) > 10
    held = [path for path in written if any(one in path.read_bytes() for one in secrets)]
    assert held == []
    for node in fleet.lab.nodes:
        words = node.run(["journalctl", "--no-pager", "-o", "cat"], timeout_s=60).stdout.encode()
        assert not any(one in words for one in secrets)


def test_a_token_speaks_as_one_from_elsewhere_until_it_is_revoked(fleet: Fleet) -> None:
    made = fleet.on("token", "create", "alexander", "--wizard", "ezra", timeout_s=120)
    token = made.stdout.splitlines()[0]

    def post(wizard: str, sender: str) -> int:
        done = fleet.lab.operator(
            ["curl", "-gsS", "-w", "\n%{http_code}", url_of(fleet, wizard), "-H",
             f"Authorization: Bearer {token}", "-d", message(sender, wizard)]
        )  # fmt: skip
        return answered(done)[0]

    assert post("ezra", "alexander") == 202
    assert post("ezra", "bezalel") == 403
    assert post("bezalel", "alexander") == 401, "it is good at ezra only"
    listed = json.loads(fleet.on("token", "list", "--json").stdout)["tokens"]
    (entry,) = [one for one in listed if one["principal"] == "alexander"]
    fleet.on("token", "revoke", entry["id"], timeout_s=120)
    assert post("ezra", "alexander") == 401


VAULT = "/var/lib/fleet-deploy/vault-password"


def vaulted(fleet: Fleet, value: str) -> str:
    """A variables file whose value only the orchestrator can read."""
    argv = ["/opt/fleet-agent/venv/bin/ansible-vault", "encrypt_string", "--vault-password-file",
            VAULT, "--name", "lab_key", value]  # fmt: skip
    return fleet.orchestrator.run(["env", "HOME=/root", "LC_ALL=C.UTF-8", *argv]).stdout


def test_a_vaulted_secret_is_the_agent_s_alone_and_restarts_it_once(fleet: Fleet) -> None:
    place, first, second = "/srv/allegro/api-key", "sk-lab-first", "sk-lab-second"
    node, was = fleet.nodes["allegro"], fleet.nodes["allegro"].pid(content.unit_of("allegro"))
    fleet.orchestrator.put(VAULT, "a vault password\n", "0600")
    fleet.orchestrator.run(["chown", "fleet-deploy:", VAULT])

    def without(registry: Registry) -> None:
        entry = registry["wizards"]["allegro"]
        entry["files"] = [one for one in entry["files"] if one["place"] != place]

    def edit(registry: Registry) -> None:
        without(registry)
        secret = {"source": "agents/key.j2", "place": place, "mode": "0600", "secret": True}
        registry["wizards"]["allegro"]["files"].append(secret)

    pids = {was}
    for secret in (first, second):
        files = {"agents/key.j2": "{{ lab_key }}\n", "group_vars/nodes.yml": vaulted(fleet, secret)}
        record = fleet.push(files, edit)
        assert record.state == "verified", record
        assert node.read(place) == secret + "\n"
        assert node.run(["stat", "-c", "%a %U:%G", place]).stdout == "600 allegro:allegro\n"
        pids.add(node.pid(content.unit_of("allegro")))
        for machine in fleet.lab.nodes:
            left = machine.run(["grep", "-rlF", secret, "/opt", "/var/lib"], check=False)
            assert left.stdout == "", machine.name
    assert len(pids) == 3, "once for each content"
    for there in (True, False):  # a way back of the first could need it still
        assert fleet.push(edit=without).state == "verified"
        assert bool(node.run(["find", place], check=False).stdout) is there
    fleet.orchestrator.run(["rm", VAULT])
