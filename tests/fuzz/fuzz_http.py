"""The HTTP parser and server under hostile bytes. What must hold for every input:

1. the parser raises nothing and takes no longer than ``HANG_SECONDS``;
2. it gives no byte that it was not given;
3. however the bytes are cut on their way, it gives the same requests and the same refusal;
4. nothing comes after a refusal, and a refusal has a status from 400 to 599;
5. a request that it gave, written out plainly and read again, is the same request;
6. the server answers in well-formed answers or closes, and then still answers others.

An input that breaks one is stored under tests/corpus/http/found, where a test repeats it for ever.
`python -m tests.fuzz.fuzz_http --seconds N` is guided by coverage where atheris can be imported.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.util
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType

from fleet_agent.httpd.parse import Head
from fleet_agent.httpd.reader import Arrived, Reader
from fleet_agent.httpd.refusal import Refusal, Sizes
from fleet_agent.limits import Limits
from tests.socket.httpd.corpus import OWN, SHARED, unescape
from tests.socket.httpd.running import Running

HANG_SECONDS = 5.0
# One input in so many goes to the server too; a connection costs as much as dozens of parses.
SOCKET_EVERY = 25
LONGEST = 20_000

USUAL_SIZES = Sizes.of(Limits())
# Small ones, so that limits are reached by small inputs too.
NARROW_SIZES = Sizes(line=60, fields=200, most=6, extensions=20)
# For a second reading: writing out adds a field.
WIDE_SIZES = Sizes(line=1 << 20, fields=1 << 20, most=1 << 20, extensions=0)
BODY_LIMIT = 4096

WORDS = [
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b";",
    b"%",
    b"%00",
    b"%2f",
    b"\xff",
    b"GET / HTTP/1.1\r\n",
    b"POST /echo HTTP/1.1\r\n",
    b"HEAD /health HTTP/1.1\r\n",
    b"Host: a\r\n",
    b" HTTP/1.0",
    b"http://a",
    b"*",
    b"OPTIONS",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 4096\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Expect: 100-continue\r\n",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"5;a=b\r\nhello\r\n",
    b"fff\r\n",
    b"ffffffffffffffff\r\n",
    b"X-Sum: 1\r\n",
    b"hello",
    b"x" * 100,
    b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
]


class Broken(Exception):
    """An invariant does not hold."""


def read(pieces: Iterable[bytes], sizes: Sizes) -> list[Arrived | Refusal]:
    """Everything that a reader makes of the pieces."""
    reader = Reader(sizes, lambda head: BODY_LIMIT)
    made: list[Arrived | Refusal] = []
    for piece in pieces:
        reader.feed(piece)
        while (one := reader.next()) is not None:
            made.append(one)
    return made


def check_parser(data: bytes, cuts: random.Random) -> None:
    """Invariants 1 to 5. Raises Broken, or whatever the parser raises."""
    for sizes in (USUAL_SIZES, NARROW_SIZES):
        made = read([data], sizes)
        requests = [one for one in made if isinstance(one, Arrived)]
        if sum(one.head.size + len(one.body) for one in requests) > len(data):
            raise Broken("more bytes came out than went in")
        for one in made[:-1]:
            if isinstance(one, Refusal):
                raise Broken("something came after a refusal")
        if made and isinstance(made[-1], Refusal) and not 400 <= made[-1].status < 600:
            raise Broken(f"a refusal with status {made[-1].status}")
        if read(pieces(data, cuts), sizes) != made:
            raise Broken("cut elsewhere it means something else")
        for one in requests:
            again = read([plainly(one)], WIDE_SIZES)
            if [same(one)] != [same(other) for other in again if isinstance(other, Arrived)]:
                raise Broken("written out plainly it means something else")


def pieces(data: bytes, cuts: random.Random) -> list[bytes]:
    """``data`` cut at random: byte by byte, in few pieces or in many."""
    if len(data) < 400 and cuts.random() < 0.2:
        return [data[at : at + 1] for at in range(len(data))]
    places = sorted(cuts.randrange(len(data) + 1) for _ in range(cuts.choice((1, 2, 5, 20))))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True) if a < b]


def plainly(one: Arrived) -> bytes:
    """The request in the plainest words: its own head, its body with a length."""
    framing = ("content-length", "transfer-encoding", "expect")
    fields = [f"{name}: {value}\r\n" for name, value in one.head.headers if name not in framing]
    head = f"{one.head.method} {one.head.target} HTTP/1.{one.head.minor}\r\n{''.join(fields)}"
    return f"{head}Content-Length: {len(one.body)}\r\n\r\n".encode("latin-1") + one.body


def same(one: Arrived) -> tuple[object, ...]:
    """What of a request must not change by being written out."""
    head: Head = one.head
    return (head.method, head.path, head.query, head.keep_alive, head.headers.get("host"), one.body)


def check_server(running: Running, data: bytes) -> None:
    """Invariant 6."""
    with running.connect() as peer:
        peer.socket.settimeout(HANG_SECONDS)
        peer.send(data)
        peer.end()
        heads = b"HEAD " in data  # then which answers have no body is a parser's question
        if heads:
            while peer.socket.recv(65536):
                pass
        else:
            peer.rest()
    if running.get().status != 200:
        raise Broken("the server does not answer others any more")


def seeds() -> list[bytes]:
    """Every request of every corpus."""
    files = [*sorted(OWN.glob("*.http")), *sorted(SHARED.glob("*/*.http"))]
    found = [path.read_bytes() for path in sorted(OWN.glob("found/*"))]
    return [*(unescape(path.read_bytes())[:LONGEST] for path in files), *found]


def mutated(pool: list[bytes], chance: random.Random) -> bytes:
    """A seed, changed in a few places."""
    data = bytearray(chance.choice(pool))
    for _ in range(chance.choice((1, 1, 2, 3, 6))):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.choice((1, 2, 8, 40)))
        match chance.randrange(7):
            case 0:
                data[at:at] = chance.choice(WORDS)
            case 1:
                data[at:end] = chance.choice(WORDS)
            case 2:
                del data[at:end]
            case 3:
                data[at:at] = data[at:end] * chance.choice((1, 2, 30))
            case 4 if at < len(data):
                data[at] = chance.choice((0, 9, 10, 13, 32, 127, 128, 255, chance.randrange(256)))
            case 5:
                other = chance.choice(pool)
                data[at:] = other[chance.randrange(len(other) + 1) :]
            case _:
                data = data[:at]
    return bytes(data[:LONGEST])


@contextmanager
def no_hang() -> Iterator[None]:
    """Raise Broken in here after HANG_SECONDS."""

    def over(number: int, frame: object) -> None:
        raise Broken(f"it took longer than {HANG_SECONDS:g} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def store(data: bytes) -> Path:
    """Keep an input that broke an invariant."""
    path = OWN / "found" / f"{hashlib.sha256(data).hexdigest()[:16]}.bin"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


def one(running: Running, data: bytes, cuts: random.Random, with_server: bool) -> None:
    """One execution. An input that breaks something is stored and named."""
    try:
        with no_hang():
            check_parser(data, cuts)
        if with_server:
            check_server(running, data)
    except Exception as error:
        raise Broken(f"{type(error).__name__}: {error}; the input is {store(data)}") from error


def fuzz(seconds: float, seed: int) -> int:
    """Mutate the corpus at random for ``seconds``; how many inputs were tried."""
    chance = random.Random(seed)
    pool = seeds()
    count = 0
    end = time.monotonic() + seconds
    with Running() as running:
        while time.monotonic() < end:
            one(running, mutated(pool, chance), chance, count % SOCKET_EVERY == 0)
            count += 1
    return count


def parser_functions() -> list[FunctionType]:
    """The functions and methods that make up the parser."""
    found: list[FunctionType] = []
    for name in ("parse", "fields", "target", "chunked", "reader"):
        module = importlib.import_module(f"fleet_agent.httpd.{name}")
        for value in vars(module).values():
            members = vars(value).values() if isinstance(value, type) else [value]
            found += [
                one
                for one in members
                if isinstance(one, FunctionType) and one.__module__ == module.__name__
            ]
    return found


def guided(seconds: float, seed: int) -> int:
    """The same, guided by coverage: atheris keeps what reaches new code. Ends the process."""
    atheris = importlib.import_module("atheris")
    for function in parser_functions():
        atheris.instrument_func(function)
    chance = random.Random(seed)
    count = 0
    with tempfile.TemporaryDirectory() as folder, Running() as running:
        for number, data in enumerate(seeds()):
            Path(folder, str(number)).write_bytes(data)

        def execute(data: bytes) -> None:
            nonlocal count
            try:
                one(running, data, chance, count % SOCKET_EVERY == 0)
            except Broken as broken:
                leave(1, f"http: BROKEN, seed {seed}: {broken}")
            count += 1
            if time.monotonic() >= end:
                leave(0, f"http: {count} executions in {seconds:g} s (guided), seed {seed}")

        def leave(code: int, words: str) -> None:
            # Fuzz never returns, and libFuzzer has exit codes of its own.
            print(words, flush=True)
            shutil.rmtree(folder)
            os._exit(code)

        end = time.monotonic() + seconds
        atheris.Setup(
            [
                sys.argv[0],
                f"-seed={seed}",
                f"-max_len={LONGEST}",
                "-timeout=60",
                "-verbosity=0",
                folder,
            ],
            execute,
        )
        atheris.Fuzz()
    return count


def main() -> int:
    """Run by itself: 0 when nothing broke, 1 when something did."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)))
    parser.add_argument("--plain", action="store_true", help="not guided by coverage")
    asked = parser.parse_args()
    is_there = importlib.util.find_spec("atheris") is not None
    try:
        count = (guided if is_there and not asked.plain else fuzz)(asked.seconds, asked.seed)
    except Broken as broken:
        print(f"http: BROKEN, seed {asked.seed}: {broken}", flush=True)
        return 1
    print(f"http: {count} executions in {asked.seconds:g} s, seed {asked.seed}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
