"""Headers and a raw body become a push, a skip or a refusal, each with its reason."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

from fleet_agent.forge import webhook
from fleet_agent.forge.events import Ignored, Refusal, TagPush
from fleet_agent.forge.rules import HookRules
from fleet_agent.wire import Forge
from tests.recordings import SECRET, Fields, Recording, recordings

ALL = recordings("gitea") + recordings("gogs")
RULES = HookRules("v1.0.0", "ssh://git@192.0.2.10/timmy/fleet-ops.git")
C1 = "5e14d2218f28e90f0540917f850195876c24a50b"
BASE = recordings("gitea")[1]  # the push of v1.0.0


def signed(body: bytes, event: str = "push", kind: str = "Gitea", **more: str) -> Fields:
    fields = {
        f"X-{kind}-Event": event,
        f"X-{kind}-Delivery": "1c0ffee",
        f"X-{kind}-Signature": webhook.sign(SECRET, body),
        "Content-Type": "application/json",
    }
    return Fields(list((fields | {key.replace("_", "-"): v for key, v in more.items()}).items()))


def read(body: object, event: str = "push", rules: HookRules = RULES) -> object:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return webhook.read(signed(raw, event), raw, [SECRET], rules)


def kind(recording: Recording, rules: HookRules) -> str:
    return type(webhook.read(recording.fields, recording.body, [SECRET], rules)).__name__


@pytest.mark.parametrize("recording", ALL, ids=lambda one: one.name)
def test_every_recorded_signature_is_right_with_the_secret_and_wrong_with_another(
    recording: Recording,
) -> None:
    fields, body = recording.fields, recording.body
    assert not isinstance(webhook.read(fields, body, [SECRET], RULES), Refusal)
    assert not isinstance(webhook.read(fields, body, [b"old", SECRET], RULES), Refusal)
    wrong = webhook.read(fields, body, [b"hooksecret2"], RULES)
    assert isinstance(wrong, Refusal) and wrong.status == 401
    changed = webhook.read(fields, body.replace(b"timmy", b"tommy"), [SECRET], RULES)
    assert isinstance(changed, Refusal) and changed.status == 401


@pytest.mark.parametrize(
    ("forge", "tag", "pushes"),
    [
        ("gitea", "v1.0.0", {2, 3, 4, 8, 9, 10, 11, 12}),
        ("gitea", "v1.0.1", {5, 6, 7, 21, 22, 23}),
        ("gitea", "v2.*", {24, 25}),
        ("gitea", "V1.0.0", set()),
        ("gitea", "main", set()),
        ("gogs", "v1.0.0", {2, 4}),
        ("gogs", "v1.0.1", {3}),
    ],
)
def test_of_the_recordings_only_pushes_of_the_tag_are_pushes(
    forge: str, tag: str, pushes: set[int]
) -> None:
    rules = HookRules(tag, "https://forge.example/Timmy/Fleet-Ops")
    found = {
        number
        for number, recording in enumerate(recordings(forge), 1)
        if kind(recording, rules) == "TagPush"
    }
    assert found == pushes


def test_gitea_is_known_as_gitea_though_it_also_sends_headers_of_gogs_and_github() -> None:
    push = webhook.read(BASE.fields, BASE.body, [SECRET], RULES)
    assert isinstance(push, TagPush)
    assert push.delivery.forge is Forge.GITEA
    assert (push.ref, push.hint, push.pusher, push.twin) == ("refs/tags/v1.0.0", C1, "timmy", False)


def test_forgejo_is_known_as_forgejo_though_it_also_sends_headers_of_gitea() -> None:
    fields = Fields([*BASE.headers, ("X-Forgejo-Event", "push"), ("X-Forgejo-Delivery", "7")])
    assert isinstance(webhook.read(fields, BASE.body, [SECRET], RULES), Refusal)  # not signed
    fields["x-forgejo-signature"] = webhook.sign(SECRET, BASE.body)
    push = webhook.read(fields, BASE.body, [SECRET], RULES)
    assert isinstance(push, TagPush)
    assert push.delivery.forge is Forge.FORGEJO and push.delivery.id == "7"


def test_a_create_is_the_second_event_of_a_push_with_gitea_and_the_only_one_with_gogs() -> None:
    gitea = recordings("gitea")[2]
    assert getattr(webhook.read(gitea.fields, gitea.body, [SECRET], RULES), "twin", None) is True
    gogs = recordings("gogs")[1]
    assert getattr(webhook.read(gogs.fields, gogs.body, [SECRET], RULES), "twin", None) is False


@pytest.mark.parametrize("value", ["", "   ", None])
def test_an_empty_signature_is_a_missing_one_also_with_an_empty_secret(value: str | None) -> None:
    fields = BASE.fields
    fields["x-gitea-signature"] = value or ""
    if value is None:
        del fields["x-gitea-signature"]
    for secrets in ([SECRET], [b""], []):
        refusal = webhook.read(fields, BASE.body, secrets, RULES)
        assert isinstance(refusal, Refusal) and refusal.status == 401


def test_an_empty_secret_never_makes_a_signature_right() -> None:
    fields = BASE.fields
    fields["x-gitea-signature"] = webhook.sign(b"", BASE.body)
    refusal = webhook.read(fields, BASE.body, [b"", SECRET], RULES)
    assert isinstance(refusal, Refusal) and refusal.status == 401


def test_a_signature_that_is_no_ascii_is_wrong() -> None:
    fields = BASE.fields
    fields["x-gitea-signature"] = "ä" * 64
    refusal = webhook.read(fields, BASE.body, [SECRET], RULES)
    assert isinstance(refusal, Refusal) and refusal.status == 401


def test_a_request_without_any_forge_header_is_401() -> None:
    refusal = webhook.read(Fields([]), b"{}", [SECRET], RULES)
    assert isinstance(refusal, Refusal) and refusal.status == 401
    github = webhook.read(Fields([("X-GitHub-Event", "push")]), b"{}", [SECRET], RULES)
    assert isinstance(github, Refusal) and "does not understand" in github.what


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"\xff\xfe{", b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}"],
)
def test_a_signed_body_that_is_no_json_object_is_400(body: bytes) -> None:
    refusal = read(body)
    assert isinstance(refusal, Refusal)
    assert refusal.status == 400 and "application/json" in refusal.mend


def test_a_form_is_told_which_content_type_to_choose_as_gitea_signs_the_payload_in_it() -> None:
    payload = BASE.body
    form = urlencode({"payload": payload.decode()}).encode()
    fields = signed(payload, Content_Type="application/x-www-form-urlencoded")
    refusal = webhook.read(fields, form, [SECRET], RULES)
    assert isinstance(refusal, Refusal) and refusal.status == 400
    assert "application/json" in refusal.mend
    unsigned = webhook.read(fields, form + b"x", [SECRET], RULES)
    assert isinstance(unsigned, Refusal) and unsigned.status == 401


def test_gitea_s_test_delivery_is_told_that_it_works_and_what_a_real_push_needs() -> None:
    payload = recordings("gitea")[0].payload
    said = read(payload | {"before": C1, "after": C1})
    assert isinstance(said, Ignored) and said.works
    assert "it works" in said.reason and "tag v1.0.0" in said.reason
    ordinary = read(payload)
    assert isinstance(ordinary, Ignored) and not ordinary.works


@pytest.mark.parametrize(
    ("repository", "taken"),
    [
        ("git@forge.example:timmy/fleet-ops.git", True),
        ("https://user:pw@forge.example:8443/git/timmy/fleet-ops", True),
        ("ssh://git@[2001:db8::1]:2222/TIMMY/fleet-ops.git", True),
        ("http://127.0.0.1:13000/timmy/fleet-ops.git", True),
        ("/srv/git/timmy/fleet-ops.git", True),
        ("", True),
        ("git@forge.example:timmy/fleet-ops2.git", False),
        ("git@forge.example:other/fleet-ops.git", False),
        ("git@forge.example:xtimmy/fleet-ops.git", False),
    ],
)
def test_only_the_configured_repository_deploys(repository: str, taken: bool) -> None:
    verdict = webhook.read(BASE.fields, BASE.body, [SECRET], HookRules("v1.0.0", repository))
    assert isinstance(verdict, TagPush) is taken
    if not taken:
        assert isinstance(verdict, Ignored) and "timmy/fleet-ops" in verdict.reason


def test_a_password_in_the_configured_url_is_not_told() -> None:
    rules = HookRules("v1.0.0", "https://bot:s3cret@forge.example/a/b.git")
    verdict = webhook.read(BASE.fields, BASE.body, [SECRET], rules)
    assert isinstance(verdict, Ignored) and "s3cret" not in verdict.reason


def test_a_repository_known_by_nothing_but_its_path_is_ours_when_an_url_says_so() -> None:
    payload = dict(BASE.payload)
    payload["repository"] = {"full_name": "ops", "clone_url": "file:///srv/ops.git"}
    assert isinstance(read(payload, rules=HookRules("v1.0.0", "/srv/ops.git")), TagPush)
    assert isinstance(read(payload, rules=HookRules("v1.0.0", "/srv/ops2.git")), Ignored)


@pytest.mark.parametrize(
    "change",
    [
        {"ref": None},
        {"ref": 7},
        {"after": "abc"},
        {"after": None},
        {"ref": "refs/tags/"},
        {"ref": "refs/tags/-u"},
        {"ref": "refs/tags/v1..0"},
        {"ref": "refs/tags/v1\nx"},
        {"ref": "refs/tags/" + "v" * 300},
        {"repository": None},
        {"repository": {"full_name": ["x"]}},
    ],
)
def test_a_push_that_lacks_what_a_push_has_is_400(change: dict[str, object]) -> None:
    refusal = read(BASE.payload | change, rules=HookRules("v*"))
    assert isinstance(refusal, Refusal) and refusal.status == 400


def test_a_hook_set_up_for_another_path_is_told_where_to() -> None:
    gogs = recordings("gogs")[1]
    refusal = webhook.read(gogs.fields, gogs.body, [SECRET], RULES, forge="gitea")
    assert isinstance(refusal, Refusal) and "/hook/gogs" in refusal.mend
    for path in ("gogs", ""):
        verdict = webhook.read(gogs.fields, gogs.body, [SECRET], RULES, forge=path)
        assert isinstance(verdict, TagPush)


def test_a_delivery_without_an_id_is_400_since_its_repeats_could_not_be_known() -> None:
    fields = BASE.fields
    del fields["x-gitea-delivery"]
    refusal = webhook.read(fields, BASE.body, [SECRET], RULES)
    assert isinstance(refusal, Refusal) and refusal.status == 400


def test_what_a_payload_says_cannot_steer_a_terminal() -> None:
    payload = dict(BASE.payload)
    payload["repository"] = {"full_name": "a/\x1b[2Jb"}
    verdict = read(payload)
    assert isinstance(verdict, Ignored) and "\x1b" not in verdict.reason
