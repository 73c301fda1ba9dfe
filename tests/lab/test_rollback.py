"""A broken release is put back on every node, the cause told first; some are refused before."""

from __future__ import annotations

import pytest

from . import content, wheels
from .checks import agents, daemons, is_back, is_refused, is_unchanged, is_well, placed, releases
from .content import Files, Registry
from .fleet import Fleet

DYING = content.files()["agents/config.json.j2"].replace(
    b'"soul"', b'{% if wizard.name == "allegro" %}"die_after_s": 0.5,{% endif %}\n  "soul"'
)


def model(registry: Registry) -> None:
    """An edit that gives every wizard another model."""
    for entry in registry["wizards"].values():
        entry["model"] = "lab/broken-0b"


def settle(seconds: float) -> content.Edit:
    """An edit of how long verify waits before it looks again."""

    def edit(registry: Registry) -> None:
        registry["deploy"]["settle_seconds"] = seconds

    return edit


def test_a_daemon_that_does_not_start_is_put_back(fleet: Fleet) -> None:
    before = fleet.looks()
    broken = wheels.daemon_that_does_not_start()
    record = fleet.push(broken, model, label="daemon that does not start")
    is_back(fleet, before, record)
    assert record.cause["phase"] in ("services", "verify")
    assert "fleet-agent@" in record.cause["where"]
    assert any("broken on purpose" in line for line in record.cause["unit_log"]), record
    assert sorted(record.result["put_back"]) == sorted(content.host_of(n) for n in fleet.lab.nodes)
    for wizard in fleet.nodes:
        assert fleet.agent_says(wizard)["model"] != "lab/broken-0b"
    shown = fleet.on("deploys", "show", str(record.id)).stdout
    assert "broken on purpose" in shown
    assert shown.index("failed in") < shown.index("put back and verified"), shown


def test_a_daemon_that_dies_after_two_seconds_is_caught_by_settling(fleet: Fleet) -> None:
    before = fleet.looks()
    broken = wheels.daemon_that_dies_after(2)
    record = fleet.push(broken, settle(4), label="daemon that dies after two seconds, settling 4 s")
    is_back(fleet, before, record)
    assert record.cause["phase"] == "verify", record
    assert "fleet-agent@" in record.cause["where"]


def test_an_agent_that_dies_is_put_back(fleet: Fleet) -> None:
    before = fleet.looks()
    record = fleet.push({"agents/config.json.j2": DYING}, label="agent that dies")
    is_back(fleet, before, record)
    assert record.cause["host"] == content.host_of(fleet.lab["n3"]), record
    assert "fleet-wizard@allegro.service" in record.cause["where"]
    assert any("out of ideas" in line for line in record.cause["unit_log"]), record.cause


@pytest.mark.parametrize(
    "broken",
    [wheels.unit_that_is_no_unit, wheels.unit_of_another_program],
    ids=["no unit file", "no such program"],
)
def test_a_broken_unit_file_is_put_back(fleet: Fleet, broken: object) -> None:
    before = fleet.looks()
    record = fleet.push(broken(), label=f"broken unit file ({broken.__name__})")  # type: ignore[operator,attr-defined]
    is_back(fleet, before, record)
    assert "fleet-agent@" in record.cause["where"], record


def test_an_operators_task_that_fails_is_put_back(fleet: Fleet) -> None:
    before = fleet.looks()
    task = """\
---
- name: Fetch the moon
  ansible.builtin.command: "false"
  changed_when: true
"""
    record = fleet.push({"tasks/services.yml": task}, model, label="operator's task that fails")
    is_back(fleet, before, record)
    assert record.cause["task"] == "Fetch the moon", record
    assert record.cause["phase"] == "services"


def test_an_operators_undo_task_runs_on_the_way_back(fleet: Fleet) -> None:
    before = fleet.looks()
    done = """\
---
- name: Leave a trace
  ansible.builtin.copy: {dest: /srv/trace, content: forward, mode: "0644"}
"""
    fails = "---\n- name: Fail\n  ansible.builtin.command: 'false'\n  changed_when: true\n"
    undo = "---\n- name: Undo\n  ansible.builtin.file: {path: /srv/trace, state: absent}\n"
    tasks: Files = {
        "tasks/deploy.yml": done, "tasks/verify.yml": fails, "tasks/undo.yml": undo,
    }  # fmt: skip
    record = fleet.push(tasks, model, label="operator's tasks with undo")
    is_back(fleet, before, record)
    for node in fleet.lab.nodes:
        assert node.run(["test", "-e", "/srv/trace"], check=False).returncode == 1


