"""Questions to a registry."""

from __future__ import annotations

from fleet_agent.registry.schema import Registry, Wizard


def find(registry: Registry, capability: str) -> tuple[Wizard, ...]:
    """The wizards that declare ``capability``, in the registry's order."""
    return tuple(wizard for wizard in registry.wizards if capability in wizard.capabilities)


def subscribers(registry: Registry, topic: str) -> tuple[Wizard, ...]:
    """The wizards that subscribed to ``topic``, in the registry's order."""
    return tuple(wizard for wizard in registry.wizards if topic in wizard.subscriptions)
