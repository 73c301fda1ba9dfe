"""A pushed tag becomes three verified nodes: what is restarted, what is placed, and as whom."""

from __future__ import annotations

import hashlib
import json

from . import content, wheels
from .checks import agents, daemons, is_unchanged, is_well, placed, releases
from .content import Registry
from .fleet import Fleet
from .look import Look
from .node import Node

MIRIAM_UNIT = """\
[Unit]
Description=An agent in the scope of its user
[Service]
ExecStart=/usr/bin/python3 -u /srv/miriam/stand_in.py /srv/miriam/config.json
[Install]
WantedBy=default.target
"""


def model_of(wizard: str, model: str) -> content.Edit:
    """An edit that gives one wizard another model."""

    def edit(registry: Registry) -> None:
        registry["wizards"][wizard]["model"] = model

    return edit


def test_bootstrap_has_made_bare_machines_a_running_fleet(fleet: Fleet) -> None:
    looks = is_well(fleet)
    assert [len(seen.accounts) for seen in looks.values()] == [1, 1, 1]
    for wizard in fleet.nodes:
        soul = (fleet.checkout.path / f"souls/{wizard}.md").read_bytes()
        said = fleet.agent_says(wizard)
        assert said["soul"] == hashlib.sha256(soul).hexdigest()
        assert said["model"] == content.MODEL


def test_a_tag_push_with_new_code_restarts_every_daemon_and_no_agent(fleet: Fleet) -> None:
    before = fleet.looks()
    record = fleet.push(wheels.another_version(), label="three nodes, new code")
    assert record.state == "verified", record
    after = is_well(fleet)
    assert all(releases(after)[node] != releases(before)[node] for node in after)
    old, new = daemons(fleet, before), daemons(fleet, after)
    assert all(new[wizard] not in (0, old[wizard]) for wizard in new), (old, new)
    assert agents(fleet, after) == agents(fleet, before)


def test_another_config_of_one_agent_restarts_that_agent_alone(fleet: Fleet) -> None:
    before = fleet.looks()
    record = fleet.push(edit=model_of("bezalel", "lab/other-8b"), label="one config changed")
    assert record.state == "verified", record
    after = is_well(fleet)
    # The registry is part of every release, but no daemon is restarted for it.
    assert daemons(fleet, after) == daemons(fleet, before)
    was, now = agents(fleet, before), agents(fleet, after)
    assert now.pop("bezalel") not in (0, was.pop("bezalel"))
    assert now == was
    assert fleet.agent_says("bezalel")["model"] == "lab/other-8b"
    for wizard in fleet.nodes:
        assert fleet.health(wizard)["status"] == "pass"


def test_a_setting_of_one_daemon_restarts_that_daemon_alone(fleet: Fleet) -> None:
    def edit(registry: Registry) -> None:
        registry["wizards"]["allegro"]["settings"] = {"http_idle_seconds": 60}

    before = fleet.looks()
    record = fleet.push(edit=edit, label="one daemon's setting changed")
    assert record.state == "verified", record
    after = is_well(fleet)
    was, now = daemons(fleet, before), daemons(fleet, after)
    assert now.pop("allegro") not in (0, was.pop("allegro"))
    assert now == was
    assert agents(fleet, after) == agents(fleet, before)


def test_another_soul_reaches_its_agent(fleet: Fleet) -> None:
    text = b"# allegro\n\nHurry slowly.\n"
    before = fleet.looks()
    record = fleet.push({"souls/allegro.md": text}, label="one soul changed")
    assert record.state == "verified", record
    after = is_well(fleet)
    assert fleet.agent_says("allegro")["soul"] == hashlib.sha256(text).hexdigest()
    assert agents(fleet, after)["ezra"] == agents(fleet, before)["ezra"]
    assert agents(fleet, after)["bezalel"] == agents(fleet, before)["bezalel"]


def test_a_commit_that_changes_nothing_touches_nothing(fleet: Fleet) -> None:
    before = fleet.looks()
    record = fleet.push({"README.md": b"Another README.\n"}, label="nothing to change")
    assert record.state == "verified", record
    assert "nothing to change" in record.reason
    after = is_unchanged(fleet, before)
    for name, seen in after.items():
        assert seen.journal == before[name].journal, f"the journal of {name} was written"


def test_the_commit_that_runs_already_is_not_run_again(fleet: Fleet) -> None:
    before, newest = fleet.looks(), fleet.newest()
    delivered = len(fleet.git.deliveries())
    fleet.repository.test_delivery()
    fleet.git.wait_deliveries(delivered + 1)
    answer = fleet.git.deliveries()[-1]
    assert answer["status"] == 200, answer
    assert fleet.newest() == newest
    is_unchanged(fleet, before)


