"""The registry as JSON, for machines: what the operator's side checked, nodes only read.

No YAML, no checks. Without secrets by construction: the registry has no key that may hold one.
Readers ignore what they don't know and fill in what is missing, since old and new ones meet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from fleet_agent.errors import ConfigError
from fleet_agent.registry.schema import (
    DeployRules,
    FileSpec,
    Handler,
    Listen,
    Registry,
    Runtime,
    Soul,
    Ssh,
    Tool,
    Wizard,
)
from fleet_agent.registry.uncollected import Uncollected
from fleet_agent.wire import Role

VERSION: Final = 1
# What every wizard may know of every other one.
PUBLIC_KEYS: Final = (
    "name", "host", "role", "region", "model", "health_endpoint", "listen", "capabilities",
    "subscriptions", "tls",
)  # fmt: skip

_ROLES: Final[Mapping[str, Role]] = {role.value: role for role in Role}


def compile(registry: Registry) -> dict[str, Any]:
    """The whole registry as a JSON value; ``read`` gives an equal registry back."""
    return {
        "v": VERSION,
        "fleet": registry.fleet,
        "unsigned": registry.unsigned,
        "deploy": {**registry.deploy._asdict(), "limits": dict(registry.deploy.limits)},
        "wizards": [entry(wizard) for wizard in registry.wizards],
    }


def entry(wizard: Wizard) -> dict[str, Any]:
    """One wizard as a JSON value: the simple keys always, the others where they are said."""
    found: dict[str, Any] = {
        "name": wizard.name,
        "host": wizard.host,
        "role": wizard.role.value,
        "region": wizard.region,
        "model": wizard.model,
        "health_endpoint": wizard.health_endpoint,
        "listen": wizard.listen._asdict(),
        "capabilities": list(wizard.capabilities),
        "user": wizard.user,
        "ssh": wizard.ssh._asdict(),
    }
    if wizard.subscriptions:
        found["subscriptions"] = list(wizard.subscriptions)
    if wizard.soul is not None:
        found["soul"] = wizard.soul._asdict()
    if wizard.files:
        found["files"] = [file._asdict() for file in wizard.files]
    if wizard.state:
        found["state"] = list(wizard.state)
    if wizard.runtime is not None:
        runtime = wizard.runtime
        found["runtime"] = {**runtime._asdict(), "command": _listed(runtime.command)}
    if wizard.handlers:
        found["handlers"] = {
            kind: {"exec": _listed(handler.exec), "http": handler.http}
            for kind, handler in wizard.handlers.items()
        }
    if wizard.tools:
        found["tools"] = {
            name: {**tool._asdict(), "exec": list(tool.exec)} for name, tool in wizard.tools.items()
        }
    if wizard.probes:
        found["probes"] = {name: dict(probe) for name, probe in wizard.probes.items()}
    if wizard.settings:
        found["settings"] = dict(wizard.settings)
    if wizard.tls:
        found["tls"] = True
    return found


def public(compiled: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a compiled registry that every node and peer may have."""
    return {
        "v": compiled["v"],
        "fleet": compiled["fleet"],
        "unsigned": compiled["unsigned"],
        "wizards": [
            {key: wizard[key] for key in PUBLIC_KEYS if key in wizard}
            for wizard in compiled["wizards"]
        ],
    }


def public_entry(wizard: Wizard) -> dict[str, Any]:
    """What every node and peer may know of one wizard."""
    whole = entry(wizard)
    return {key: whole[key] for key in PUBLIC_KEYS if key in whole}


def load(path: str) -> dict[str, Any]:
    """What ``compile`` or ``public`` made, from the file ``path``. Raises ConfigError."""
    try:
        with open(path, "rb") as source:
            data = json.load(source)
    except OSError as error:
        raise ConfigError(f"could not be read: {error.strerror}", where=path) from error
    except ValueError as error:
        raise ConfigError(f"is not JSON: {error}", where=path) from error
    if not isinstance(data, dict):
        raise ConfigError("is no compiled registry", where=path)
    return data


def read(data: Mapping[str, Any]) -> Registry:
    """The registry in what ``compile`` or ``public`` made.

    Raises ConfigError when it is something else, or of a version that only newer code reads.
    """
    try:
        with Uncollected():
            return _registry(data)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"not a compiled registry: {type(error).__name__} {error}",
            mend="deploy anew: the pipeline writes it",
        ) from error


def _registry(data: Mapping[str, Any]) -> Registry:
    if data["v"] != VERSION:
        raise ConfigError(f"a compiled registry of version {data['v']!r}, {VERSION} is known")
    deploy = data.get("deploy")
    return Registry(
        fleet=data["fleet"],
        wizards=tuple([_wizard(item) for item in data["wizards"]]),
        deploy=DeployRules() if deploy is None else _deploy(deploy),
        unsigned=data["unsigned"],
    )


def _wizard(item: Mapping[str, Any]) -> Wizard:
    get = item.get
    name, listen = item["name"], item["listen"]
    ssh, soul, runtime = get("ssh"), get("soul"), get("runtime")
    return Wizard(
        name,
        item["host"],
        _ROLES[item["role"]],
        item["region"],
        item["model"],
        item["health_endpoint"],
        Listen(listen["address"], listen["port"]),
        tuple(item["capabilities"]),
        get("user", name),
        None if soul is None else Soul(soul["file"], soul["place"]),
        tuple([_file(file) for file in get("files", ())]),
        tuple(get("state", ())),
        None if runtime is None else _runtime(runtime),
        {kind: _handler(handler) for kind, handler in get("handlers", {}).items()},
        {tool: _tool(said) for tool, said in get("tools", {}).items()},
        get("probes", {}),
        Ssh() if ssh is None else Ssh(ssh["user"], ssh["port"], ssh["proxy_jump"]),
        get("settings", {}),
        tuple(get("subscriptions", ())),
        get("tls", False),
    )


def _file(item: Mapping[str, Any]) -> FileSpec:
    return FileSpec(item["source"], item["place"], item["mode"], item["secret"])


def _runtime(item: Mapping[str, Any]) -> Runtime:
    return Runtime(_tupled(item["command"]), item["unit"], item["scope"])


def _handler(item: Mapping[str, Any]) -> Handler:
    return Handler(_tupled(item["exec"]), item["http"])


def _tool(item: Mapping[str, Any]) -> Tool:
    return Tool(tuple(item["exec"]), item["cwd"], item["timeout"], item["input"])


def _deploy(item: Mapping[str, Any]) -> DeployRules:
    return DeployRules(
        item["repository"], item["tag"], item["branch"], item["hook_port"], item["limits"]
    )


def _listed(words: tuple[str, ...] | None) -> list[str] | None:
    return None if words is None else list(words)


def _tupled(words: list[str] | None) -> tuple[str, ...] | None:
    return None if words is None else tuple(words)
