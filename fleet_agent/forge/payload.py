"""The payload of Gitea, Forgejo and Gogs (one shape): JSON object → push, skip, or refusal. Pure.

Whoever signed it is believed to be the forge; what it says is still read with care.
"""

from __future__ import annotations

from typing import Final

from fleet_agent.forge import refs
from fleet_agent.forge.events import (
    Delivery,
    Ignored,
    Payload,
    Refusal,
    Repository,
    TagPush,
    Verdict,
)
from fleet_agent.forge.rules import HookRules
from fleet_agent.forge.scheme import Scheme

_TEXT_CHARS: Final = 300


def judge(scheme: Scheme, delivery: Delivery, payload: Payload, rules: HookRules) -> Verdict:
    """What the event ``delivery.event`` with ``payload`` means under ``rules``."""
    repository = _repository(payload)
    judged = _Judged(delivery, payload, repository, rules)
    if not repository.full_name:
        return judged.refuse("the payload names no repository")
    if not rules.takes_repository(repository):
        return judged.skip(
            f"repository {repository.full_name} is not the one that this fleet deploys from "
            f"({shown_url(rules.repository)})"
        )
    if delivery.event == "push":
        return judged.push(twins=scheme.twins)
    if delivery.event == "create":
        return judged.create(twins=scheme.twins)
    if delivery.event == "delete":
        kind, ref = text(payload.get("ref_type")) or "ref", text(payload.get("ref"))
        return judged.skip(f"{kind} {ref} was deleted; a deletion never deploys", ref=ref)
    return judged.skip(
        f"event {delivery.event!r} never deploys; only a pushed tag {rules.tag} does"
    )


class _Judged:
    """One event on its way to a verdict."""

    def __init__(
        self, delivery: Delivery, payload: Payload, repository: Repository, rules: HookRules
    ) -> None:
        self._delivery = delivery
        self._payload = payload
        self._repository = repository
        self._rules = rules
        self._pusher = _person(payload.get("pusher")) or _person(payload.get("sender"))

    def push(self, *, twins: bool) -> Verdict:
        ref = self._payload.get("ref")
        before, after = text(self._payload.get("before")), text(self._payload.get("after"))
        if not isinstance(ref, str) or not refs.is_object_id(after):
            return self.refuse("a push event without a ref or without the new object's id (after)")
        if ref.startswith(refs.TAGS):
            if refs.is_zeros(after):
                tag = text(ref.removeprefix(refs.TAGS))
                return self.skip(f"tag {tag} was deleted; a deletion never deploys", ref=ref)
            return self._tag(ref.removeprefix(refs.TAGS), after, twin=False)
        branch = text(ref.removeprefix(refs.HEADS))
        if branch == self._repository.default_branch and before == after:
            return self.skip(
                f"it works: the signature is right and the event is understood. This is a test "
                f"delivery (a push of branch {branch} that changes nothing). A deploy needs a push "
                f"of the tag {self._rules.tag}",
                ref=ref,
                works=True,
            )
        return self.skip(
            f"a push of branch {branch} never deploys; a push of the tag {self._rules.tag} does",
            ref=ref,
        )

    def create(self, *, twins: bool) -> Verdict:
        ref, kind = self._payload.get("ref"), self._payload.get("ref_type")
        if not isinstance(ref, str) or not isinstance(kind, str):
            return self.refuse("a create event without ref or ref_type")
        if kind != "tag":
            return self.skip(f"{text(kind)} {text(ref)} was made; only a pushed tag deploys", ref)
        hint = text(self._payload.get("sha"))
        usable = refs.is_object_id(hint) and not refs.is_zeros(hint)
        return self._tag(ref, hint if usable else "", twin=twins)

    def _tag(self, tag: str, hint: str, *, twin: bool) -> Verdict:
        if not refs.is_ref_name(tag):
            return self.refuse(f"{text(tag)!r} cannot be a tag's name")
        if not self._rules.takes_tag(tag):
            return self.skip(
                f"tag {tag} is not the one that deploys ({self._rules.tag})", refs.TAGS + tag
            )
        return TagPush(self._delivery, tag, hint, self._pusher, self._repository, twin)

    def skip(self, reason: str, ref: str = "", *, works: bool = False) -> Ignored:
        return Ignored(
            self._delivery, reason, text(ref), self._pusher, self._repository.full_name, works
        )

    def refuse(self, what: str) -> Refusal:
        return Refusal(
            400,
            what,
            "is the webhook of the kind that its headers say (Gitea, Forgejo or Gogs)?",
            self._delivery,
        )


def _repository(payload: Payload) -> Repository:
    said = payload.get("repository")
    if not isinstance(said, dict):
        return Repository("")
    urls = tuple(text(said.get(key)) for key in ("clone_url", "ssh_url", "html_url"))
    return Repository(
        text(said.get("full_name")),
        text(said.get("default_branch")),
        tuple(url for url in urls if url),
    )


def _person(said: object) -> str:
    if not isinstance(said, dict):
        return ""
    return text(said.get("login")) or text(said.get("username")) or text(said.get("full_name"))


def text(value: object) -> str:
    """``value`` if it is a text, short and without what would steer a terminal; else empty."""
    if not isinstance(value, str):
        return ""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}"
                   for char in value[:_TEXT_CHARS])  # fmt: skip


def shown_url(url: str) -> str:
    """``url`` without what may be a password in it."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    authority, slash, path = rest.partition("/")
    user, at, host = authority.rpartition("@")
    return f"{scheme}://{user.partition(':')[0]}{at}{host}{slash}{path}"
