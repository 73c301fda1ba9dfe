"""``fleet-agent bootstrap``: from bare machines to a running fleet in one command."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from fleet_agent.cli import access
from fleet_agent.cli.commands import status
from fleet_agent.cli.output import Output
from fleet_agent.errors import EXIT_OK, ConfigError
from fleet_agent.setup import forms, remembered, wheelhouse
from fleet_agent.setup.account import Account
from fleet_agent.setup.bootstrap import Ready, Wishes, bootstrap
from fleet_agent.setup.firstdeploy import first_deploy, runs_already
from fleet_agent.setup.fleetops import REGISTRY
from fleet_agent.setup.git import work_tree
from fleet_agent.setup.machines import orchestrator_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "directory",
        metavar="DIR",
        type=Path,
        nargs="?",
        default=Path(),
        help="the fleet-ops checkout (default: the current directory)",
    )
    parser.add_argument(
        "--repository",
        metavar="URL",
        default="",
        help="where the orchestrator fetches this repository from; written into fleet.yaml",
    )
    access.add_options(parser, "root")
    parser.add_argument(
        "--ansible-core",
        metavar="VERSION",
        default="",
        help="bring the orchestrator this ansible-core, for example 2.19 (default: the newest "
        "supported one for its Python)",
    )
    parser.add_argument(
        "--yes", action="store_true", help="take the host keys that are shown for the right ones"
    )
    parser.add_argument(
        "--no-deploy", action="store_true", help="prepare the machines, and deploy nothing yet"
    )


def run(args: argparse.Namespace, out: Output) -> int:
    """Prepare the machines, deploy this commit, show the fleet and what the forge must know."""
    wheels = wheelhouse.requirements_of(args.ansible_core)
    tree = work_tree(args.directory)
    way = access.access_of(args, tree)
    # Said in so many words, so that status and promote log in like this, too.
    way = replace(way, users={"": way.default_user, **way.users})
    remembered.remember(tree, way)
    account = Account(out.note if out.json else out.line)
    ready = bootstrap(
        Wishes(
            directory=args.directory,
            access=way,
            repository=args.repository,
            agree=lambda question: args.yes or _agreed(question),
            cache=wheelhouse.cache_directory(),
            wheels=wheels,
        ),
        account,
    )
    # The secret is shown once, so it is shown before a deploy that may fail.
    for line in _for_the_forge(ready):
        account.say(line)
    for note in ready.notes:
        account.say(f"Note: {note}")
    code = EXIT_OK if args.no_deploy else _deploy(ready, account, args, out)
    if out.json:
        out.value(_value(account, ready, code))
    return code


def _deploy(ready: Ready, account: Account, args: argparse.Namespace, out: Output) -> int:
    """The first deploy, and the fleet's state after it; the deploy's exit code."""
    if not account.changed and runs_already(ready):
        account.add(f"the fleet runs commit {ready.ground.commit[:12]}", (), ["all"])
        code = EXIT_OK
    else:
        account.say(f"\nThe first deploy: commit {ready.ground.commit[:12]}")
        out.flush()
        code = first_deploy(ready, quiet=out.json)
    if not out.json:
        args.registry = args.directory / REGISTRY
        out.line()
        status.show(status.from_here(args, args.registry), out)
    return code


def _agreed(question: str) -> bool:
    """Ask on the terminal. Raises ConfigError where there is none to ask on."""
    if not sys.stdin.isatty():
        raise ConfigError(
            "the host keys must be confirmed, and there is no terminal to ask on",
            mend="compare the fingerprints shown, then run it again with --yes",
        )
    sys.stdout.flush()
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _for_the_forge(ready: Ready) -> list[str]:
    """The forms. Where nothing is new for the forge, two lines that say where to see them again."""
    registry = ready.ground.registry
    first = orchestrator_of(ready.fleet)
    lines = [""]
    if not registry.deploy.repository:
        lines += [
            "No repository is named yet, so a pushed tag can't be fetched. When it has a home:",
            "  fleet-agent bootstrap --repository git@forge.example.org:ops/fleet-ops.git",
            "",
        ]
    return [
        *lines,
        *forms.deploy_key_form(ready.git_key, registry.fleet),
        "",
        *forms.webhook_form(
            first.host, registry.deploy.hook_port, registry.deploy.tag, ready.secret
        ),
    ]


def _value(account: Account, ready: Ready, code: int) -> dict[str, object]:
    registry = ready.ground.registry
    return {
        "changed": account.changed,
        "steps": [
            {"what": step.what, "changed": list(step.changed), "same": list(step.same)}
            for step in account.steps
        ],
        "commit": ready.ground.commit,
        "deploy_key": ready.git_key,
        "hook_url": forms.hook_url(orchestrator_of(ready.fleet).host, registry.deploy.hook_port),
        "notes": list(ready.notes),
        "exit": code,
    }
