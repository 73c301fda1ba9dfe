"""A daemon's settings: read from a release (JSON) or, outside a fleet, from a file (YAML).

Strict, since a misspelt setting that is ignored is worse than a daemon that does not start.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from fleet_agent.errors import ConfigError
from fleet_agent.limits import Limits
from fleet_agent.registry.schema import HANDLER_KEYS, Handler
from fleet_agent.services.wrongs import Object, Wrong
from fleet_agent.wire import GATEWAY_PORT, HOOK_PORT, MessageType, Role

VERSION: Final = 1
_KEYS: Final = (
    "v", "fleet", "wizard", "role", "listen", "tls", "hook", "unsigned", "soul", "handlers",
    "limits",
    "state_dir", "run_dir", "keys_dir", "deploy_socket", "registry",
)  # fmt: skip
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,28}\Z")
_NAME_MEND: Final = "a-z, then a-z, 0-9 and -, 29 at most"
_LOOPBACK: Final = "127.0.0.1"
_LOCAL_URL: Final = re.compile(
    r"http://(?:127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?(?:/\S*)?"
)


class HookSettings(NamedTuple):
    """Where webhooks come in, the files of their secrets, and which tag of what means a deploy."""

    address: str
    port: int
    secret_files: tuple[str, ...]
    tag: str
    repository: str | None


class SoulSettings(NamedTuple):
    """The seal (sha256) of the soul, and where the agent reads it; None: it is not placed."""

    seal: str
    place: str | None


class Settings(NamedTuple):
    """All that one daemon is told. ``tls``: the listen address speaks TLS. ``registry`` is a file
    to read the fleet from, outside one.

    ``handlers`` says by type of message who handles it: the runner's program, or a local URL.
    """

    fleet: str
    wizard: str
    role: str
    address: str
    port: int
    tls: bool
    hook: HookSettings | None
    unsigned: bool
    soul: SoulSettings | None
    handlers: Mapping[str, Handler]
    limits: Limits
    state_dir: str
    run_dir: str
    keys_dir: str
    deploy_socket: str
    registry: str | None


def read_release(path: str) -> Settings:
    """The settings in a release's ``settings.json``. Raises ConfigError."""
    try:
        with open(path, "rb") as file:
            value = json.load(file)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=path) from error
    except ValueError as error:
        raise ConfigError(f"is not JSON: {error}", where=path) from error
    return from_value(value, path)


def read_file(path: str) -> Settings:
    """The settings in a file that a person wrote. Needs PyYAML.

    Raises MistakesError (a ConfigError), which names each mistake with file, line, key and mend.
    """
    from fleet_agent.yamlfile.compose import read_file as read_yaml
    from fleet_agent.yamlfile.mistakes import Mistakes, MistakesError
    from fleet_agent.yamlfile.spot import Spot

    mistakes = Mistakes(path, Limits())
    node = read_yaml(path, mistakes)
    spot = Spot(node, "", mistakes) if node is not None else None
    value = spot.json_object() if spot else None
    if spot is not None and value is not None:
        settings, wrongs = _settings({"v": VERSION, **value})
        if value.get("v", VERSION) != VERSION:
            wrongs.append(Wrong("v", f"version {VERSION} is known", "remove it"))
        fields, known = spot.fields(), {mistake.key for mistake in mistakes.all()}
        for wrong in wrongs:
            if fields is not None and wrong.path not in known:
                fields.wrong(wrong.path, wrong.what, wrong.mend)
        if not mistakes.count:
            return settings
    number = "one mistake" if mistakes.count == 1 else f"{mistakes.count} mistakes"
    raise MistakesError(f"the settings have {number}", mistakes.all())