def test_two_wizards_on_one_node_and_one_again(fleet: Fleet) -> None:
    node = fleet.lab["n3"]
    their_own_user_unit(node)
    before = fleet.looks()

    def edit(registry: Registry) -> None:
        entry = content.entry("miriam", content.host_of(node))
        entry["listen"] = {"port": 8647}
        entry["runtime"] = {"unit": "miriam.service", "scope": "user"}
        registry["wizards"]["miriam"] = entry

    record = fleet.push(edit=edit, label="a second wizard on one node")
    assert record.state == "verified", record
    after = fleet.looks()
    assert daemons_of(after["n3"]) == {"allegro", "miriam"}
    for wizard in ("ezra", "bezalel", "allegro"):
        assert daemons(fleet, after)[wizard] == daemons(fleet, before)[wizard]
    health = fleet.health("miriam")
    assert (health["serviceId"], health["status"]) == ("miriam", "pass")
    assert user_unit(node) == "active"
    said = node.inside(["journalctl", "-o", "cat", "_SYSTEMD_USER_UNIT=miriam.service"]).stdout
    assert content.MODEL in said

    def edit_back(registry: Registry) -> None:
        del registry["wizards"]["miriam"]

    record = fleet.push(edit=edit_back, label="the second wizard gone")
    assert record.state == "verified", record
    after = is_well(fleet)
    assert daemons_of(after["n3"]) == {"allegro"}
    left = [path for path in after["n3"].unit_files if "miriam" in path]
    assert not left
    assert daemons(fleet, after) == daemons(fleet, before)


def their_own_user_unit(node: Node) -> None:
    """An agent in the scope of its user, who lingers; made by the operator, not by us."""
    node.run(["useradd", "--create-home", "miriam"])
    node.run(["loginctl", "enable-linger", "miriam"])
    at = "/home/miriam/.config/systemd/user"
    node.put(f"{at}/miriam.service", MIRIAM_UNIT)
    node.run(["chown", "-R", "miriam:", "/home/miriam"])


def user_unit(node: Node) -> str:
    """The state of miriam's unit as her own manager tells it."""
    argv = ["systemctl", "--user", "--machine=miriam@.host", "is-active", "miriam.service"]
    return node.run(argv, check=False).stdout.strip()


def daemons_of(seen: Look) -> set[str]:
    """The wizards whose daemon runs on a node."""
    return {
        name.removeprefix("fleet-agent@").removesuffix(".service")
        for name, unit in seen.units.items()
        if name.startswith("fleet-agent@") and name.endswith(".service") and unit.pid
    }


def test_check_shows_unified_diffs_and_changes_nothing(fleet: Fleet) -> None:
    before = fleet.looks()
    fleet.checkout.commit(
        {"souls/ezra.md": b"# ezra\n\nWrite it down.\n"}, model_of("bezalel", "lab/checked-1b")
    )
    fleet.checkout.push()
    said = fleet.on("deploy", "--check", "--ref", "main").stdout
    assert "-Tell the truth. People decide.\n+Write it down.\n" in said, said
    assert '-  "model": "lab/other-8b",\n+  "model": "lab/checked-1b",\n' in said, said
    assert said.count("--- ") >= 2
    pasted = fleet.on("deploy", "--check", "--ref", "main", "--markdown").stdout
    assert "```diff" in pasted and "<details>" in pasted, pasted
    after = is_unchanged(fleet, before)
    for name, seen in after.items():
        assert seen.journal == before[name].journal, f"the journal of {name} was written"
        assert seen.releases == before[name].releases


def test_a_deploy_by_hand_is_followed_to_its_exit_code(fleet: Fleet) -> None:
    before = fleet.looks()
    done = fleet.on("deploy", "--ref", "PROD", timeout_s=120)
    assert done.returncode == 0, done.stdout + done.stderr
    for phase in ("preflight", "baseline", "soul", "deploy", "services", "keys", "verify", "audit"):
        assert phase in done.stdout, done.stdout
    is_unchanged(fleet, before)
    told = json.loads(fleet.on("deploys", "--json").stdout)
    newest = (told["deploys"] if isinstance(told, dict) else told)[0]
    assert (newest["kind"], newest["state"]) == ("manual", "verified")
    shown = fleet.on("deploys", "show", str(newest["id"])).stdout
    assert newest["commit"][:7] in shown and "verified" in shown
    followed = fleet.on("deploys", "follow", str(newest["id"]), timeout_s=60)
    assert followed.returncode == 0, followed.stdout


