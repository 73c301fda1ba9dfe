"""From a URL to a connected socket within a deadline: name, addresses, TLS, or a Unix socket.

For ``client``. Not for what is said over the socket.
"""

from __future__ import annotations

import re
import socket
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fleet_agent.errors import ConfigError, NodeError
from fleet_agent.httpd.handshake import failure

if TYPE_CHECKING:
    import ssl

_URL: Final = re.compile(
    r"(?P<scheme>https?)://"
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._~-]+)?)\]|(?P<host>[A-Za-z0-9._-]+))"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<target>[/?][\x21\x24-\x7e]*)?",
    re.IGNORECASE,
)


class NoAnswer(NodeError):  # noqa: N818 (it reads as what happened)
    """Nothing answered: refused, unreachable, over its time, or gone in the middle."""

    retryable = True
    title = "no answer"


class Url(NamedTuple):
    """An http or https URL taken apart. ``host`` has no brackets."""

    tls: bool
    host: str
    port: int
    target: str

    @property
    def server_name(self) -> str:
        """Whom the other end's certificate must be for: a zone means nothing to it."""
        return self.host.partition("%")[0]

    @property
    def authority(self) -> str:
        """Host and port as the Host field has them."""
        host = self.server_name
        host = f"[{host}]" if ":" in host else host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def read_url(text: str) -> Url:
    """Take ``text`` apart. Raises ConfigError for what is no http or https URL."""
    found = _URL.fullmatch(text)
    if found is None:
        raise ConfigError("not an http or https URL", where=text[:200],
                          mend="http://HOST:PORT/PATH, IPv6 addresses in brackets")  # fmt: skip
    tls = found["scheme"].lower() == "https"
    port = int(found["port"] or (443 if tls else 80))
    if not 0 < port < 65536:
        raise ConfigError(f"{port} is no port", where=text[:200])
    target = found["target"] or "/"
    return Url(tls, found["six"] or found["host"], port,
               target if target.startswith("/") else f"/{target}")  # fmt: skip


class Deadline:
    """The end of the exchange. ``arm`` gives a socket the time that is left."""

    def __init__(self, seconds: float, where: str) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self.where = where

    def left(self) -> float:
        """Seconds left. Raises NoAnswer when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.over()
        return left

    def arm(self, connected: socket.socket) -> None:
        """Let the socket's next operation take no longer than what is left."""
        connected.settimeout(self.left())

    def over(self) -> NoAnswer:
        """The error that says that the time is over."""
        return NoAnswer(f"no answer within {self._seconds:g} s", where=self.where)


def connect(
    url: Url, unix_path: str | None, tls: ssl.SSLContext | None, deadline: Deadline
) -> socket.socket:
    """A connected socket. Raises OSError (TimeoutError among them) and NoAnswer."""
    if unix_path is not None:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        return _connected(made, unix_path, deadline.left())
    plain = _connect_tcp(url, deadline)
    if not url.tls:
        return plain
    import ssl  # only where it is spoken: 5 ms and 4 MiB

    try:
        deadline.arm(plain)
        context = tls or ssl.create_default_context()
        # A connection that ends without TLS's own end is cut off, not over.
        return context.wrap_socket(
            plain, server_hostname=url.server_name, suppress_ragged_eofs=False
        )
    except BaseException as error:
        plain.close()
        if isinstance(error, ssl.SSLError):
            raise failure(error, deadline.where) from error
        raise


def _connect_tcp(url: Url, deadline: Deadline) -> socket.socket:
    """Try each address of the host; each gets its share of the time that is left, so that one
    that swallows everything does not hide the next."""
    places = _places(url, deadline)
    for number, (family, _, _, _, place) in enumerate(places):
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            return _connected(made, place, deadline.left() / (len(places) - number))
        except OSError:
            if number == len(places) - 1:
                raise
    raise NoAnswer("the name has no address", where=deadline.where)


def _connected(made: socket.socket, place: Any, seconds: float) -> socket.socket:
    try:
        made.settimeout(seconds)
        made.connect(place)
        if made.family != socket.AF_UNIX:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        made.close()
        raise
    return made


def _places(url: Url, deadline: Deadline) -> list[Any]:
    """The host's addresses. A resolver knows no time limit (DNS out of order: 20 s and more), so
    a name is asked for beside, in a thread that may outlive us."""
    numeric = socket.AI_NUMERICHOST
    try:
        return list(socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM, flags=numeric))
    except socket.gaierror:
        pass  # a name, then
    import threading

    answer: list[list[Any] | OSError] = []

    def ask() -> None:
        try:
            answer.append(list(socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)))
        except OSError as error:
            answer.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(deadline.left())
    if not answer:
        raise NoAnswer(f"the name {url.host} was not resolved in time", where=deadline.where)
    if isinstance(answer[0], OSError):
        raise answer[0]
    return answer[0]
