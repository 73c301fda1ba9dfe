import os
import socket

import pytest

from fleet_agent.httpd.peers import Admission, peer_of, who
from fleet_agent.httpd.types import Peer
from fleet_agent.limits import Limits


def tcp(address: str, port: int = 1) -> Peer:
    return Peer("tcp", address, port)


def admission(total: int, each: int) -> Admission:
    return Admission(Limits({"http_connections": total, "http_connections_per_peer": each}))


def test_connections_are_counted_a_peer_whatever_its_port() -> None:
    doors = admission(100, 2)
    for port in (1, 2):
        assert doors.refuse(tcp("192.0.2.1", port)) is None
        doors.enter(tcp("192.0.2.1", port))
    assert doors.refuse(tcp("192.0.2.1", 3)) is not None
    assert doors.refuse(tcp("192.0.2.2", 3)) is None


def test_who_leaves_makes_room() -> None:
    doors = admission(100, 1)
    doors.enter(tcp("192.0.2.1"))
    doors.leave(tcp("192.0.2.1"))
    assert doors.refuse(tcp("192.0.2.1")) is None
    assert doors.total == 0


def test_all_peers_together_are_limited() -> None:
    doors = admission(8, 8)
    for last in range(8):
        doors.enter(tcp(f"192.0.2.{last}"))
    assert doors.refuse(tcp("192.0.2.99")) is not None


def test_strangers_who_take_all_places_keep_nobody_from_the_unix_socket() -> None:
    doors, local = admission(8, 2), Peer("unix", "", 0, 1000, 5)
    for last in range(8):
        doors.enter(tcp(f"192.0.2.{last}"))
    for _ in range(2):
        assert doors.refuse(local) is None
        doors.enter(local)
    assert doors.refuse(local) is not None  # its own share has an end, too
    assert doors.total == 8
    doors.leave(local)
    assert (doors.total, doors.refuse(local)) == (8, None)


def test_where_there_is_room_for_less_there_are_less() -> None:
    doors = Admission(Limits({"http_connections": 100}), 2)
    for last in range(2):
        doors.enter(tcp(f"192.0.2.{last}"))
    assert doors.refuse(tcp("192.0.2.99")) is not None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (tcp("2001:db8::1"), tcp("2001:db8::ffff:2"), True),
        (tcp("2001:db8::1"), tcp("2001:db8:0:1::1"), False),
        (tcp("fe80::1%eth0"), tcp("fe80::2"), True),
        (tcp("192.0.2.1"), tcp("192.0.2.2"), False),
        (Peer("unix", "", 0, 1000, 5), Peer("unix", "", 0, 1000, 6), True),
        (Peer("unix", "", 0, 1000, 5), Peer("unix", "", 0, 1001, 6), False),
    ],
)
def test_one_peer_is_a_user_an_address_or_an_ipv6_network(
    one: Peer, other: Peer, same: bool
) -> None:
    doors = admission(100, 1)
    doors.enter(one)
    assert (doors.refuse(other) is not None) is same


def test_the_peer_of_a_unix_socket_is_known_by_the_kernel() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        peer = peer_of(ours, "")
    assert (peer.kind, peer.uid, peer.pid) == ("unix", os.getuid(), os.getpid())
    assert str(os.getuid()) in who(peer)


def test_an_ipv4_address_in_ipv6_clothes_is_an_ipv4_address() -> None:
    with socket.socket(socket.AF_INET6) as connected:
        assert peer_of(connected, ("::ffff:192.0.2.1", 5, 0, 0)) == tcp("192.0.2.1", 5)
