"""``fleet-agent find CAPABILITY``: which wizards have it, from fleet.yaml or a node's registry."""

from __future__ import annotations

import argparse

from fleet_agent.cli.output import Output
from fleet_agent.errors import EXIT_OK, EXIT_SOMETHING_NOT_WELL
from fleet_agent.registry.lookup import find
from fleet_agent.registry.schema import Registry
from fleet_agent.registry.source import choose, open_registry


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print the wizards with a capability. Exit code 0, or 10 if none has it."
    parser.add_argument("capability", metavar="CAPABILITY")
    parser.add_argument(
        "--registry", metavar="FILE", help="default: ./fleet.yaml, on a node its own registry"
    )


def run(args: argparse.Namespace, out: Output) -> int:
    registry = open_registry(choose(args.registry))
    found = find(registry, args.capability)
    if out.json:
        from fleet_agent.registry.compiled import public_entry

        out.value(
            {
                "capability": args.capability,
                "wizards": [public_entry(wizard) for wizard in found],
            }
        )
    elif found:
        rows = [(wizard.name, wizard.host, wizard.role.value, wizard.model) for wizard in found]
        out.table(("WIZARD", "HOST", "ROLE", "MODEL"), rows)
    else:
        out.note(_nobody(registry, args.capability))
    return EXIT_OK if found else EXIT_SOMETHING_NOT_WELL


def _nobody(registry: Registry, capability: str) -> str:
    import difflib

    known = {name for wizard in registry.wizards for name in wizard.capabilities}
    near = difflib.get_close_matches(capability[:64], sorted(known), 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"no wizard has the capability {capability!r}{hint}"
