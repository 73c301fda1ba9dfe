"""Files of secrets in one directory: 0600, written whole and fsynced, or left as they were.

Not for what is in them.
"""

from __future__ import annotations

import json
import os
from typing import Any

from fleet_agent.errors import FleetError


class KeyStoreError(FleetError):
    """The orchestrator's keys are missing, damaged, or can't be written."""

    title = "the key store can't be used"


class Files:
    """The files of ``directory``. All methods raise KeyStoreError."""

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def make_directory(self) -> None:
        """Make the directory, for its owner alone, where it is not there."""
        try:
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
        except OSError as error:
            raise KeyStoreError(f"can't be made: {error.strerror}", where=self.directory) from error

    def path(self, name: str) -> str:
        """Where ``name`` lies."""
        return os.path.join(self.directory, name)

    def object(self, name: str, version: int) -> dict[str, Any] | None:
        """The JSON object in ``name`` without its version; None where the file is not there."""
        raw = self.read(name)
        if raw is None:
            return None
        try:
            data = json.loads(raw)
        except ValueError as error:
            raise KeyStoreError(f"is no JSON: {error}", where=self.path(name)) from error
        if not isinstance(data, dict) or data.pop("v", None) != version:
            raise KeyStoreError(f"is not of version {version}", where=self.path(name))
        return data

    def read(self, name: str) -> bytes | None:
        """The content of ``name``; None where it is not there."""
        try:
            with open(self.path(name), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KeyStoreError(
                f"can't be read: {error.strerror}", where=self.path(name)
            ) from error

    def write(self, name: str, data: bytes) -> None:
        """Write ``name`` whole."""
        path = self.path(name)
        unfinished = f"{path}.new"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            with open(os.open(unfinished, flags, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
            handle = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise KeyStoreError(f"can't be written: {error.strerror}", where=path) from error