def test_promote_moves_the_tag_and_follows_the_deploy(fleet: Fleet) -> None:
    fleet.checkout.commit({"souls/bezalel.md": b"# bezalel\n\nBuild.\n"})
    done = fleet.agent("promote", timeout_s=120)
    assert done.returncode == 0, done.stdout + done.stderr
    fleet.checkout.was_verified()
    soul = hashlib.sha256(b"# bezalel\n\nBuild.\n").hexdigest()
    assert fleet.agent_says("bezalel")["soul"] == soul


def test_units_are_confined_and_files_are_nobody_elses(fleet: Fleet) -> None:
    looks = is_well(fleet)
    for wizard, node in fleet.nodes.items():
        unit = content.daemon_of(wizard)
        said = node.run(["systemd-analyze", "security", "--no-pager", unit]).stdout
        line = next(line for line in said.splitlines() if "Overall exposure level" in line)
        exposure = float(line.split(": ")[1].split()[0])
        print(f"{unit} on {node.name}: exposure {exposure}")
        assert exposure <= 2.0, said
        account = node.run(["ps", "-o", "user:32=", "-p", str(node.pid(unit))]).stdout.strip()
        assert account == f"fa-{wizard}"
        state = node.run(["stat", "-c", "%a %U", f"/var/lib/fleet-agent/{wizard}"]).stdout
        assert state.split() in (["700", f"fa-{wizard}"], ["750", f"fa-{wizard}"])
        box = node.run(["stat", "-c", "%a %U", f"/var/lib/fleet-agent/{wizard}/bus.db"]).stdout
        assert box.split()[1] == f"fa-{wizard}" and box.split()[0] in ("600", "640")
        config = looks[node.name].files[f"{content.home(wizard)}/config.json"]
        user = "hermes" if wizard == "bezalel" else wizard
        assert config is not None
        assert (config["mode"], config["owner"], config["group"]) == ("0640", "root", user)
    for path, mode in {
        "/etc/fleet-agent/hook/secret": "640 root:fleet-hook",
        "/var/lib/fleet-deploy/ssh/id_ed25519": "600 fleet-deploy:fleet-deploy",
        "/var/lib/fleet-deploy": "700 fleet-deploy:fleet-deploy",
        "/var/lib/fleet-deploy/deploys.db": "600 fleet-deploy:fleet-deploy",
    }.items():
        said = fleet.orchestrator.run(["stat", "-c", "%a %U:%G", path]).stdout.strip()
        assert said == mode, f"{path} is {said}"
    secret = fleet.orchestrator.inside(["cat", "/etc/fleet-agent/hook/secret"]).stdout.strip()
    spoken = fleet.orchestrator.inside(["journalctl", "--no-pager", "-o", "cat"]).stdout
    assert secret not in spoken


def test_nothing_of_ours_is_refused_while_a_deploy_restarts_it(fleet: Fleet) -> None:
    ask = """
import json, sys, time, urllib.request
bad, asked, end = [], 0, time.time() + 60
while time.time() < end and not sys.stdin.closed:
    try:
        urllib.request.urlopen(sys.argv[1], timeout=5).read()
    except urllib.error.HTTPError as error:
        pass
    except OSError as error:
        bad.append(repr(error))
    asked += 1
    import select
    if select.select([sys.stdin], [], [], 0.01)[0]:
        break
print(json.dumps([asked, bad]))
"""
    import subprocess
    import sys

    url = f"http://{fleet.lab['n2'].address}:8646/health"
    argv = fleet.lab.operator_argv([sys.executable, "-c", "import urllib.error\n" + ask, url])
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) as asking:
        record = fleet.push(wheels.another_version("asked-for"), label="new code, while asked")
        out, _ = asking.communicate("stop\n", timeout=70)
    assert record.state == "verified", record
    asked, bad = json.loads(out)
    assert asked > 50
    assert not bad, bad


def test_places_of_before_are_kept_by_nobody(fleet: Fleet) -> None:
    """A file that leaves the registry leaves the node."""
    extra = {"source": "agents/stand_in.py", "place": "/srv/allegro/extra.py", "mode": "0640"}

    def edit(registry: Registry) -> None:
        registry["wizards"]["allegro"]["files"].append(extra)

    def edit_back(registry: Registry) -> None:
        registry["wizards"]["allegro"]["files"].remove(extra)

    node = fleet.lab["n3"]
    before = placed(fleet.looks())
    assert fleet.push(edit=edit).state == "verified"
    assert node.run(["stat", "-c", "%a %G", extra["place"]]).stdout.split() == ["640", "allegro"]
    assert fleet.push(edit=edit_back).state == "verified"
    assert node.run(["test", "-e", extra["place"]], check=False).returncode == 1
    assert placed(fleet.looks()) == before
