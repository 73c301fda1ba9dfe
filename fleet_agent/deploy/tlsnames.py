"""Whom a wizard's certificate is for: every name and address that its gateway has. Pure."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from fleet_agent.registry.schema import Registry, Wizard

_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


def wanted(registry: Registry) -> dict[str, tuple[str, ...]]:
    """The wizards that speak TLS, each with its names."""
    return {wizard.name: names_of(wizard) for wizard in registry if wizard.tls}


def names_of(wizard: Wizard) -> tuple[str, ...]:
    """Host, listen address and the host of its endpoint, each once, without interfaces (``%``).

    Where it listens on every address, or on loopback alone, also the names of loopback.
    """
    said = (wizard.host, wizard.listen.address, urlsplit(wizard.health_endpoint).hostname or "")
    found = dict.fromkeys(name.partition("%")[0] for name in said if name)
    names = [name for name in found if not is_wildcard(name)]
    if len(names) < len(found) or all(is_loopback(name) for name in names):
        names += [name for name in _LOOPBACK if name not in found]
    return tuple(names)


def is_address(name: str) -> bool:
    """Whether ``name`` is an IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_wildcard(name: str) -> bool:
    """Whether ``name`` stands for every address of a machine."""
    return is_address(name) and ipaddress.ip_address(name).is_unspecified


def is_loopback(name: str) -> bool:
    """Whether ``name`` is reached from its own machine alone."""
    return name == "localhost" or (is_address(name) and ipaddress.ip_address(name).is_loopback)