def test_a_missing_soul_is_refused(fleet: Fleet) -> None:
    before = fleet.looks()
    record = fleet.push({"souls/allegro.md": None}, model, label="missing soul")
    is_refused(fleet, before, record)
    assert "souls/allegro.md" in record.reason


def test_a_template_that_cannot_be_rendered_is_refused(fleet: Fleet) -> None:
    before = fleet.looks()
    broken = b'{"model": "{{ wizard.no_such_thing.at_all }}"}\n'
    record = fleet.push({"agents/config.json.j2": broken}, label="broken template")
    is_refused(fleet, before, record)
    assert "agents/config.json.j2" in record.reason


def test_an_invalid_registry_is_refused_with_every_mistake(fleet: Fleet) -> None:
    before = fleet.looks()

    def edit(registry: Registry) -> None:
        registry["wizards"]["ezra"]["modle"] = "lab/typo"
        registry["wizards"]["allegro"]["role"] = "orchestrator"
        registry["wizards"]["bezalel"]["health_endpoint"] = "nowhere"

    record = fleet.push(edit=edit, label="invalid registry")
    is_refused(fleet, before, record)
    shown = fleet.on("deploys", "show", str(record.id)).stdout
    for mistake in ("modle", "model", "orchestrator", "health_endpoint"):
        assert mistake in shown, shown


def test_a_pin_that_does_not_match_is_refused(fleet: Fleet) -> None:
    before = fleet.looks()
    pinned = wheels.another_version()
    wheel = next(path for path in pinned if path.endswith(".whl"))
    record = fleet.push({**pinned, wheel: pinned[wheel] + b"x"}, label="pin that does not match")
    is_refused(fleet, before, record)
    assert "sha256" in record.reason


def test_a_port_that_somebody_holds_is_refused_by_name(fleet: Fleet) -> None:
    before = fleet.looks()
    node = fleet.lab["n2"]
    node.run(["systemd-run", "--unit=squatter", "python3", "-m", "http.server", "8700"])

    def edit(registry: Registry) -> None:
        registry["wizards"]["bezalel"]["listen"] = {"port": 8700}

    try:
        record = fleet.push(edit=edit, label="port held by another")
        is_refused(fleet, before, record)
    finally:
        node.run(["systemctl", "stop", "squatter"])
    assert "8700" in record.reason and "python3" in record.reason, record.reason


def test_rollback_by_hand_returns_to_the_verified_release_before(fleet: Fleet) -> None:
    before = is_well(fleet)
    files = {**wheels.another_version("regretted"), "souls/ezra.md": b"# ezra\n\nHaste.\n"}
    record = fleet.push(files, label="a release that is regretted")
    assert record.state == "verified", record
    assert releases(fleet.looks()) != releases(before)
    done = fleet.on("rollback", timeout_s=120)
    assert done.returncode == 0, done.stdout + done.stderr
    after = is_well(fleet)
    assert releases(after) == releases(before)
    assert placed(after) == placed(before)
    newest = fleet.deploys()[0]
    assert (newest["kind"], newest["state"]) == ("rollback", "verified")


def test_after_a_broken_release_the_next_good_one_is_deployed(fleet: Fleet) -> None:
    before = fleet.looks()
    broken = fleet.push(wheels.daemon_that_does_not_start())
    is_back(fleet, before, broken)
    record = fleet.push(wheels.another_version("good"), label="a good release after a broken one")
    assert record.state == "verified", record
    after = is_well(fleet)
    assert all(pid for pid in daemons(fleet, after).values())
    assert releases(after) != releases(before)


def test_a_tag_off_the_branch_is_refused(fleet: Fleet) -> None:
    before = fleet.looks()
    clone = fleet.checkout.path
    git = fleet.git.git
    git("checkout", "--quiet", "--detach", cwd=clone)
    git("commit", "--quiet", "--allow-empty", "-m", "Off the branch", cwd=clone)
    git("tag", "--force", "PROD", cwd=clone)
    newest = fleet.newest()
    git("push", "--quiet", "--force", "origin", "PROD", cwd=clone)
    git("checkout", "--quiet", "main", cwd=clone)
    record = fleet.deploy(fleet.number_after(newest))
    assert record.state == "failed"
    assert "does not lie on branch main" in record.reason
    is_unchanged(fleet, before)
    assert agents(fleet, fleet.looks()) == agents(fleet, before)
