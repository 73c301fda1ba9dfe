"""A refusal as a value, and the sizes that the parser keeps to.

Not an exception: the parser decides, the connection answers.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from fleet_agent.limits import Limits


class Refusal(NamedTuple):
    """Why what came is no acceptable request. The connection answers ``status`` and ends."""

    status: int
    what: str
    mend: str = ""


SPEAK_TLS: Final = Refusal(
    400,
    "this port speaks TLS, and the request came without",
    "say https:// and trust the fleet's CA, which `fleet-agent tls ca` prints",
)


class Sizes(NamedTuple):
    """Limits of one request's head and framing, in bytes and fields."""

    line: int  # request line without its line break
    fields: int  # all field lines together, with their line breaks
    most: int  # field lines
    extensions: int  # chunk extensions of one body together

    @classmethod
    def of(cls, limits: Limits) -> Sizes:
        """The sizes that ``limits`` says."""
        return cls(
            limits.whole("http_request_line_bytes"),
            limits.whole("http_header_bytes"),
            limits.whole("http_header_count"),
            limits.whole("http_chunk_extension_bytes"),
        )
