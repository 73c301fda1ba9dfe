"""What is shown for the forge's forms."""

from __future__ import annotations

import pytest

from fleet_agent.setup.forms import deploy_key_form, hook_url, webhook_form


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("192.0.2.10", "http://192.0.2.10:9876/"),
        ("2001:db8::10", "http://[2001:db8::10]:9876/"),
        ("[2001:db8::10]", "http://[2001:db8::10]:9876/"),
        ("ezra.example.org", "http://ezra.example.org:9876/"),
    ],
)
def test_the_url_of_every_kind_of_host(host: str, url: str) -> None:
    assert hook_url(host) == url


def test_a_new_secret_is_shown_and_an_old_one_is_not() -> None:
    new = "\n".join(webhook_form("192.0.2.10", 9877, "LIVE", "a1b2"))
    assert "Secret        a1b2" in new
    assert "http://192.0.2.10:9877/" in new and "tag LIVE" in new
    old = "\n".join(webhook_form("192.0.2.10", 9877, "LIVE", ""))
    assert "/etc/fleet-agent/hook/secret" in old


@pytest.mark.parametrize(
    ("host", "said"),
    [("10.0.0.1", True), ("fd00::1", True), ("ezra.lan", True), ("9.9.9.9", False),
     ("2620:fe::fe", False)],
)  # fmt: skip
def test_gitea_is_told_to_allow_what_is_not_public(host: str, said: bool) -> None:
    form = "\n".join(webhook_form(host, 9876, "PROD", "x"))
    assert (f"ALLOWED_HOST_LIST = external,{host}" in form) is said


def test_the_deploy_key_is_read_only() -> None:
    form = "\n".join(deploy_key_form("ssh-ed25519 AAAA", "timmy"))
    assert "ssh-ed25519 AAAA" in form and "Enable write  no" in form
