"""``fleet-agent registry check``: every mistake of fleet.yaml with its mend, in one run."""

from __future__ import annotations

import argparse

from fleet_agent.cli.output import Output
from fleet_agent.errors import EXIT_OK
from fleet_agent.registry.schema import Registry
from fleet_agent.registry.source import choose, open_registry
from fleet_agent.yamlfile.mistakes import Mistake, MistakesError


def configure(parser: argparse.ArgumentParser) -> None:
    nouns = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    check = nouns.add_parser(
        "check",
        help="check fleet.yaml; exit code 0, or 2 with mistakes",
        description="Check a registry: every mistake with file, line, key and its mend.",
    )
    check.add_argument(
        "file", nargs="?", help="fleet.yaml or the folder it lies in (default: ./fleet.yaml)"
    )


def run(args: argparse.Namespace, out: Output) -> int:
    path = choose(args.file)
    try:
        registry = open_registry(path, sources=True)
    except MistakesError as error:
        if out.json:
            out.value({"ok": False, "file": path, "mistakes": [_value(m) for m in error.mistakes]})
            return error.exit_code
        for mistake in error.mistakes:
            out.line(str(mistake))
        out.note(f"fleet-agent: {error.what}")
        return error.exit_code
    if out.json:
        out.value({"ok": True, "file": path, "mistakes": [], **_seen(registry)})
    else:
        out.line(f"{path} is well: {_sentence(registry)}")
    return EXIT_OK


def _value(mistake: Mistake) -> dict[str, object]:
    return mistake._asdict()


def _seen(registry: Registry) -> dict[str, object]:
    return {
        "fleet": registry.fleet,
        "wizards": len(registry.wizards),
        "nodes": len(registry.nodes),
        "orchestrator": registry.orchestrator.name,
    }


def _sentence(registry: Registry) -> str:
    wizards, nodes = len(registry.wizards), len(registry.nodes)
    orchestrator = registry.orchestrator
    return (
        f"{wizards} wizard{'s' * (wizards != 1)} on {nodes} node{'s' * (nodes != 1)}, "
        f"orchestrator {orchestrator.name} on {orchestrator.host}"
    )
