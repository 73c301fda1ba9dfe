"""What entries must not do together: same names, ports, places; how many orchestrators.

Decides on entries that were read; each clash is noted at the later one and names the earlier.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fleet_agent.registry.entry import Entry
from fleet_agent.registry.rules import is_address, is_loopback, is_wildcard
from fleet_agent.registry.schema import Wizard
from fleet_agent.wire import Role


def check_together(entries: Sequence[Entry], hook_port: int) -> None:
    """Note every clash between entries."""
    _listening(entries, hook_port)
    by_node: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.wizard.host:
            by_node.setdefault(entry.wizard.host, []).append(entry)
    for neighbours in by_node.values():
        _places(neighbours)
        _accounts(neighbours)
        if len(neighbours) > 1:
            _ways_in(neighbours)


def orchestrators(entries: Iterable[Entry]) -> list[Entry]:
    """The entries that say they are the orchestrator."""
    return [entry for entry in entries if entry.wizard.role is Role.ORCHESTRATOR]


def _listening(entries: Sequence[Entry], hook_port: int) -> None:
    """Two sockets can't have the same address and port of one machine."""
    taken: dict[tuple[str, int], str] = {}
    wildcards: dict[tuple[str, int], str] = {}
    used: dict[tuple[str, int], str] = {}
    for entry in entries:
        wizard = entry.wizard
        if not wizard.host:
            continue
        for port, whose in _ports(wizard, hook_port):
            here = (wizard.host, port)
            address = wizard.listen.address
            # Loopback is a machine's own; any other address is one machine's, whatever its host.
            key = (f"{wizard.host} {address}" if _is_own(address) else address, port)
            other = taken.get(key) or wildcards.get(here)
            if other is None and is_wildcard(address):
                other = used.get(here)
            if other is not None:
                entry.fields.wrong(
                    "listen",
                    f"{whose} has the same address and port as {other}: {address} port {port}",
                    "give one of them another one: listen: {port: …}",
                )
                continue
            taken[key] = used[here] = whose
            if is_wildcard(address):
                wildcards[here] = whose


def _ports(wizard: Wizard, hook_port: int) -> list[tuple[int, str]]:
    ports = [(wizard.listen.port, wizard.name)]
    if wizard.role is Role.ORCHESTRATOR:
        ports.append((hook_port, f"the deploy hook of {wizard.name}"))
    return ports


def _is_own(address: str) -> bool:
    return is_wildcard(address) or is_loopback(address) or not is_address(address)


def _places(neighbours: Sequence[Entry]) -> None:
    """On one node a place holds one thing, and nothing is placed in a state directory."""
    placed: dict[str, str] = {}
    folders: dict[str, str] = {}
    states = {place: entry.wizard.name for entry in neighbours for place in entry.wizard.state}
    for entry in neighbours:
        for key, place in _placed_by(entry):
            above = list(_above(place))
            clash = next(
                (placed[path] for path in (place, *above) if path in placed), folders.get(place)
            )
            if clash is not None:
                entry.fields.wrong(key, f"{place} clashes with {clash}", "choose another place")
            for state in (path for path in (place, *above) if path in states):
                what = f"{place} lies in {state}, state of {states[state]}, which no deploy writes"
                entry.fields.wrong(key, what, "name the state's directories more narrowly")
            said = f"{place} of wizards.{entry.wizard.name}.{key}"
            placed.setdefault(place, said)
            for path in above:
                folders.setdefault(path, said)


def _above(path: str) -> Iterator[str]:
    """The directories that ``path`` lies in, without the root."""
    while (path := path.rpartition("/")[0]) != "":
        yield path


def _placed_by(entry: Entry) -> list[tuple[str, str]]:
    files, soul = entry.wizard.files, entry.wizard.soul
    places = [
        (f"{key}.place", file.place) for key, file in zip(entry.file_keys, files, strict=True)
    ]
    if soul is not None and soul.place is not None:
        places.insert(0, ("soul.place", soul.place))
    return places


def _accounts(neighbours: Sequence[Entry]) -> None:
    """No agent has the account that deploys log in to: that one may do all as root."""
    logged_in = {entry.wizard.ssh.user for entry in neighbours} - {None, "root"}
    for entry in neighbours:
        if entry.wizard.user in logged_in:
            what = f"{entry.wizard.user} is also who logs in here to deploy, as good as root"
            entry.fields.wrong("user", what, "give the agent an account of its own")


def _ways_in(neighbours: Sequence[Entry]) -> None:
    """A node has one way in: entries on one host may not say different ones."""
    said = [entry for entry in neighbours if "ssh" in entry.fields]
    for entry in said[1:]:
        if entry.wizard.ssh != said[0].wizard.ssh:
            entry.fields.wrong(
                "ssh",
                f"differs from that of {said[0].wizard.name}, which is on the same host",
                "say it once, it holds for the host",
            )
