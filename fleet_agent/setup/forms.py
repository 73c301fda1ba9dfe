"""What the operator fills into the forge's forms: deploy key and webhook, word for word. Pure."""

from __future__ import annotations

import ipaddress

from fleet_agent.wire import HOOK_PORT


def hook_url(host: str, port: int = HOOK_PORT) -> str:
    """The URL that the forge posts to."""
    bare = host.strip("[]")
    return f"http://[{bare}]:{port}/" if ":" in bare else f"http://{bare}:{port}/"


def deploy_key_form(key: str, fleet: str) -> list[str]:
    """Lines on the read-only deploy key."""
    return [
        "The deploy key, with which the orchestrator fetches this repository",
        "(Gitea, Forgejo: repository > Settings > Deploy Keys > Add Deploy Key):",
        f"  Title         fleet-agent {fleet}",
        f"  Content       {key}",
        "  Enable write  no",
    ]


def webhook_form(host: str, port: int, tag: str, secret: str) -> list[str]:
    """Lines on the webhook; ``secret`` is "" where it was made, and shown, by an earlier run."""
    shown = secret or "as it was shown when it was made (on the orchestrator: sudo cat " \
        "/etc/fleet-agent/hook/secret)"  # fmt: skip
    return [
        "The webhook (Gitea, Forgejo: repository > Settings > Webhooks > Add Webhook):",
        f"  Target URL    {hook_url(host, port)}",
        "  HTTP method   POST",
        "  Content type  application/json",
        f"  Secret        {shown}",
        "  Trigger on    Custom events: Create, Push (a moved tag arrives as both)",
        "  Branch filter (leave as it is)",
        *allowed_host_hint(host),
        f"Then push the tag {tag} (fleet-agent promote); `fleet-agent hook test` shows what comes.",
    ]


def allowed_host_hint(host: str) -> list[str]:
    """What Gitea's own configuration must allow, where it would refuse to call this host.

    Gitea's default for ALLOWED_HOST_LIST, ``external``, leaves private addresses out.
    """
    bare = host.strip("[]")
    try:
        private = not ipaddress.ip_address(bare).is_global
    except ValueError:
        private = True  # a name: where it leads is the forge's DNS' matter
    if not private:
        return []
    return [
        "  Gitea calls private addresses only if its app.ini says so:",
        "                [webhook]",
        f"                ALLOWED_HOST_LIST = external,{bare}",
    ]