def from_value(value: object, where: str) -> Settings:
    """The settings in a JSON value.

    Raises ConfigError naming ``where``, the key of the first mistake, and how many more there are.
    """
    if isinstance(value, Mapping) and value.get("v") != VERSION:
        raise ConfigError(
            f"settings of version {value.get('v')!r}, {VERSION} is known",
            where=where,
            mend="deploy anew: settings and code come from one release",
        )
    settings, wrongs = _settings(value)
    if wrongs:
        path, what, mend = wrongs[0]
        more = f" (and {len(wrongs) - 1} more)" if len(wrongs) > 1 else ""
        raise ConfigError(what + more, where=f"{where}: {path}" if path else where, mend=mend)
    return settings


def _settings(value: object) -> tuple[Settings, list[Wrong]]:
    """The settings, and what is wrong with them: they may be used only if that is nothing."""
    top = Object(value)
    top.only(_KEYS)
    wizard = top.text("wizard")
    if wizard and not _NAME.match(wizard):
        top.wrong("wizard", f"{wizard[:60]!r} is no wizard's name", _NAME_MEND)
    address, port = _listen(top.inner("listen"))
    settings = Settings(
        fleet=top.text("fleet", "fleet"),
        wizard=wizard,
        role=top.word("role", tuple(Role), Role.WORKER),
        address=address,
        port=port,
        tls=top.flag("tls"),
        hook=_hook(top.inner("hook")),
        unsigned=top.word("unsigned", ("refuse", "allow"), "refuse") == "allow",
        soul=_soul(top.inner("soul")),
        handlers=_handlers(top.inner("handlers")),
        limits=top.limits("limits", "daemon"),
        state_dir=top.text("state_dir", f"/var/lib/fleet-agent/{wizard}"),
        run_dir=top.text("run_dir", f"/run/fleet-agent/{wizard}"),
        keys_dir=top.text("keys_dir", f"/etc/fleet-agent/{wizard}/keys"),
        deploy_socket=top.text("deploy_socket", "/run/fleet-agent/deploy.sock"),
        registry=top.text_or_none("registry"),
    )
    return settings, top.wrongs


def wizard_name(text: str) -> str:
    """``text`` if it can be a wizard's name; it becomes part of paths. Raises ConfigError."""
    if not _NAME.match(text):
        raise ConfigError(f"{text[:60]!r} is no wizard's name", mend=_NAME_MEND)
    return text


def _listen(listen: Object | None) -> tuple[str, int]:
    if listen is None:
        return _LOOPBACK, GATEWAY_PORT
    listen.only(("address", "port"))
    return listen.text("address", _LOOPBACK), listen.port("port", GATEWAY_PORT)


def _hook(hook: Object | None) -> HookSettings | None:
    if hook is None:
        return None
    hook.only(HookSettings._fields)
    return HookSettings(
        hook.text("address", _LOOPBACK),
        hook.port("port", HOOK_PORT),
        hook.texts("secret_files"),
        hook.text("tag", "PROD"),
        hook.text_or_none("repository"),
    )


def _soul(soul: Object | None) -> SoulSettings | None:
    if soul is None:
        return None
    soul.only(SoulSettings._fields)
    return SoulSettings(soul.text("seal"), soul.text_or_none("place"))


def _handlers(said: Object | None) -> Mapping[str, Handler]:
    found: dict[str, Handler] = {}
    if said is None:
        return found
    said.only(tuple(kind.value for kind in MessageType))
    for kind in MessageType:
        one = said.inner(kind.value)
        if one is None:
            continue
        one.only(HANDLER_KEYS)
        command, url = one.texts("exec"), one.text_or_none("http")
        if bool(command) == bool(url):
            said.wrong(
                kind.value, "must say either exec or http", "exec: [/a/program], or http: a URL"
            )
        elif command and not command[0].startswith("/"):
            one.wrong("exec", "names no absolute path", "write the program's whole path")
        elif url and not _LOCAL_URL.fullmatch(url):
            one.wrong("http", "is no URL on loopback", "such as http://127.0.0.1:9000/in")
        else:
            found[kind.value] = Handler(command or None, url)
    return found
