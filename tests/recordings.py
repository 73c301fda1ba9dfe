"""What a real Gitea and a real Gogs sent (tests/data/webhooks), as values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

SECRET = b"hooksecret"
DATA = Path(__file__).parent / "data" / "webhooks"


class Fields(dict[str, str]):
    """Header fields whose names have no case."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__((name.lower(), value) for name, value in pairs)

    def get(self, name: str, /, default: str | None = None) -> str | None:  # type: ignore[override]
        return super().get(name.lower(), default)


@dataclass(frozen=True)
class Recording:
    """One recorded request."""

    name: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def fields(self) -> Fields:
        return Fields(list(self.headers))

    @property
    def payload(self) -> dict[str, object]:
        value: dict[str, object] = json.loads(self.body)
        return value


def recordings(forge: str) -> list[Recording]:
    """All recordings of ``forge`` in the order in which they came."""
    found = []
    for path in sorted((DATA / forge).glob("*.json")):
        said = json.loads(path.read_text())
        headers = tuple((name, value) for name, value in said["headers"])
        found.append(Recording(f"{forge}/{path.stem}", headers, said["body"].encode()))
    return found
