"""The fleet's CA on disk, made by the real openssl: what is made when, and what is left alone."""

from __future__ import annotations

import os
import ssl
import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fleet_agent import certificate, proc
from fleet_agent.deploy.authority import Authority, Days, facts
from fleet_agent.deploy.keyfile import KeyStoreError
from fleet_agent.errors import RequestError

DAY = 86400
WANTED = {"ezra": ("192.0.2.10", "ezra.example.org"), "bezalel": ("2001:db8::11",)}
NOW = time.time()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    (tmp_path / "keys").mkdir(mode=0o700)
    return Authority(str(tmp_path / "keys" / "tls"))


def prepare(authority: Authority, now: float = NOW) -> None:
    authority.prepare("timmy", WANTED, Days(), now=now)


def pair(authority: Authority, wizard: str) -> tuple[int, str]:
    found = authority.credentials(wizard)
    assert found is not None
    return found.ca, found.certificate


def deployed(authority: Authority, now: float = NOW) -> tuple[int, str]:
    """A deploy that is verified; whose certificate ezra has."""
    authority.verified(authority.prepare("timmy", WANTED, Days(), now=now))
    return pair(authority, "ezra")


def test_nothing_is_made_before_a_wizard_wants_tls(authority: Authority, tmp_path: Path) -> None:
    authority.prepare("timmy", {}, Days(), now=NOW)
    assert not authority.exists
    assert list((tmp_path / "keys").iterdir()) == []
    with pytest.raises(RequestError, match="no wizard speaks TLS"):
        authority.rotate(NOW, "root")


def test_certificates_are_for_their_names_and_hold_in_openssls_own_strict_judgement(
    authority: Authority, tmp_path: Path
) -> None:
    prepare(authority)
    bundle, leaf = tmp_path / "ca.pem", tmp_path / "leaf.pem"
    bundle.write_text(authority.bundle())
    leaf.write_text(pair(authority, "ezra")[1])
    verify = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", str(bundle)]
    for how in (["-verify_ip", "192.0.2.10"], ["-verify_hostname", "ezra.example.org"]):
        proc.run([*verify, *how, str(leaf)], timeout_seconds=60)
    with pytest.raises(proc.ProcessError, match="IP address mismatch"):
        proc.run([*verify, "-verify_ip", "192.0.2.11", str(leaf)], timeout_seconds=60)
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=authority.bundle())


def test_everything_is_its_owners_alone_and_no_key_stands_beside(
    authority: Authority, tmp_path: Path
) -> None:
    prepare(authority)
    for folder, _, names in os.walk(tmp_path / "keys"):
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
        for name in names:
            assert stat.S_IMODE(os.stat(f"{folder}/{name}").st_mode) == 0o600
    assert sorted(os.listdir(authority.directory)) == ["ca-1.pem", "state.json", "wizards"]
    assert "PRIVATE" not in authority.bundle()
    found = authority.credentials("ezra")
    assert found is not None
    assert found.key not in repr(found)


def test_a_second_deploy_makes_nothing_anew(authority: Authority) -> None:
    prepare(authority)
    before = {wizard: authority.credentials(wizard) for wizard in WANTED}
    prepare(authority, NOW + 200 * DAY)
    assert {wizard: authority.credentials(wizard) for wizard in WANTED} == before


def test_a_certificate_is_renewed_when_it_ends_soon_or_its_names_change(
    authority: Authority,
) -> None:
    prepare(authority)
    first = pair(authority, "ezra")
    prepare(authority, NOW + 280 * DAY)
    second = pair(authority, "ezra")
    assert second != first
    assert certificate.read(second[1]).not_after > NOW + 600 * DAY
    other = pair(authority, "bezalel")
    authority.prepare("timmy", {**WANTED, "ezra": ("192.0.2.12",)}, Days(), now=NOW + 280 * DAY)
    assert pair(authority, "ezra") != second
    assert pair(authority, "bezalel") == other


def test_a_certificate_is_good_for_clocks_that_are_behind(authority: Authority) -> None:
    prepare(authority)
    assert certificate.read(pair(authority, "ezra")[1]).not_before <= NOW - 3000


def test_no_certificate_outlives_its_ca_nor_is_made_anew_at_each_deploy_for_that(
    authority: Authority,
) -> None:
    days = Days(authority=100)
    authority.prepare("timmy", WANTED, days, now=NOW)
    end = certificate.read(authority.bundle()).not_after
    have = authority.credentials("ezra")
    assert have is not None
    assert facts(have).not_after == end
    authority.prepare("timmy", WANTED, days, now=NOW + 90 * DAY)
    assert authority.credentials("ezra") == have


def test_a_rotation_goes_in_three_verified_deploys_and_each_believes_the_one_before(
    authority: Authority,
) -> None:
    assert deployed(authority)[0] == 1
    old = authority.bundle()
    authority.rotate(NOW, "root")
    with pytest.raises(RequestError, match="not every node has its certificate") as caught:
        authority.rotate(NOW, "root")
    assert caught.value.http_status == 409
    assert deployed(authority)[0] == 1
    both = authority.bundle()
    assert old in both
    assert both.count("BEGIN CERTIFICATE") == 2
    assert deployed(authority)[0] == 2
    assert authority.rotation().is_over
    assert old not in authority.bundle()
    assert authority.bundle() in both


def test_a_rotation_waits_where_a_deploy_is_not_verified(authority: Authority) -> None:
    deployed(authority)
    authority.rotate(NOW, "root")
    for _ in range(3):
        prepare(authority)
        assert pair(authority, "ezra")[0] == 1
    # A deploy that was planned before the rotation began says nothing of it.
    authority.verified(replace(authority.rotation(), current=1))
    assert authority.rotation().signs == 1


def test_a_ca_that_is_gone_is_not_replaced_behind_anybodys_back(authority: Authority) -> None:
    deployed(authority)
    os.unlink(os.path.join(authority.directory, "ca-1.pem"))
    with pytest.raises(KeyStoreError, match="the key of the CA is gone") as caught:
        prepare(authority)
    assert "backup" in caught.value.mend


def test_without_openssl_the_deploy_says_what_is_missing(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KeyStoreError, match="could not be started") as caught:
        prepare(authority)
    assert "apt-get install openssl" in caught.value.mend
    assert not authority.exists
