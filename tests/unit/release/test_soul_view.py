"""The unit's view of the soul's folder: plain paths only, and only on a real node."""

from __future__ import annotations

import pytest

from fleet_agent.release.unitfile import view_conf


def test_folder_and_file_are_shown_and_may_be_missing() -> None:
    assert view_conf("/home/ezra/.hermes/SOUL.md", "/run/fleet-agent/ezra/soul") == (
        "[Service]\nBindReadOnlyPaths=-/home/ezra/.hermes:/run/fleet-agent/ezra/soul "
        "-/home/ezra/.hermes/SOUL.md:/run/fleet-agent/ezra/soul.file\n"
    )


@pytest.mark.parametrize(
    "place",
    ["/SOUL.md", "/home/a b/SOUL.md", "/home/a:b/SOUL.md", "/home/%h/SOUL.md", "/a\nUser=root/x",
     '/home/"x/SOUL.md', "/home/\\x/SOUL.md", "/home/x/MY SOUL.md"],
)  # fmt: skip
def test_a_path_that_a_unit_would_take_apart_has_no_view(place: str) -> None:
    assert view_conf(place, "/run/fleet-agent/ezra/soul") is None
