"""Where a phase finds contents by their sha256: the pack that came with it, or what is there."""

from __future__ import annotations

import os
from collections.abc import Mapping

from fleet_agent.errors import NodeError
from fleet_agent.node.layout import Layout
from fleet_agent.release.manifest import Manifest


class Contents:
    """Contents of the pack, and of releases that lie on this node."""

    def __init__(self, pack: Mapping[str, bytes]) -> None:
        self._pack = pack
        self._files: dict[str, str] = {}

    def add_release(self, layout: Layout, name: str | None, manifest: Manifest | None) -> None:
        """Let the files of a release on this node be found too."""
        if name is None or manifest is None:
            return
        directory = layout.release(name)
        for entry in manifest.files:
            self._files.setdefault(entry.sha256, f"{directory}/{entry.path}")

    def path(self, sha256: str) -> str | None:
        """A file on this node with this content, if a release has one."""
        path = self._files.get(sha256)
        return path if path is not None and os.path.isfile(path) else None

    def get(self, sha256: str) -> bytes | None:
        """The content, None where nobody has it."""
        packed = self._pack.get(sha256)
        if packed is not None:
            return packed
        path = self.path(sha256)
        if path is None:
            return None
        with open(path, "rb") as source:
            return source.read()

    def need(self, sha256: str, what: str) -> bytes:
        """The content. Raises NodeError when neither the pack nor this node has it."""
        content = self.get(sha256)
        if content is None:
            raise NodeError(
                "came neither in the pack nor is it on this node",
                where=what,
                mend="run the deploy again",
            )
        return content
