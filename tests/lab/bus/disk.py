"""A node's /var on a disk of its own that can lose its power, fill up, and fail.

An ext4 image in a file on a reflinking XFS: a clone of that file is the disk as it was at one
instant, so what was not fsynced is gone from it, which a SIGKILL alone never shows.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from ..node import Node
from ..shell import call, wait_until

VAR_BYTES = 1 << 30
# Room for the image and its clone; all of it sparse, and in memory.
POOL_BYTES = 3 << 30
_UNMOUNT_LIMIT_S = 20.0
_FILLER = "filler"


class Disk:
    """The disk of one node. Made while the node is off; the lab's sweep takes it away."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._ground = node.place / "disk"
        self._pool = self._ground / "pool"
        self.image = self._pool / "var.img"

    @property
    def var(self) -> Path:
        """Where this machine sees the node's /var."""
        return self._node.root / "var"

    def insert(self) -> None:
        """Move the node's /var onto the disk. The node is off."""
        self._ground.mkdir()
        call(["mount", "-t", "tmpfs", "-o", f"size={POOL_BYTES}", "disk", str(self._ground)])
        self._pool.mkdir()
        pool = self._ground / "pool.xfs"
        _sparse(pool, POOL_BYTES)
        call(["mkfs.xfs", "-q", "-m", "reflink=1", str(pool)])
        call(["mount", "-o", "loop", str(pool), str(self._pool)])
        _sparse(self.image, VAR_BYTES)
        call(["mkfs.ext4", "-q", "-F", "-m", "0", str(self.image)])
        new = self._ground / "new"
        new.mkdir()
        call(["mount", "-o", "loop", str(self.image), str(new)])
        call(["cp", "-a", f"{self.var}/.", str(new)], timeout_s=120)
        call(["umount", str(new)])
        self._mount()

    def lose_power(self) -> None:
        """Go on with what had reached the disk when this is called. The node's processes are dead
        already: none of them was told anything that came later."""
        clone = self._pool / "cut.img"
        call(["cp", "--reflink=always", str(self.image), str(clone)])
        self._unmount()
        clone.replace(self.image)
        self._mount()

    def fill(self) -> None:
        """Leave no byte free in /var."""
        _fill(self.var / _FILLER)

    def starve(self) -> None:
        """Leave no block in the pool: what is written to a new place of the disk fails, later, at
        the fsync, as on a thin volume that was promised too much or on a dying disk."""
        _fill(self._pool / _FILLER)

    def relieve(self) -> None:
        """Give back what `fill` and `starve` took."""
        (self.var / _FILLER).unlink(missing_ok=True)
        (self._pool / _FILLER).unlink(missing_ok=True)

    def mend(self) -> None:
        """Bring a disk back that had failed, as a power cycle and fsck do. The node is off."""
        (self._pool / _FILLER).unlink(missing_ok=True)
        self._unmount()
        # 1 is "errors corrected".
        checked = call(["e2fsck", "-f", "-y", str(self.image)], check=False)
        assert checked.returncode in (0, 1), checked.stdout + checked.stderr
        self._mount()

    def _mount(self) -> None:
        call(["mount", "-o", "loop", str(self.image), str(self.var)])

    def _unmount(self) -> None:
        """It stays busy for a moment after the machine's last process."""
        wait_until(
            lambda: call(["umount", str(self.var)], check=False).returncode == 0,
            timeout_s=_UNMOUNT_LIMIT_S,
            what=f"umount of {self.var}",
        )


def insert(nodes: list[Node]) -> dict[str, Disk]:
    """Give every node its disk; each is shut down for it and boots from it."""
    disks = {}
    for node in nodes:
        node.shutdown()
        disks[node.name] = Disk(node)
        disks[node.name].insert()
        node.power_on()
    for node in nodes:
        node.wait_up()
    return disks


def _sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def _fill(filler: Path) -> None:
    """Take all that is free: the bulk at once, the rest to the last byte."""
    free = shutil.disk_usage(filler.parent).free
    call(["fallocate", "--length", str(max(free - (8 << 20), 1)), str(filler)], check=False)
    with filler.open("ab", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while file.write(b"\0" * size) == size:
                    pass
            except OSError:
                continue  # it is full for pieces of this size
