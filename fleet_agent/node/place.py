"""Puts files where a wizard's own user may have set traps, without stepping into one.

Paths are walked a directory at a time. A symbolic link is followed only where nobody but root
could have put it; content is written beside, under our own descriptor, and renamed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple

from fleet_agent.errors import NodeError
from fleet_agent.limits import BY_NAME

ABSENT: Final = "absent"
FILE: Final = "file"
LINK: Final = "link"
DIRECTORY: Final = "directory"
OTHER: Final = "other"

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Larger than any file that a release places: its content is nobody's business here.
_MOST_BYTES: Final = int(BY_NAME["deploy_file_bytes"].high)
_LINKS: Final = 16
_TRIES: Final = 16
_CHUNK: Final = 1 << 16
_NO_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
_KINDS: Final = ((stat.S_ISREG, FILE), (stat.S_ISLNK, LINK), (stat.S_ISDIR, DIRECTORY))


class PlaceError(NodeError):
    """A place can't be used: something else lies there, or the way to it is not safe."""

    title = "a place on the node can't be used"


class Found(NamedTuple):
    """What lies at a place: ``target`` of a link, ``sha256`` of a file, else empty.

    The digest of a file larger than any that a release places is empty, too: to read it could
    take for ever, and whoever owns the directory decides how large it is.
    ``changed`` is the Unix time at which it was last written, moved there or given away.
    """

    kind: str
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    sha256: str = ""
    target: str = ""
    changed: float = 0.0


NOTHING: Final = Found(ABSENT)


class Owner(NamedTuple):
    """Numbers of an owner and a group; None where this process may not give files away."""

    uid: int
    gid: int


