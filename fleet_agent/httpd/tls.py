"""TLS on one connection: bytes of the wire in, plain bytes out, and the other way. No sockets.

An engine in memory: whoever owns the socket keeps reading, writing and deadlines. Importing this
costs 5 ms and 4 MiB (``ssl``), so it is imported where TLS is spoken, and nowhere else.
"""

from __future__ import annotations

import contextlib
import ssl
from typing import Final, cast

from fleet_agent.httpd.handshake import explain

# What a TLS connection begins with: a record of type handshake.
_HANDSHAKE: Final = 0x16
# Record header and alert "fatal, internal error" (RFC 8446 section 6): needs no engine to say.
_NOT_NOW: Final = bytes((0x15, 3, 3, 0, 2, 2, 80))
# What an engine is given and asked for at once: its buffers never shrink, and connections are kept.
_PIECE_BYTES: Final = 16 * 1024
# For TLS 1.2; those of 1.3 are all good. Forward secrecy and authenticated encryption only.
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"


def server_context(file: str) -> ssl.SSLContext:
    """What a server offers: TLS 1.2 and newer with key and certificate of the PEM ``file``.

    Raises OSError (ssl.SSLError among them) for a file that holds no such pair.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    # Nothing is resumed: connections are kept, and there are no ticket keys to lose.
    context.options |= ssl.OP_NO_TICKET | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 0
    context.load_cert_chain(file)
    return context


def client_context(authorities: str | None) -> ssl.SSLContext:
    """What a client asks for. ``authorities``: PEM certificates of those that it believes, and
    nobody else; None: those of the operating system. Raises ssl.SSLError where there is none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context)
    if authorities is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(cadata=authorities)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])


class Secured:
    """One end of one connection.

    What ``replies`` gives is to be sent after each call, also when ``broken`` says why it can't go
    on. ``plain`` is set instead where a client spoke to the server without TLS: the bytes that
    ``feed`` then gives back are what it said.
    """

    __slots__ = ("_engine", "_in", "_out", "broken", "ended", "open", "plain")

    def __init__(self, context: ssl.SSLContext | None, *, name: str | None = None) -> None:
        """A server's end, or with ``name`` (whom the certificate must be for) a client's.

        ``context`` None: a server without a certificate yet, which says so to everybody.
        """
        self.open = False  # the handshake is done
        self.ended = False  # the other end has said that it ends
        self.broken = ""
        self.plain = False
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._engine: ssl.SSLObject | ssl.SSLContext | None = context
        if name is not None and context is not None:
            self._engine = context.wrap_bio(self._in, self._out, server_hostname=name)

    def feed(self, data: bytes) -> bytes:
        """The plain bytes in ``data``, which came over the wire; a client begins with none."""
        engine = self._engine
        if not isinstance(engine, ssl.SSLObject):
            if data[:1] != bytes((_HANDSHAKE,)):
                self.plain = True
                return data
            if engine is None:
                self._out.write(_NOT_NOW)
                self.broken = "there is no certificate yet"
                return b""
            # Only now: those who connect and say nothing cost nothing.
            engine = engine.wrap_bio(self._in, self._out, server_side=True)
            self._engine = engine
        parts: list[bytes] = []
        at = 0
        while True:
            self._in.write(data[at : at + _PIECE_BYTES] if len(data) > _PIECE_BYTES else data)
            at += _PIECE_BYTES
            self._take(engine, parts)
            if at >= len(data) or self.broken or self.ended:
                return parts[0] if len(parts) == 1 else b"".join(parts)

    def _take(self, engine: ssl.SSLObject, parts: list[bytes]) -> None:
        """All that is there. What is left inside would not be seen: the socket has it no more."""
        try:
            if not self.open:
                engine.do_handshake()
                self.open = True
            while part := engine.read(_PIECE_BYTES):
                parts.append(part)
            self.ended = True
        except ssl.SSLWantReadError:
            return  # all of it
        except ssl.SSLZeroReturnError:
            self.ended = True
        except ssl.SSLError as error:
            self.broken = explain(error)

    def replies(self) -> bytes:
        """What TLS itself has to say: handshake, key updates, alerts."""
        return self._out.read() if self._out.pending else b""

    def seal(self, data: bytes) -> bytes:
        """The bytes for the wire that carry ``data``, behind whatever ``replies`` would give."""
        engine = cast("ssl.SSLObject", self._engine)  # an open one has it
        if len(data) <= _PIECE_BYTES:
            engine.write(data)
            return self._out.read()
        parts = []
        view = memoryview(data)
        while view:
            view = view[engine.write(view[:_PIECE_BYTES]) :]
            parts.append(self._out.read())
        return b"".join(parts)

    def goodbye(self) -> bytes:
        """The last bytes to send: that nothing more will come (close_notify)."""
        if isinstance(self._engine, ssl.SSLObject) and self.open and not self.broken:
            with contextlib.suppress(ssl.SSLError):  # it waits for the other's word, we don't
                self._engine.unwrap()
        return self.replies()
