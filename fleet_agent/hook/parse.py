"""A request to the hook's port → what the forge said, and what fleet-deploy hears of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from fleet_agent.deploy.entry import Seen, Submission
from fleet_agent.errors import RequestError
from fleet_agent.forge import webhook
from fleet_agent.forge.events import Ignored, Refusal, TagPush, Verdict
from fleet_agent.forge.rules import HookRules
from fleet_agent.httpd.types import Request


def verdict(request: Request, secrets: Sequence[bytes], rules: HookRules) -> Verdict:
    """What the webhook says. Raises RequestError (404) for the path of an unknown forge."""
    forge = request.params.get("forge", "")
    if forge and not webhook.knows(forge):
        raise RequestError(
            f"there is no hook for {forge!r}",
            status=404,
            where=request.path,
            mend="send it to /, or to /hook/gitea, /hook/forgejo or /hook/gogs",
        )
    return webhook.read(request.headers, request.body, secrets, rules, forge)


def submission(push: TagPush) -> Submission:
    """What fleet-deploy queues."""
    return Submission(
        forge=push.delivery.forge.value,
        event=push.delivery.event,
        delivery=push.delivery.id,
        ref=push.ref,
        hint=push.hint,
        twin=push.twin,
        pusher=push.pusher,
        repository=push.repository.full_name,
    )


def seen(what: Ignored | Refusal) -> Seen:
    """What fleet-deploy writes into its history."""
    delivery = what.delivery
    forge = delivery.forge.value if delivery else ""
    event, identity = (delivery.event, delivery.id) if delivery else ("", "")
    if isinstance(what, Refusal):
        signed = what.status != 401
        return Seen(forge, event, identity, "refused", what.what, signed)
    return Seen(
        forge, event, identity, "ignored", what.reason, True, what.ref, what.pusher, what.repository
    )
