"""What a test does as bezalel's agent on the pull side of its daemon."""

from __future__ import annotations

from typing import Any

from tests.busfleet import BusFleet


def local(fleet: BusFleet, payload: Any, **more: Any) -> str:
    """bezalel's agent sends itself a message; its id."""
    status, said = fleet.send("bezalel", "bezalel", payload, **more)
    assert status == 202
    return str(said["id"])


def take(fleet: BusFleet, query: str = "wait=25&lease=600") -> list[dict[str, Any]]:
    status, said = fleet.ask("bezalel", "GET", f"/inbox?{query}")
    assert status == 200, said
    found: list[dict[str, Any]] = said["messages"]
    return found


def settle(fleet: BusFleet, one: dict[str, Any], how: str, **more: Any) -> tuple[int, Any]:
    return fleet.ask(
        "bezalel", "POST", f"/inbox/{one['id']}/{how}", {"receipt": one["receipt"], **more}
    )


def story(fleet: BusFleet, id_: str) -> dict[str, Any]:
    """What bezalel's daemon tells of a message that its agent sent itself."""
    told: dict[str, Any] = fleet.ask("bezalel", "GET", f"/message/{id_}")[1]["received"]
    return told
