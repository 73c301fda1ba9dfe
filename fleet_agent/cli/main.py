"""The command line's frame: finds the command, parses, runs it, writes errors out.

Not for what a command does (``cli/commands``). Imports little: ``fleet-agent serve`` starts here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from fleet_agent import __version__
from fleet_agent.cli import table
from fleet_agent.cli.output import Output, ReaderGone, error_lines, error_value
from fleet_agent.errors import EXIT_BUG, EXIT_OK, EXIT_USAGE, ConfigError, FleetError

if TYPE_CHECKING:
    import argparse
    from types import ModuleType

EXIT_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells say it
EXIT_READER_GONE: Final = 141  # 128 + SIGPIPE

EVERYWHERE: Final = "everywhere: --json (for programs), -v (more on stderr), --help"

# What people want first, above the groups.
_HEADINGS: Final = {
    "setup": "Start a fleet",
    "fleet": "Look at the fleet",
    "messages": "Speak over the bus",
    "deploys": "Deploy, and go back",
    "services": "What systemd starts",
}


class Line(NamedTuple):
    """The command line, sorted: the command, its own arguments, and what is for the frame."""

    command: str
    rest: tuple[str, ...]
    json: bool
    verbose: int
    wants: str  # "", "help" or "version": asked before a command was named


def entry() -> NoReturn:
    """The console script ``fleet-agent``."""
    sys.exit(main(sys.argv[1:]))


def main(argv: Sequence[str]) -> int:
    """Run one command line; the exit code. Writes to the process' own stdout and stderr."""
    line = sort(argv)
    out = Output.of_process(json=line.json, verbose=line.verbose)
    try:
        code = _run(line, out)
        out.flush()
    except ReaderGone:
        _forget_stdout()
        return EXIT_READER_GONE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except FleetError as error:
        return _tell(error, out)
    except Exception:  # noqa: BLE001 (the last rim: a bug is shown whole, and never looks like success)
        import traceback

        traceback.print_exc()
        return EXIT_BUG
    return code


def sort(argv: Sequence[str]) -> Line:
    """Tell the frame's own options from the command's. Nothing behind ``--`` is ours."""
    rest: list[str] = []
    json, verbose, wants = False, 0, ""
    for number, word in enumerate(argv):
        if word == "--":
            rest += argv[number:]
            break
        if word == "--json":
            json = True
        elif word in {"-v", "-vv", "--verbose"}:
            verbose += 2 if word == "-vv" else 1
        elif not rest and word in {"-h", "--help"}:
            wants = "help"
        elif not rest and word == "--version":
            wants = "version"
        else:
            rest.append(word)
    return Line(rest[0] if rest else "", tuple(rest[1:]), json, verbose, wants)


def help_text() -> str:
    """All commands, grouped by what people do; fits a screen and imports no command."""
    lines = ["usage: fleet-agent COMMAND ...", ""]
    width = max(len(row.name) for row in table.TABLE)
    for group in table.GROUPS:
        lines.append(f"{_HEADINGS[group]}:")
        lines += [
            f"  {row.name:<{width}}  {row.summary}" for row in table.TABLE if row.group == group
        ]
    return "\n".join([*lines, "", "fleet-agent COMMAND --help says more.", EVERYWHERE])


def _run(line: Line, out: Output) -> int:
    if line.wants == "version":
        out.value({"version": __version__}) if out.json else out.line(f"fleet-agent {__version__}")
        return EXIT_OK
    if line.wants == "help" or line.command == "help":
        Output(sys.stdout, sys.stderr).line(help_text())
        return EXIT_OK
    if not line.command:
        out.note(help_text())
        return EXIT_USAGE
    row = table.command(line.command)
    if row is None:
        raise _unknown(line.command)
    if line.verbose:
        import logging

        from fleet_agent.cli import logs

        logs.to_stderr(logging.DEBUG if line.verbose > 1 else logging.INFO)
    try:
        return _command(row, line, out)
    except ModuleNotFoundError as error:
        if error.name != "yaml":
            raise
        raise ConfigError(
            "PyYAML is not installed for this Python",
            where=sys.executable,
            mend="apt install python3-yaml, or pip install PyYAML",
        ) from None


def _command(row: table.Command, line: Line, out: Output) -> int:
    module = import_module(row.module)
    quick = getattr(module, "quick", None)
    if quick is not None:
        done: int | None = quick(line.rest, out)
        if done is not None:
            return done
    try:
        args = parser_of(row, module).parse_args(line.rest)
    except SystemExit as end:  # argparse has written its help (0) or its complaint (2)
        return int(end.code or EXIT_OK)
    code: int = module.run(args, out)
    return code


def parser_of(row: table.Command, module: ModuleType) -> argparse.ArgumentParser:
    """The argparse parser of a command (imports argparse, so only when one is needed)."""
    import argparse

    class Lines(argparse.HelpFormatter):
        """Fills a text line by line, so that a line break in it stays one."""

        def _fill_text(self, text: str, width: int, indent: str) -> str:
            fill = super()._fill_text
            return "\n".join(fill(line, width, indent) for line in text.splitlines())

    parser = argparse.ArgumentParser(
        prog=f"fleet-agent {row.name}",
        description=row.summary[0].upper() + row.summary[1:] + ".",
        formatter_class=Lines,
        allow_abbrev=False,
    )
    module.configure(parser)
    parser.epilog = f"{parser.epilog}\n{EVERYWHERE}" if parser.epilog else EVERYWHERE
    return parser


def _unknown(name: str) -> ConfigError:
    import difflib

    near = difflib.get_close_matches(name, [row.name for row in table.TABLE], 1, 0.5)
    mend = f"did you mean {near[0]!r}?" if near else "see fleet-agent --help"
    return ConfigError(f"there is no command {name!r}", mend=mend)


def _tell(error: FleetError, out: Output) -> int:
    try:
        for text in error_lines(error):
            out.note(text)
        if out.json:
            out.value(error_value(error))
        out.flush()
    except (ReaderGone, FleetError):
        _forget_stdout()  # nobody is left to tell; the exit code still says it
    return error.exit_code


def _forget_stdout() -> None:
    """Keep the interpreter from flushing into a closed pipe at its end (Python docs, signal)."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
