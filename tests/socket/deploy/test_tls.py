"""fleet-agent tls against a real fleet-deploy: what is shown, and how a rotation is asked for."""

from __future__ import annotations

import json
import time

import pytest

from fleet_agent.cli.main import main
from fleet_agent.deploy.authority import Authority, Days
from fleet_agent.deploy.protocol import FromService
from tests.deploy_world import Pushes, Service

WANTED = {"ezra": ("192.0.2.10",), "bezalel": ("192.0.2.11", "b.example.org")}


def authority(served: Service) -> Authority:
    """The CA of the service, with certificates as a verified deploy leaves them."""
    found = Authority(str(served.state / "keys" / "tls"))
    found.verified(found.prepare("timmy", WANTED, Days(), now=time.time()))
    return found


def test_without_tls_there_is_nothing_to_show(
    served: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tls", "show", "--socket", served.socket]) == 0
    assert "no wizard speaks TLS" in capsys.readouterr().out
    assert main(["tls", "ca", "--socket", served.socket]) == 2
    assert "say `tls: true` in fleet.yaml" in capsys.readouterr().err
    with pytest.raises(FromService, match="there is no CA"):
        served.client.ask("tls-rotate")


def test_the_ca_is_printed_as_curl_wants_it_and_certificates_are_shown_without_a_key(
    served: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    found = authority(served)
    assert main(["tls", "ca", "--socket", served.socket]) == 0
    assert capsys.readouterr().out == found.bundle()
    assert main(["tls", "show", "--socket", served.socket]) == 0
    out = capsys.readouterr().out
    assert "CA 1 has signed every certificate" in out
    assert "192.0.2.11, b.example.org" in out
    said = json.dumps(served.client.ask("tls"))
    assert "PRIVATE" not in said
    assert main(["tls", "show", "--json", "--socket", served.socket]) == 0
    assert json.loads(capsys.readouterr().out)["rotation"]["over"] is True


def test_a_rotation_queues_its_steps_as_deploys_of_what_the_fleet_runs(
    pushes: Pushes, served: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    commit = pushes.repo.commit("one")
    pushes.push(commit)
    served.idle()
    found = authority(served)
    assert main(["tls", "rotate", "--no-follow", "--socket", served.socket]) == 0
    assert "1 of 3 of the rotation: every node believes both CAs" in capsys.readouterr().err
    served.idle()
    assert (found.rotation().current, found.rotation().signs) == (2, 1)
    assert [row["kind"] for row in served.deploys()] == ["hook", "manual"]
    # The stand-in places nothing, so no further rotation may begin; the next step may be asked for.
    with pytest.raises(FromService, match="not every node has its certificate of CA 2 yet"):
        served.client.ask("tls-rotate")
    said = served.client.ask("tls-rotate", go_on=True)
    assert said["rotation"]["current"] == 2
    served.idle()
    assert main(["tls", "show", "--socket", served.socket]) == 0
    assert "not known to be believed by every node yet" in capsys.readouterr().out


def test_a_rotation_that_is_followed_takes_all_its_steps(
    pushes: Pushes, served: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    pushes.push(pushes.repo.commit("one"))
    served.idle()
    authority(served)
    assert main(["tls", "rotate", "--socket", served.socket]) == 0
    assert "3 of 3 of the rotation" in capsys.readouterr().err
    assert [row["kind"] for row in served.deploys()] == ["hook", "manual", "manual", "manual"]
