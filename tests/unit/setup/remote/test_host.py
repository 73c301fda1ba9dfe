"""hosts(5) and authorized_keys as they are read and changed."""

from __future__ import annotations

from fleet_agent.setup.remote.host import MARK, names_host, with_line
from fleet_agent.setup.remote.look import os_release

LINE = f"restrict ssh-ed25519 AAAA {MARK}"


def test_a_name_counts_only_where_a_line_gives_it_an_address() -> None:
    assert names_host("127.0.0.1 localhost\n127.0.1.1\tNode1.example.org node1\n", "node1")
    assert names_host("::1 node1", "NODE1")
    assert not names_host("127.0.0.1 localhost # node1\n", "node1")
    assert not names_host("node1 other\n", "node1")
    assert not names_host("", "node1")


def test_our_line_is_added_to_what_others_have() -> None:
    assert with_line("ssh-rsa BBBB me@home", LINE) == f"ssh-rsa BBBB me@home\n{LINE}\n"
    assert with_line("", LINE) == f"{LINE}\n"


def test_our_line_there_already_changes_nothing_not_even_blank_lines() -> None:
    text = f"# keys\n\n{LINE}\nssh-rsa BBBB me@home"
    assert with_line(text, LINE) == text


def test_a_line_of_an_earlier_orchestrator_is_replaced() -> None:
    old = f"restrict ssh-ed25519 OLD {MARK}"
    assert with_line(f"{old}\nssh-rsa BBBB x\n{old}\n", LINE) == f"ssh-rsa BBBB x\n{LINE}\n"


def test_os_release_is_read_with_and_without_quotes() -> None:
    text = 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n# x\nID_LIKE=\n'
    said = os_release(text)
    assert said["ID"] == "debian"
    assert said["PRETTY_NAME"] == "Debian GNU/Linux 12 (bookworm)"
    assert said["ID_LIKE"] == ""
