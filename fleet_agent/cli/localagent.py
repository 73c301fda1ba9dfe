"""Over which daemon a command speaks (its options), and how payloads are typed."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from fleet_agent.client import SOCKET_VARIABLE, Client
from fleet_agent.errors import ConfigError
from fleet_agent.httpd.believe import CA_VARIABLE


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare --socket, --url, --token-file and --as."""
    way = parser.add_mutually_exclusive_group()
    way.add_argument(
        "--socket",
        metavar="PATH",
        help=f"the daemon's Unix socket (default: {SOCKET_VARIABLE}, else this machine's only one)",
    )
    way.add_argument(
        "--url", metavar="URL", help="a daemon elsewhere, for example http://192.0.2.10:8646"
    )
    parser.add_argument(
        "--ca",
        metavar="FILE",
        help=f"whom to believe at an https URL (default: {CA_VARIABLE}, else the fleet's CA on a "
        "node of it; `fleet-agent tls ca` prints it)",
    )
    parser.add_argument("--token-file", metavar="FILE", help="a file with a bearer token")
    parser.add_argument("--as", dest="wizard", metavar="NAME", help="say this name as the sender")


def client(args: argparse.Namespace, patience: float = 10.0) -> Client:
    """The client that the options ask for."""
    token = None
    if args.token_file:
        token = read_text(args.token_file).strip()
    return Client(
        socket=args.socket, url=args.url, token=token, wizard=args.wizard, patience=patience,
        ca=args.ca,
    )  # fmt: skip


def read_text(path: str) -> str:
    """The text in a file that a person named. Raises ConfigError."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "no text"
        raise ConfigError(f"cannot be read: {why}", where=path) from error


def payload(text: str) -> Any:
    """What a person typed: JSON where it is JSON, else the text itself; ``-`` reads stdin."""
    if text == "-":
        text = sys.stdin.read()
    try:
        return json.loads(text)
    except ValueError:
        return text