class Places:
    """The places of one node below ``root``. ``unprivileged``: owners are left as they come.

    ``clearing``: what a user put in the way of a file is moved aside, beside it. For the way back,
    which must not end because somebody made a directory of a file.
    """

    def __init__(self, root: str, *, unprivileged: bool = False, clearing: bool = False) -> None:
        self._root = root
        self._unprivileged = unprivileged
        self._clearing = clearing

    def look(self, path: str) -> Found:
        """What lies at ``path``, a file with its digest. Raises PlaceError."""
        with self._parent(path) as (directory, name):
            if directory < 0:
                return NOTHING
            try:
                seen = os.stat(name, dir_fd=directory, follow_symlinks=False)
            except FileNotFoundError:
                return NOTHING
            kind = next((kind for test, kind in _KINDS if test(seen.st_mode)), OTHER)
            if kind == FILE:
                return _file_at(directory, name, path)
            target = os.readlink(name, dir_fd=directory) if kind == LINK else ""
            mode = stat.S_IMODE(seen.st_mode)
            return Found(kind, mode, seen.st_uid, seen.st_gid, target=target, changed=seen.st_ctime)

    def read(self, path: str, most: int) -> bytes:
        """The content of the file at ``path``, ``most`` bytes of it at most. Raises PlaceError."""
        with self._parent(path) as (directory, name):
            if directory < 0:
                raise PlaceError("is not there", where=path)
            with _opened(directory, name, path) as source:
                data = source.read(most + 1)
            if len(data) > most:
                raise PlaceError(f"is larger than {most} bytes", where=path)
            return data

    def write(self, path: str, data: bytes, mode: int, owner: Owner | None) -> None:
        """Let ``path`` be a file with ``data``, atomically and fsynced; directories are made.

        A link that lies there is replaced, never followed. Raises PlaceError where a directory
        lies there or on an unsafe way.
        """
        with self._parent(path, make=True) as (directory, name):
            self._make_room(directory, name, path)
            beside = f".fleet-agent.{os.urandom(8).hex()}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            handle = os.open(beside, flags, 0o600, dir_fd=directory)
            try:
                with open(handle, "wb") as out:
                    out.write(data)
                    out.flush()
                    if owner is not None and not self._unprivileged:
                        os.fchown(handle, owner.uid, owner.gid)
                    os.fchmod(handle, mode)
                    os.fsync(handle)
                os.rename(beside, name, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                _discard(directory, beside)
                raise
            os.fsync(directory)

    def link(self, path: str, target: str) -> None:
        """Let ``path`` be a symbolic link to ``target``, atomically.

        It stays ours: nobody asks whose a link is, and whoever owns the directory could have put
        something else into its place before it is given away.
        """
        with self._parent(path, make=True) as (directory, name):
            self._make_room(directory, name, path)
            beside = f".fleet-agent.{os.urandom(8).hex()}"
            os.symlink(target, beside, dir_fd=directory)
            try:
                os.rename(beside, name, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                _discard(directory, beside)
                raise
            os.fsync(directory)

    def remove(self, path: str) -> bool:
        """Remove the file or link at ``path``; whether there was one."""
        with self._parent(path) as (directory, name):
            if directory < 0:
                return False
            self._make_room(directory, name, path)
            try:
                os.unlink(name, dir_fd=directory)
            except FileNotFoundError:
                return False
            os.fsync(directory)
            return True

    def remove_directory(self, path: str) -> bool:
        """Remove the directory ``path`` if it is empty; whether it is gone by this."""
        with self._parent(path) as (directory, name):
            if directory < 0:
                return False
            try:
                os.rmdir(name, dir_fd=directory)
            except OSError:
                # Not empty, not there, or no directory any more: then it is not ours to remove.
                return False
            os.fsync(directory)
            return True

    @contextmanager
    def directory(self, path: str) -> Iterator[int]:
        """The open directory ``path``, -1 where none lies there. Raises PlaceError."""
        with self._parent(path) as (above, name):
            handle = -1
            if above >= 0:
                # For a link Linux says ENOTDIR with these flags together.
                with suppress(FileNotFoundError, NotADirectoryError):
                    handle = os.open(name, _DIRECTORY, dir_fd=above)
            try:
                yield handle
            finally:
                if handle >= 0:
                    os.close(handle)

    def missing_directories(self, path: str) -> tuple[str, ...]:
        """The directories above ``path`` that are not there, the deepest first."""
        missing: list[str] = []
        above = os.path.dirname(path)
        while above not in ("/", "") and self.look(above).kind == ABSENT:
            missing.append(above)
            above = os.path.dirname(above)
        return tuple(missing)

    def _make_room(self, directory: int, name: str, path: str) -> None:
        """Let a file, a link or nothing lie there. Raises PlaceError where something else does."""
        for _ in range(_TRIES):
            try:
                seen = os.stat(name, dir_fd=directory, follow_symlinks=False)
            except FileNotFoundError:
                return
            if stat.S_ISREG(seen.st_mode) or stat.S_ISLNK(seen.st_mode):
                return
            if not self._clearing:
                break
            _set_aside(directory, name)
        raise PlaceError(
            "is no file", where=path, mend="move away what lies there, or name another place"
        )

    @contextmanager
    def _parent(self, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """The open directory that holds ``path``, and the last part of it.

        The descriptor is -1 where a directory is missing and none is to be made.
        """
        parts = [part for part in path.split("/") if part]
        if not path.startswith("/") or not parts or ".." in parts or "." in parts:
            raise PlaceError("is no plain absolute path", where=path)
        walk = _Walk(self._root, path, make, not self._unprivileged, self._clearing)
        try:
            yield (walk.handle if walk.down(parts[:-1]) else -1), parts[-1]
        finally:
            walk.close()


class _Walk:
    """The way down to a place: one open directory at a time."""

    def __init__(self, root: str, path: str, make: bool, give: bool, clearing: bool) -> None:
        self._root, self._path, self._make, self._give = root, path, make, give
        self._clearing = clearing
        self.handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        os.close(self.handle)

    def down(self, parts: list[str]) -> bool:
        """Step through ``parts``; False where one is missing and not to be made."""
        left, links = list(parts), 0
        while left:
            name = left.pop(0)
            try:
                following = os.open(name, _DIRECTORY, dir_fd=self.handle)
            except FileNotFoundError:
                if not self._make:
                    return False
                following = self._made(name)
            except OSError as error:
                # For a link Linux says ENOTDIR with O_DIRECTORY and O_NOFOLLOW together.
                if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                    raise PlaceError(f"{name!r}: {error.strerror}", where=self._path) from error
                links += 1
                left = self._around_or_aside(name, links) + left
                continue
            os.close(self.handle)
            self.handle = following
        return True

    def _around_or_aside(self, name: str, links: int) -> list[str]:
        try:
            return self._around(name, links)
        except PlaceError:
            if not self._clearing or links > _LINKS:
                raise
        _set_aside(self.handle, name)
        return [name]

    def _around(self, name: str, links: int) -> list[str]:
        """The parts that a link stands for, if only root can have put it there."""
        seen = os.stat(name, dir_fd=self.handle, follow_symlinks=False)
        if not stat.S_ISLNK(seen.st_mode):
            raise PlaceError(f"{name!r} on the way is no directory", where=self._path)
        if links > _LINKS:
            raise PlaceError("too many links on the way", where=self._path)
        here = os.fstat(self.handle)
        if here.st_uid not in (0, os.geteuid()) or (
            here.st_mode & _NO_OTHERS and not _group_is_root(here)
        ):
            raise PlaceError(
                f"{name!r} on the way is a link that others than root could have put there",
                where=self._path,
                mend="name the place without the link",
            )
        target = os.readlink(name, dir_fd=self.handle)
        parts = [part for part in target.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise PlaceError(f"{name!r} on the way is a link with '..' in it", where=self._path)
        if target.startswith("/"):
            top = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            os.close(self.handle)
            self.handle = top
        return parts

    def _made(self, name: str) -> int:
        """A new directory, which belongs to whom the one above it belongs."""
        try:
            os.mkdir(name, 0o755, dir_fd=self.handle)
        except FileExistsError:
            raise PlaceError(f"{name!r} on the way changed while we looked", where=self._path) \
                from None  # fmt: skip
        made = os.open(name, _DIRECTORY, dir_fd=self.handle)
        above, seen = os.fstat(self.handle), os.fstat(made)
        if self._give and (above.st_uid, above.st_gid) != (seen.st_uid, seen.st_gid):
            # Only what root has just made, and nobody has filled, is given away.
            if seen.st_uid != os.geteuid() or os.listdir(made):
                os.close(made)
                raise PlaceError(f"{name!r} on the way changed while we looked", where=self._path)
            os.fchown(made, above.st_uid, above.st_gid)
        os.fchmod(made, 0o755)
        os.fsync(self.handle)
        return made


def _group_is_root(seen: os.stat_result) -> bool:
    return seen.st_gid == 0 and not seen.st_mode & stat.S_IWOTH


def _set_aside(directory: int, name: str) -> None:
    """Give what lies there another name in its own directory; nothing of it is lost."""
    try:
        aside = f".fleet-agent.aside.{os.urandom(8).hex()}"
        os.rename(name, aside, src_dir_fd=directory, dst_dir_fd=directory)
    except FileNotFoundError:
        return


def _discard(directory: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return


@contextmanager
def _opened(directory: int, name: str, path: str) -> Iterator[_File]:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        handle = os.open(name, flags, dir_fd=directory)
    except OSError as error:
        raise PlaceError(f"can't be read: {error.strerror}", where=path) from error
    try:
        seen = os.fstat(handle)
        if not stat.S_ISREG(seen.st_mode):
            raise PlaceError("is no plain file", where=path)
        yield _File(handle, seen)
    finally:
        os.close(handle)


class _File(NamedTuple):
    handle: int
    seen: os.stat_result

    def read(self, most: int) -> bytes:
        parts, left = [], most
        while left > 0 and (part := os.read(self.handle, min(left, _CHUNK))):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)


def _file_at(directory: int, name: str, path: str) -> Found:
    with _opened(directory, name, path) as source:
        seen, content, left = source.seen, hashlib.sha256(), _MOST_BYTES
        # By what is read, not by its size: it may grow while we read.
        while left >= 0 and (part := os.read(source.handle, _CHUNK)):
            content.update(part)
            left -= len(part)
    sha256 = content.hexdigest() if left >= 0 else ""
    mode = stat.S_IMODE(seen.st_mode)
    return Found(FILE, mode, seen.st_uid, seen.st_gid, seen.st_size, sha256, "", seen.st_ctime)
