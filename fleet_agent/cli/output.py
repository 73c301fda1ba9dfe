"""What a command writes: text or JSON to stdout, remarks to stderr, colour where a person looks.

Not for log lines (``logging``) and not for errors (``cli.main`` writes those).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TextIO

from fleet_agent.errors import FleetError

_COLOURS: Final = {"red": "31", "green": "32", "yellow": "33", "dim": "2", "bold": "1"}


class OutputError(FleetError):
    """What a command wrote could not be written (a full disk)."""

    title = "output could not be written"


class ReaderGone(Exception):  # noqa: N818 (it reads as what happened)
    """Whoever read our output closed it (``| head``): nothing is wrong."""


class Output:
    """Where a command's words go. ``json``: a program reads stdout, so no text goes there."""

    def __init__(
        self,
        stdout: TextIO | None,
        stderr: TextIO | None,
        *,
        json: bool = False,
        verbose: int = 0,
        colour: bool | None = None,
    ) -> None:
        self._stdout = stdout
        self._stderr = stderr
        self.json = json
        self.verbose = verbose
        self.is_terminal = stdout is not None and stdout.isatty()
        self._colour = self.is_terminal and not json if colour is None else colour

    @classmethod
    def of_process(cls, *, json: bool = False, verbose: int = 0) -> Output:
        """The process' own streams; colour on a terminal, unless NO_COLOR or TERM=dumb say no."""
        for stream in (sys.stdout, sys.stderr):
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure is not None:  # a terminal without UTF-8 must not end a command
                reconfigure(errors="backslashreplace")
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        return cls(
            sys.stdout, sys.stderr, json=json, verbose=verbose, colour=False if plain else None
        )

    def line(self, text: str = "") -> None:
        """A line for people on stdout; nothing under ``--json``."""
        if not self.json:
            self._write(self._stdout, text + "\n")

    def value(self, value: object) -> None:
        """``value`` as JSON on stdout, one object (indented for a person's eyes on a terminal)."""
        import json

        indent = 2 if self.is_terminal else None
        text = json.dumps(value, indent=indent, ensure_ascii=False)
        if not text.isascii() or "\x7f" in text:
            # JSON escapes the controls of ASCII alone; others steer a terminal, too.
            text = "".join(char if char.isprintable() or char == "\n" else _escaped(char)
                           for char in text)  # fmt: skip
        self._write(self._stdout, text + "\n")

    def note(self, text: str) -> None:
        """A remark on stderr, for people, also under ``--json``."""
        self._write(self._stderr, text + "\n")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Columns as wide as their widest cell. Colours inside of cells don't count as width."""
        cells = [tuple(head), *(tuple(row) for row in rows)]
        widths = [max(_width(row[i]) for row in cells) for i in range(len(head))]
        for number, row in enumerate(cells):
            padded = "  ".join(
                cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
            ).rstrip()
            self.line(self.paint("bold", padded) if number == 0 else padded)

    def paint(self, colour: str, text: str) -> str:
        """``text`` in a colour of _COLOURS where a person looks, else as it is."""
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self._colour else text

    def health(self, status: str) -> str:
        """A health or deploy word in its colour: what is well green, what is not red."""
        colours = {"pass": "green", "verified": "green", "ok": "green", "warn": "yellow"}
        colours |= {"fail": "red", "failed": "red", "rolled_back": "red"}
        return self.paint(colours[status], status) if status in colours else status

    def flush(self) -> None:
        """Push out what is written. Raises ReaderGone or OutputError."""
        for stream in (self._stdout, self._stderr):
            if stream is not None:
                _guarded(stream.flush)

    def _write(self, stream: TextIO | None, text: str) -> None:
        if stream is None:  # started with the stream closed (>&-)
            return
        _guarded(lambda: stream.write(text))
        if stream is self._stderr or self.is_terminal:
            _guarded(stream.flush)


def printable(text: str) -> str:
    """``text`` from elsewhere (a node, a commit) without what would steer a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _escaped(char: str) -> str:
    """A character as JSON writes it in ASCII."""
    import json

    return json.dumps(char)[1:-1]


def error_lines(error: FleetError) -> list[str]:
    """An error as people read it: what, every single mistake if it is made of some, where, mend."""
    lines = [f"fleet-agent: {error.what}"]
    lines += [f"  {mistake}" for mistake in getattr(error, "mistakes", ())]
    if error.where:
        lines.append(f"  where: {error.where}")
    if error.mend:
        lines.append(f"  mend: {error.mend}")
    # Some of it may be the words of a node, a forge or a commit.
    return [printable(line) for text in lines for line in text.expandtabs().split("\n")]


def error_value(error: FleetError) -> Mapping[str, object]:
    """An error as programs read it (``--json``)."""
    said: dict[str, object] = {"what": error.what, "where": error.where, "mend": error.mend}
    mistakes = getattr(error, "mistakes", ())
    if mistakes:
        said["mistakes"] = [mistake._asdict() for mistake in mistakes]
    return {"error": said}


def _guarded(action: Callable[[], object]) -> None:
    try:
        action()
    except BrokenPipeError:
        raise ReaderGone from None
    except OSError as error:
        raise OutputError(f"could not write the output: {error.strerror}") from error


def _width(cell: str) -> int:
    """Columns that a cell takes on a terminal, without escape sequences."""
    width, steering = 0, False
    for char in cell:
        if char == "\x1b":
            steering = True
        elif steering:
            steering = char != "m"
        else:
            width += 1
    return width
