"""The judge of the proof of no loss, with histories made by hand: it notices what is wrong."""

from __future__ import annotations

from collections.abc import Sequence

from tests.lab.bus.checker import Verdict, check
from tests.lab.bus.history import Event, What

PAIR = ("ezra", "bezalel", 0)


def event(what: What, at: str = "ezra", **more: object) -> Event:
    return {"what": str(what), "t": 1.0, "at": at, **more}


def send(number: int, pair: tuple[str, str, int] = PAIR) -> Event:
    sender, to, lane = pair
    id_ = f"{sender}.{to}.{lane}.{number}"
    return event(What.SEND, id=id_, to=to, lane=lane, n=number, **{"from": sender})


def accepted(id_: str, status: str = "accepted") -> Event:
    return event(What.ACCEPTED, id=id_, status=status)


def handled(id_: str) -> Event:
    return event(What.HANDLED, "bezalel", id=id_)


def dead(id_: str, reason: str = "its time to live was over", box: str = "outbox") -> Event:
    return event(What.DEAD, id=id_, box=box, reason=reason)


def told(id_: str) -> Event:
    return event(What.TOLD, id=id_, reason="given up")


def flow(count: int = 3, pair: tuple[str, str, int] = PAIR) -> tuple[list[Event], list[str]]:
    """Messages that were sent and accepted; their events and ids."""
    sends = [send(number, pair) for number in range(count)]
    ids = [str(one["id"]) for one in sends]
    return [*sends, *map(accepted, ids)], ids


def wrong(verdict: Verdict) -> dict[str, int]:
    names = ("lost", "handled_twice", "out_of_order", "invented", "untold")
    return {name: count for name in names if (count := getattr(verdict, name))}


def judged(handling: Sequence[int]) -> Verdict:
    """Three accepted messages of one pair, handled by number in this order."""
    events, ids = flow()
    return check([*events, *(handled(ids[number]) for number in handling)])


def test_each_handled_once_in_order_is_well() -> None:
    verdict = judged([0, 1, 2])
    assert verdict.well
    assert (verdict.sent, verdict.handled, wrong(verdict)) == (3, 3, {})
    assert "named" not in verdict.to_json()


def test_an_accepted_message_that_nobody_handled_is_lost_and_named() -> None:
    verdict = judged([0, 2])
    assert wrong(verdict) == {"lost": 1}
    assert not verdict.well
    assert verdict.to_json()["named"] == {"lost": ["ezra.bezalel.0.1"]}


def test_a_dead_letter_with_its_reason_is_not_lost() -> None:
    events, ids = flow()
    verdict = check([*events, handled(ids[0]), dead(ids[1]), told(ids[1]), handled(ids[2])])
    assert verdict.well
    assert verdict.dead == 1


def test_a_dead_letter_without_a_reason_is_lost() -> None:
    events, ids = flow(1)
    assert wrong(check([*events, dead(ids[0], ""), told(ids[0])])) == {"lost": 1}


def test_a_dead_letter_of_which_the_sender_was_not_told_is_noticed() -> None:
    events, ids = flow(1)
    assert wrong(check([*events, dead(ids[0])])) == {"untold": 1}


def test_a_message_that_its_receiver_tried_too_often_needs_no_word_to_its_sender() -> None:
    events, ids = flow(1)
    verdict = check([*events, dead(ids[0], "handed out 5 times", box="inbox")])
    assert (verdict.well, verdict.dead) == (True, 1)


def test_a_second_effect_of_one_message_is_noticed() -> None:
    verdict = judged([0, 1, 1, 2])
    assert wrong(verdict) == {"handled_twice": 1}
    assert verdict.to_json()["named"] == {"handled_twice": ["ezra.bezalel.0.1"]}


def test_an_effect_at_two_places_is_noticed() -> None:
    events, ids = flow(1)
    elsewhere = event(What.HANDLED, "allegro", id=ids[0])
    assert wrong(check([*events, handled(ids[0]), elsewhere])) == {"handled_twice": 1}


def test_a_repeat_behind_its_successor_is_twice_and_not_disorder() -> None:
    assert wrong(judged([0, 1, 2, 0])) == {"handled_twice": 1}


def test_a_message_handled_behind_a_later_one_is_out_of_order() -> None:
    assert wrong(judged([1, 0, 2])) == {"out_of_order": 1}
    assert wrong(judged([2, 0, 1])) == {"out_of_order": 2}


def test_order_is_that_of_each_pair_and_lane_alone() -> None:
    ordinary, ids = flow()
    alerts, urgent = flow(pair=("ezra", "bezalel", 1))
    others, of_allegro = flow(pair=("allegro", "bezalel", 0))
    mixed = [urgent[0], of_allegro[0], *ids, urgent[1], *of_allegro[1:], urgent[2]]
    assert check([*ordinary, *alerts, *others, *map(handled, mixed)]).well


def test_a_gap_is_no_disorder() -> None:
    events, ids = flow()
    assert check([*events, handled(ids[0]), handled(ids[2]), dead(ids[1]), told(ids[1])]).well


def test_what_never_got_a_202_may_be_anywhere() -> None:
    unanswered = [send(0), send(1)]
    verdict = check([*unanswered, handled("ezra.bezalel.0.1")])
    assert verdict.well
    assert (verdict.sent, verdict.unanswered, verdict.handled) == (0, 2, 1)


def test_a_message_that_nobody_sent_is_noticed() -> None:
    events, ids = flow(1)
    assert wrong(check([*events, handled(ids[0]), handled("ghost")])) == {"invented": 1}


def test_repeats_redeliveries_refusals_and_faults_are_counted() -> None:
    events, ids = flow(1)
    delivery = event(What.DELIVERY, "bezalel", id=ids[0], lane=0, attempt=1, **{"from": "ezra"})
    verdict = check([
        *events, accepted(ids[0], "duplicate"), delivery, delivery, handled(ids[0]),
        event(What.REFUSED, id=ids[0], count=3, why=507), event(What.REFUSED, count=2, why=507),
        event(What.FAULT, "", kind="kill", nodes=["n1"], phase="begin"),
        event(What.FAULT, "", kind="kill", nodes=["n1"], phase="end"),
    ])  # fmt: skip
    assert verdict.well
    assert (verdict.sent, verdict.repeated, verdict.redelivered) == (1, 1, 1)
    assert (verdict.refused, verdict.faults) == ({"507": 5}, {"kill": 1})
