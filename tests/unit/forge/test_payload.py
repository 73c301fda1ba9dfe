"""Whatever a signed payload holds, it becomes a push, a skip or a refusal, never an error."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_agent.forge import payload, refs
from fleet_agent.forge.events import Delivery, Ignored, Refusal, TagPush
from fleet_agent.forge.gitea import GITEA
from fleet_agent.forge.rules import HookRules, split
from tests.recordings import recordings

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=50) | st.just("0" * 40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner),
    max_leaves=8,
)
KEYS = ("ref", "before", "after", "sha", "ref_type", "repository", "pusher", "sender", "full_name")


@settings(max_examples=300, deadline=None)
@given(
    base=st.sampled_from([one.payload for one in recordings("gitea")]),
    changes=st.dictionaries(st.sampled_from(KEYS), VALUES),
    event=st.sampled_from(["push", "create", "delete", "release", ""]) | st.text(max_size=20),
)
def test_any_payload_has_a_verdict(
    base: dict[str, object], changes: dict[str, object], event: str
) -> None:
    delivery = Delivery(GITEA.forge, event, "1")
    verdict = payload.judge(GITEA, delivery, {**base, **changes}, HookRules("v*", ""))
    assert isinstance(verdict, TagPush | Ignored | Refusal)
    if isinstance(verdict, TagPush):
        assert refs.is_ref_name(verdict.tag) and verdict.tag.startswith("v")
        assert verdict.hint == "" or refs.is_object_id(verdict.hint)
        assert verdict.pusher.isprintable() and not refs.is_zeros(verdict.hint or "1")
    if isinstance(verdict, Ignored):
        assert verdict.reason.isprintable()


@given(st.text(max_size=100))
def test_any_url_can_be_compared(url: str) -> None:
    host, path = split(url)
    assert not path.startswith("/") and not path.endswith("/") and host == host.lower()
