"""Runs the peers against a lab's machines, from the operator's side, as root over ssh."""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
import time
from pathlib import Path

from tests.lab.lab import Lab

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
LIMIT_S = 300.0
PORTS = {"plain": 8801, "pyinfra": 8802}
# What a release of ours weighs on the wire, about: the peers send as much.
RELEASE_BYTES = 400_000


class Peers:
    """Keys, inventories and archives of the peers for one lab."""

    def __init__(self, lab: Lab, place: Path) -> None:
        self.lab = lab
        self.place = place
        place.mkdir(parents=True, exist_ok=True)
        self.key = str(lab.nodes[0].key.private)
        self.options = (
            f"-o StrictHostKeyChecking=no -o UserKnownHostsFile={place}/known_hosts "
            f"-o ControlMaster=auto -o ControlPersist=60s -o ControlPath={place}/%C"
        )
        self._write_inventories()

    def plain(self, number: int) -> float:
        """Seconds of the ordinary playbook, everything changed."""
        values = {
            "release": f"r{number}",
            "port": PORTS["plain"],
            "archive": str(self._archive("plain", number)),
        }
        argv = [
            str(BIN / "ansible-playbook"),
            "-i", str(self.place / "inventory.yml"),
            "-e", json.dumps(values),
            str(HERE / "plain.yml"),
        ]  # fmt: skip
        return self._timed(argv, {"ANSIBLE_CONFIG": str(self.place / "ansible.cfg")})

    def pyinfra(self, number: int) -> float:
        """Seconds of pyinfra, everything changed."""
        values = {
            "PEER_RELEASE": f"r{number}",
            "PEER_ARCHIVE": str(self._archive("pyinfra", number)),
            "PEER_PORT": str(PORTS["pyinfra"]),
        }
        argv = [
            str(BIN / "pyinfra"),
            "-y",
            str(self.place / "inventory.py"),
            str(HERE / "pyinfra_deploy.py"),
        ]
        return self._timed(argv, values)

    def _timed(self, argv: list[str], env: dict[str, str]) -> float:
        began = time.monotonic()
        self.lab.operator(argv, env=env, cwd=self.place, timeout_s=LIMIT_S)
        return time.monotonic() - began

    def _archive(self, peer: str, number: int) -> Path:
        """A release as a tar: one health answer, and bytes that don't compress."""
        path = self.place / f"{peer}-{number}.tar.gz"
        with tarfile.open(path, "w:gz", compresslevel=1) as archive:
            for name, data in (
                ("health.json", b'{"status": "pass"}\n'),
                ("code", os.urandom(RELEASE_BYTES)),
            ):
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
        return path

    def _write_inventories(self) -> None:
        hosts = {
            node.name: {
                "ansible_host": node.address,
                "ansible_user": "root",
                "ansible_ssh_private_key_file": self.key,
                "ansible_python_interpreter": "/usr/bin/python3",
            }
            for node in self.lab.nodes
        }
        inventory = {"all": {"children": {"nodes": {"hosts": hosts}}}}
        (self.place / "inventory.yml").write_text(json.dumps(inventory))
        (self.place / "ansible.cfg").write_text(
            f"[defaults]\nforks = 50\nhost_key_checking = False\nlocal_tmp = {self.place}/tmp\n"
            "[connection]\npipelining = True\n"
            f"[ssh_connection]\npipelining = True\nssh_args = {self.options}\n"
            f"control_path = {self.place}/%%C\n"
        )
        ours = [
            (node.address, {"ssh_user": "root", "ssh_key": self.key}) for node in self.lab.nodes
        ]
        (self.place / "inventory.py").write_text(
            f"hosts = [(h, {{**d, 'ssh_strict_host_key_checking': 'no', "
            f"'ssh_known_hosts_file': '{self.place}/known_hosts'}}) for h, d in {ours!r}]\n"
        )
