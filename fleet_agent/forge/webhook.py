"""A webhook, headers and raw body, → TagPush, Ignored or Refusal, each with its reason. Pure.

Not for HTTP's own matters (sizes, methods) and not for queueing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, Protocol
from urllib.parse import parse_qs

from fleet_agent.forge import payload as payloads
from fleet_agent.forge.events import Delivery, Refusal, Verdict
from fleet_agent.forge.gitea import FORGEJO, GITEA
from fleet_agent.forge.gogs import GOGS
from fleet_agent.forge.rules import HookRules
from fleet_agent.forge.scheme import Scheme

# The order matters: Forgejo also sends Gitea's headers, Gitea also those of Gogs and GitHub.
SCHEMES: Final = (FORGEJO, GITEA, GOGS)
FORM: Final = "application/x-www-form-urlencoded"
CHOOSE_JSON: Final = (
    "choose the content type application/json (POST) in the forge's webhook settings"
)
_MEND_SIGNATURE: Final = (
    "set the same secret in the forge's webhook settings and on the orchestrator"
)


class HeaderFields(Protocol):
    """Header fields; ``get`` asks in any case."""

    def get(self, name: str, /) -> str | None: ...


def read(
    headers: HeaderFields, body: bytes, secrets: Sequence[bytes], rules: HookRules, forge: str = ""
) -> Verdict:
    """What a webhook says. ``forge`` is the one that the path named, empty for any.

    The signature is looked at first, over the raw body: nothing of an unsigned body is believed.
    """
    scheme = next((one for one in SCHEMES if headers.get(one.event_header)), None)
    if scheme is None:
        return _unknown(headers)
    delivery = Delivery(
        scheme.forge,
        payloads.text(headers.get(scheme.event_header)),
        payloads.text(headers.get(scheme.delivery_header)),
    )
    refusal = _refuse_unsigned(headers, body, secrets, scheme, delivery)
    if refusal is not None:
        return refusal
    if _is_form(headers):
        return Refusal(400, "the body is a form, not JSON", CHOOSE_JSON, delivery)
    if forge and not headers.get(_scheme_named(forge).event_header):
        return Refusal(
            400,
            f"came to /hook/{forge}, but it is a webhook of {scheme.forge}",
            f"send it to /hook/{scheme.forge}, or to /",
            delivery,
        )
    if not delivery.id:
        return Refusal(400, f"has no {scheme.delivery_header} header", "", delivery)
    payload = _object(body)
    if payload is None:
        return Refusal(400, "the body is not a JSON object", CHOOSE_JSON, delivery)
    return payloads.judge(scheme, delivery, payload, rules)


def _scheme_named(forge: str) -> Scheme:
    return next(one for one in SCHEMES if one.forge == forge)


def knows(forge: str) -> bool:
    """Whether ``forge``, as a path names it, is one whose webhooks are understood."""
    return any(one.forge == forge for one in SCHEMES)


def sign(secret: bytes, body: bytes) -> str:
    """The signature of ``body`` as these forges make it: hex HMAC-SHA256."""
    # Imported with the first webhook: OpenSSL takes 4 MiB of a daemon that should be small.
    import hmac

    return hmac.new(secret, body, "sha256").hexdigest()


def _unknown(headers: HeaderFields) -> Refusal:
    names = ", ".join(one.forge.capitalize() for one in SCHEMES)
    if headers.get("X-GitHub-Event") or headers.get("X-Gitlab-Event"):
        what = "a webhook of a forge that this version does not understand"
    else:
        what = "no signed webhook: it has no event and no signature header"
    return Refusal(401, what, f"webhooks of {names} are understood")


def _refuse_unsigned(
    headers: HeaderFields,
    body: bytes,
    secrets: Sequence[bytes],
    scheme: Scheme,
    delivery: Delivery,
) -> Refusal | None:
    usable = [secret for secret in secrets if secret]
    if not usable:
        return Refusal(
            401, "this orchestrator has no webhook secret yet", _MEND_SIGNATURE, delivery
        )
    said = (headers.get(scheme.signature_header) or "").strip().lower()
    # Without a secret Gitea sends the header all the same, with nothing in it.
    if not said:
        return Refusal(
            401, f"{scheme.signature_header} is missing or empty", _MEND_SIGNATURE, delivery
        )
    # Gitea signs the payload, not the form around it. A form is refused anyway, but its sender
    # should read about the content type, not look for a wrong secret.
    from hmac import compare_digest

    form = _is_form(headers)
    signed = [body, *_form_payloads(body)] if form else [body]
    claim = said.encode("utf-8", "replace")
    right = [
        compare_digest(sign(secret, one).encode(), claim) for secret in usable for one in signed
    ]
    if any(right):
        return None
    mend = f"{_MEND_SIGNATURE}; {CHOOSE_JSON}" if form else _MEND_SIGNATURE
    return Refusal(401, "the signature is not one made with this fleet's secret", mend, delivery)


def _form_payloads(body: bytes) -> list[bytes]:
    try:
        fields = parse_qs(body, max_num_fields=16)
    except ValueError:
        return []
    return fields.get(b"payload", [])[:1]


def _is_form(headers: HeaderFields) -> bool:
    return (headers.get("Content-Type") or "").partition(";")[0].strip().lower() == FORM


def _object(body: bytes) -> dict[str, object] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
