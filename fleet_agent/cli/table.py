"""The commands as data: name, module, group, summary. No command is imported here.

A command's module, ``cli/commands/NAME.py`` (dashes become underscores), has
``configure(parser: argparse.ArgumentParser) -> None`` and
``run(args: argparse.Namespace, out: Output) -> int``. It may also have
``quick(argv: Sequence[str], out: Output) -> int | None``, asked first and without argparse: for a
command whose start-up time matters; None leaves the work to ``configure`` and ``run``.
``--json`` and ``-v`` belong to every command and never reach its parser.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple


class Command(NamedTuple):
    """One command: what is typed, where it lives, under which heading, what it does."""

    name: str
    module: str
    group: str
    summary: str


# Headings by what people want to do, in the order in which they come to want it.
GROUPS: Final = ("setup", "fleet", "messages", "deploys", "services")


def _commands(rows: Iterable[tuple[str, str, str]]) -> tuple[Command, ...]:
    home = "fleet_agent.cli.commands."
    return tuple(
        Command(name, home + name.replace("-", "_"), group, summary)
        for group, name, summary in rows
    )


TABLE: Final = _commands(
    (
        ("setup", "init", "make a fleet-ops repository that deploys as it is"),
        ("setup", "bootstrap", "take bare machines to a running fleet"),
        ("setup", "promote", "move the PROD tag, push it and follow the deploy"),
        ("setup", "hook", "what to fill into the forge's webhook form; test a delivery"),
        ("fleet", "registry", "check fleet.yaml: every mistake, with its mend"),
        ("fleet", "find", "which wizards have a capability"),
        ("fleet", "status", "ssh, health and release of every wizard, at a glance"),
        ("fleet", "inventory", "the registry as a dynamic Ansible inventory"),
        ("fleet", "ansible-env", "the environment for running ansible-playbook by hand"),
        ("messages", "send", "send a message to a wizard, to all, or by capability"),
        ("messages", "ask", "send a request and wait for the response"),
        ("messages", "inbox", "take the messages that came in, each by lease"),
        ("messages", "ack", "say that a message is handled"),
        ("messages", "nack", "give a message back, to be handed out again"),
        ("messages", "message", "the whole life of a message, on both sides"),
        ("messages", "dead-letters", "what was not delivered, or not handled: list, retry, drop"),
        ("deploys", "deploy", "deploy now, or show with --check what would change"),
        ("deploys", "deploys", "list, show or follow deploys"),
        ("deploys", "rollback", "return the fleet to the previous verified release"),
        ("deploys", "keys", "show or rotate the keys with which wizards sign"),
        ("deploys", "tls", "the fleet's CA and certificates: print, show, rotate"),
        ("deploys", "token", "bearer tokens for people and scripts: create, list, revoke"),
        ("services", "serve", "run a wizard's daemon (systemd does)"),
        ("services", "exec-runner", "run a wizard's handlers for its daemon (systemd does)"),
        ("services", "deploy-service", "work the deploy queue (systemd does)"),
    )
)


def command(name: str) -> Command | None:
    """The command called ``name``, if there is one."""
    return next((row for row in TABLE if row.name == name), None)
