"""The envelope: what is a message, and that each refusal names its field and the mend."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_agent.bus.message import OPTIONAL, REQUIRED, TABLE, Bounds, MessageRefused, check
from fleet_agent.bus.strictjson import NotStrictJson
from fleet_agent.limits import Limits
from fleet_agent.registry import rules
from fleet_agent.yamlfile.spot import Wrong

NOW = 1_770_091_506.0  # 2026-02-03T04:05:06Z
BOUNDS = Bounds.of(Limits())
GOOD: dict[str, Any] = {
    "from": "ezra",
    "to": "bezalel",
    "type": "request",
    "payload": {"ask": "2+2?"},
    "timestamp": "2026-02-03T04:05:06Z",
}
FULL: dict[str, Any] = GOOD | {
    "id": "0195-abc_DEF",
    "in_reply_to": "q1",
    "ttl": 60,
    "hops": 2,
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}


def refusal(**changes: Any) -> MessageRefused:
    value = {key: item for key, item in (GOOD | changes).items() if item is not ...}
    with pytest.raises(MessageRefused) as caught:
        check(json.dumps(value).encode(), now=NOW, bounds=BOUNDS)
    assert caught.value.mend, "every refusal says what to do"
    return caught.value


def accept(**changes: Any) -> Any:
    return check(json.dumps(GOOD | changes).encode(), now=NOW, bounds=BOUNDS)


def test_the_five_fields_of_the_paper_are_a_message() -> None:
    raw = json.dumps(GOOD).encode()
    message = check(raw, now=NOW, bounds=BOUNDS)
    assert (message.sender, message.to, message.type) == ("ezra", "bezalel", "request")
    assert message.payload == {"ask": "2+2?"}
    assert message.sent_at == NOW
    assert (message.id, message.in_reply_to, message.ttl_seconds, message.hops) == (
        None,
        None,
        None,
        0,
    )
    assert message.raw == raw


def test_all_fields_are_read() -> None:
    message = accept(**FULL)
    assert message.id == "0195-abc_DEF"
    assert message.in_reply_to == "q1"
    assert message.ttl_seconds == 60
    assert message.hops == 2
    assert message.traceparent.startswith("00-0af")


@pytest.mark.parametrize("field", REQUIRED)
def test_a_missing_field_is_named(field: str) -> None:
    caught = refusal(**{field: ...})
    assert (caught.where, caught.what) == (field, "is missing")


@pytest.mark.parametrize(
    ("field", "near"),
    [("form", "from"), ("tpye", "type"), ("timestmap", "timestamp"), ("reply_to", "in_reply_to")],
)
def test_an_unknown_field_is_refused_with_its_near_miss(field: str, near: str) -> None:
    caught = refusal(**{field: 1})
    assert caught.where == field
    assert caught.mend == f"did you mean {near!r}?"


def test_an_unknown_field_near_nothing_lists_what_is_known() -> None:
    assert "traceparent" in refusal(**{"\u202ex" * 90: 1}).mend
    assert refusal(**{"\u202ex": 1}).where == r"'\u202ex'"
    assert refusal(**{"": 1}).where == "''"


@pytest.mark.parametrize("payload", [None, "text", 7, 1.5, True, [], {}, {"deep": [{"er": 1}]}])
def test_a_payload_is_any_json(payload: object) -> None:
    assert accept(payload=payload).payload == payload


@pytest.mark.parametrize("field", [name for name in REQUIRED + OPTIONAL if name != "payload"])
@pytest.mark.parametrize("wrong", [None, True, [], {}, [1], {"a": 1}, ""])
def test_a_wrong_type_is_refused_by_its_field(field: str, wrong: object) -> None:
    assert refusal(**{field: wrong}).where == field


@pytest.mark.parametrize("name", ["Ezra", "1ezra", "-e", "e" * 30, "ez ra", "ezra\n", "é", "../x"])
def test_only_a_wizards_name_is_a_sender(name: str) -> None:
    assert refusal(**{"from": name}).where == "from"
    assert refusal(to=name).where == "to"


FITS = {
    ("request", "bezalel"),
    ("request", "capability:ansible-deploy"),
    ("response", "bezalel"),
    ("broadcast", "*"),
    ("alert", "bezalel"),
    ("alert", "*"),
}


@pytest.mark.parametrize("kind", ["request", "response", "broadcast", "alert"])
@pytest.mark.parametrize("to", ["bezalel", "*", "capability:ansible-deploy"])
def test_types_go_only_where_the_table_says(kind: str, to: str) -> None:
    if (kind, to) in FITS:
        assert accept(type=kind, to=to, in_reply_to="q").to == to
    else:
        caught = refusal(type=kind, to=to, in_reply_to="q")
        assert caught.where == "to"
        assert caught.extra == {"table": dict(TABLE)}


def test_a_response_says_what_it_answers() -> None:
    caught = refusal(type="response")
    assert caught.where == "in_reply_to"
    assert "table" in caught.extra


@pytest.mark.parametrize(
    "to", ["capability:", "capability:.", "capability: x", "capability:*", "**"]
)
def test_a_capability_has_a_name(to: str) -> None:
    assert refusal(to=to).where == "to"


@given(st.text("aZ09-_.:/ é\n", max_size=70))
def test_names_and_capabilities_are_the_registrys(text: str) -> None:
    assert accepted("from", text) == allowed(rules.name, text)
    assert accepted("to", "capability:" + text) == allowed(rules.capability, text)


def accepted(field: str, text: str) -> bool:
    try:
        accept(**{field: text})
    except MessageRefused as error:
        assert error.where == field
        return False
    return True


def allowed(rule: Callable[[str], str], text: str) -> bool:
    try:
        return rule(text) == text
    except Wrong:
        return False


@pytest.mark.parametrize("kind", ["", "Request", "reply", "request ", "x" * 1000])
def test_there_are_four_types(kind: str) -> None:
    caught = refusal(type=kind)
    assert caught.where == "type"
    assert "request, response, broadcast, alert" in caught.mend
    assert "table" in caught.extra


@pytest.mark.parametrize("value", ["2026-02-03T04:05:06Z", 1770091506, 1770091506.0])
def test_time_is_rfc_3339_or_a_unix_number(value: object) -> None:
    assert accept(timestamp=value).sent_at == NOW


@pytest.mark.parametrize("value", ["2026-02-03T04:05:06+02:00", "today", -1, 1770091506000])
def test_other_times_are_refused(value: object) -> None:
    assert refusal(timestamp=value).where == "timestamp"


def test_the_past_is_no_mistake() -> None:
    assert accept(timestamp=0).sent_at == 0


def test_next_year_is_refused_with_our_own_time() -> None:
    caught = refusal(timestamp="2027-02-03T04:05:06Z")
    assert caught.extra == {"time": "2026-02-03T04:05:06Z"}
    assert "31536000 s in the future" in caught.what
    assert caught.title == "timestamp lies in the future"


def test_a_clock_a_little_ahead_is_borne() -> None:
    assert accept(timestamp=NOW + 300).sent_at == NOW + 300
    assert refusal(timestamp=NOW + 301).where == "timestamp"


@pytest.mark.parametrize("value", ["a b", "a/b", "a.b", "-a", "a" * 129, "é", "a\n"])
def test_an_id_fits_into_a_path_and_a_signature(value: str) -> None:
    assert refusal(id=value).where == "id"
    assert refusal(in_reply_to=value).where == "in_reply_to"


@pytest.mark.parametrize("value", [0, -1, 7 * 86400 + 1, 1e300])
def test_ttl_has_a_fleet_wide_maximum(value: float) -> None:
    assert refusal(ttl=value).where == "ttl"
    assert accept(ttl=7 * 86400).ttl_seconds == 7 * 86400


@pytest.mark.parametrize("value", [-1, 17, 1.5, 2**63])
def test_hops_are_few(value: float) -> None:
    assert refusal(hops=value).where == "hops"
    assert accept(hops=16).hops == 16


@pytest.mark.parametrize(
    "value",
    [
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
    ],
)
def test_traceparent_is_the_w3cs(value: str) -> None:
    assert refusal(traceparent=value).where == "traceparent"


def test_a_payload_over_the_limit_is_413_and_one_at_the_limit_is_not() -> None:
    room = BOUNDS.payload_bytes
    assert len(accept(payload="x" * (room - 2)).payload) == room - 2
    caught = refusal(payload="x" * (room - 1))
    assert (caught.http_status, caught.where) == (413, "payload")


def test_the_payload_is_measured_without_the_senders_spaces_and_escapes() -> None:
    raw = json.dumps(GOOD | {"payload": "é" * 100_000}).encode()  # 600 kB as \\u escapes
    assert len(check(raw + b" " * 1000, now=NOW, bounds=BOUNDS).payload) == 100_000


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
fields = st.sampled_from([*REQUIRED, *OPTIONAL, "form", ""])
# Near messages: one or two fields of a good one replaced by anything, some dropped.
near = st.builds(
    lambda changes, gone: {
        key: value for key, value in (FULL | changes).items() if key not in gone
    },
    st.dictionaries(
        fields, json_values | st.sampled_from(["*", "capability:x", 2**70, -0.0]), max_size=2
    ),
    st.sets(fields, max_size=1),
)


@given(near)
def test_anything_near_a_message_is_one_or_is_refused(value: dict[str, Any]) -> None:
    raw = json.dumps(value).encode("utf-8", "surrogatepass")
    try:
        message = check(raw, now=NOW, bounds=BOUNDS)
    except (MessageRefused, NotStrictJson) as caught:
        assert caught.http_status in (400, 413)
        str(caught).encode("utf-8")
    else:
        assert message.raw == raw
        assert message.payload == value["payload"]
        assert set(value) <= set(REQUIRED + OPTIONAL)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises((MessageRefused, NotStrictJson)):
        check(raw, now=NOW, bounds=BOUNDS)


@given(st.integers(0, 400), st.binary(min_size=1, max_size=4))
def test_a_damaged_message_is_one_or_is_refused(at: int, damage: bytes) -> None:
    raw = json.dumps(FULL).encode()
    broken = raw[: at % len(raw)] + damage + raw[at % len(raw) + len(damage) :]
    try:
        assert check(broken, now=NOW, bounds=BOUNDS).raw == broken
    except (MessageRefused, NotStrictJson) as caught:
        assert caught.http_status == 400
