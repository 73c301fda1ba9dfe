"""Host keys: read, told, pinned, and never replaced by themselves."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fleet_agent.setup import hostkeys
from fleet_agent.setup.hostkeys import HostKey, HostKeyChanged

A = "AAAAC3NzaC1lZDI1NTE5AAAAIE1HOjX+uF6UD/lfaWhZk3UB3tHgvH0QkYYHS3bLW1sF"
B = "AAAAC3NzaC1lZDI1NTE5AAAAIHIcTPZrgjq/CN9KcFeQwPkJvpQKsGs4Ynd6jNqZGtmb"


def test_the_fingerprint_is_what_ssh_keygen_says(tmp_path: Path) -> None:
    key = HostKey("host", "ssh-ed25519", A)
    file = tmp_path / "key.pub"
    file.write_text(f"ssh-ed25519 {A}\n")
    said = subprocess.run(["ssh-keygen", "-lf", file], capture_output=True, text=True, check=True)
    assert said.stdout.split()[1] == key.fingerprint


def test_a_file_of_pins_is_read_back() -> None:
    keys = (HostKey("192.0.2.1", "ssh-ed25519", A), HostKey("[fd00::3]:2222", "ssh-ed25519", B))
    assert hostkeys.parse(hostkeys.text_of(keys)) == keys


def test_lines_that_are_no_pins_are_passed_over() -> None:
    text = (
        f"# x\n\n@revoked h ssh-ed25519 {A}\n|1|a|b ssh-ed25519 {A}\nh ssh-ed25519 !\nh,i k {A}\n"
    )
    assert [key.name for key in hostkeys.parse(text)] == ["h", "i"]


def test_only_machines_without_a_pin_are_new() -> None:
    pinned = HostKey("a", "ssh-ed25519", A)
    new = HostKey("b", "ssh-ed25519", B)
    assert hostkeys.new_keys([pinned], [pinned, new]) == (new,)


def test_a_changed_key_is_refused_with_both_fingerprints() -> None:
    old, new = HostKey("a", "ssh-ed25519", A), HostKey("a", "ssh-ed25519", B)
    with pytest.raises(HostKeyChanged) as refused:
        hostkeys.new_keys([old], [new])
    assert old.fingerprint in refused.value.what
    assert new.fingerprint in refused.value.what
    assert "known_hosts" in refused.value.mend


def test_one_of_several_pinned_keys_is_enough() -> None:
    keys = [HostKey("a", "ssh-rsa", B), HostKey("a", "ssh-ed25519", A)]
    assert hostkeys.new_keys(keys, [keys[1]]) == ()
