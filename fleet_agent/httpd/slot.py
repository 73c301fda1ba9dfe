"""The place of one answer among those of its connection. Not for sending it (``connection``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleet_agent.httpd.deferred import Deferred
from fleet_agent.httpd.parse import Head
from fleet_agent.httpd.types import Response

if TYPE_CHECKING:
    from fleet_agent.httpd.connection import Connection


class Slot:
    """The place of one answer among those of its connection."""

    __slots__ = ("asked_at", "connection", "deferred", "head", "response")

    def __init__(self, connection: Connection, head: Head | None, asked_at: float) -> None:
        self.connection = connection
        self.head = head
        self.asked_at = asked_at
        self.response: Response | None = None
        self.deferred: Deferred | None = None

    def resolved(self, response: Response) -> None:
        self.deferred = None
        self.response = response
        self.connection.answered(self)
