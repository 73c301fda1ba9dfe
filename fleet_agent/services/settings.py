"""A daemon's settings: read from a release (JSON) or, outside a fleet, from a file (YAML).

Strict, since a misspelt setting that is ignored is worse than a daemon that does not start.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from fleet_agent.errors import ConfigError
from fleet_agent.limits import BY_NAME, Limits
from fleet_agent.wire import GATEWAY_PORT, HOOK_PORT, Role

VERSION: Final = 1
_KEYS: Final = (
    "v", "fleet", "wizard", "role", "listen", "hook", "unsigned", "soul", "limits",
    "state_dir", "run_dir", "keys_dir", "deploy_socket", "registry",
)  # fmt: skip
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,28}\Z")
_LOOPBACK: Final = "127.0.0.1"


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
    """All that one daemon is told. ``registry`` is a file to read the fleet from, outside one."""

    fleet: str
    wizard: str
    role: str
    address: str
    port: int
    hook: HookSettings | None
    unsigned: bool
    soul: SoulSettings | None
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
    """The settings in a file that a person wrote. Needs PyYAML. Raises ConfigError."""
    from fleet_agent.yamlfile.compose import read_file as read_yaml
    from fleet_agent.yamlfile.mistakes import Mistakes, MistakesError
    from fleet_agent.yamlfile.spot import Spot

    mistakes = Mistakes(path, Limits())
    node = read_yaml(path, mistakes)
    value = Spot(node, "", mistakes).json_object() if node is not None else None
    if mistakes.count or value is None:
        raise MistakesError("the settings are wrong", mistakes.all())
    return from_value({"v": VERSION, **value}, path)


def from_value(value: object, where: str) -> Settings:
    """The settings in a JSON value. Raises ConfigError naming ``where`` and the key."""
    if isinstance(value, Mapping) and value.get("v") != VERSION:
        raise ConfigError(
            f"settings of version {value.get('v')!r}, {VERSION} is known",
            where=where,
            mend="deploy anew: settings and code come from one release",
        )
    top = _Object(value, where, "")
    top.only(_KEYS)
    wizard = wizard_name(top.text("wizard"))
    address, port = _listen(top.inner("listen"))
    return Settings(
        fleet=top.text("fleet", "fleet"),
        wizard=wizard,
        role=top.word("role", tuple(Role), Role.WORKER),
        address=address,
        port=port,
        hook=_hook(top.inner("hook")),
        unsigned=top.word("unsigned", ("refuse", "allow"), "refuse") == "allow",
        soul=_soul(top.inner("soul")),
        limits=top.limits("limits"),
        state_dir=top.text("state_dir", f"/var/lib/fleet-agent/{wizard}"),
        run_dir=top.text("run_dir", f"/run/fleet-agent/{wizard}"),
        keys_dir=top.text("keys_dir", f"/etc/fleet-agent/{wizard}/keys"),
        deploy_socket=top.text("deploy_socket", "/run/fleet-agent/deploy.sock"),
        registry=top.text_or_none("registry"),
    )


def wizard_name(text: str) -> str:
    """``text`` if it can be a wizard's name; it becomes part of paths. Raises ConfigError."""
    if not _NAME.match(text):
        raise ConfigError(
            f"{text[:60]!r} is no wizard's name", mend="a-z, then a-z, 0-9 and -, 29 at most"
        )
    return text


class _Object:
    """A JSON object whose keys are asked for with their types."""

    def __init__(self, value: object, where: str, path: str) -> None:
        self._where = f"{where}: {path}" if path else where
        if not isinstance(value, Mapping):
            raise ConfigError("must be a mapping", where=self._where)
        self._value: Mapping[str, Any] = value

    def only(self, known: Iterable[str]) -> None:
        """Refuse every other key."""
        for key in self._value:
            if key not in known:
                from difflib import get_close_matches

                near = get_close_matches(str(key)[:60], list(known), n=1)
                mend = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
                raise ConfigError(
                    f"unknown setting {str(key)[:60]!r}", where=self._where, mend=mend
                )

    def text(self, key: str, default: str | None = None) -> str:
        """The text at ``key``; without a default it must be there."""
        value = self._value.get(key, default)
        if value is None:
            raise ConfigError(f"{key!r} is missing", where=self._where)
        if not isinstance(value, str) or not value or "\0" in value:
            raise self._wrong(key, "must be a text")
        return value

    def text_or_none(self, key: str) -> str | None:
        """The text at ``key``, None where it is absent or null."""
        return None if self._value.get(key) is None else self.text(key)

    def texts(self, key: str) -> tuple[str, ...]:
        """The list of texts at ``key``; empty where it is absent."""
        value = self._value.get(key, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self._wrong(key, "must be a list of texts")
        return tuple(value)

    def port(self, key: str, default: int) -> int:
        """A TCP port; 0 lets the kernel choose."""
        value = self._value.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 65535:
            raise self._wrong(key, "must be a port, 0 to 65535")
        return value

    def word(self, key: str, words: Sequence[str], default: str) -> str:
        """One of ``words``."""
        value = self._value.get(key, default)
        if value not in words:
            raise self._wrong(key, f"must be {' or '.join(words)}")
        return str(value)

    def limits(self, key: str) -> Limits:
        """The defaults with those of ``key`` in their places."""
        changed = self._value.get(key) or {}
        if not isinstance(changed, Mapping):
            raise self._wrong(key, "must be a mapping")
        for name in changed:
            if name in BY_NAME and BY_NAME[name].scope != "daemon":
                raise ConfigError("is no limit of a daemon", where=f"{self._where}: {key}.{name}")
        try:
            return Limits(changed)
        except ConfigError as error:
            error.where = f"{self._where}: {key}.{error.where}"
            raise

    def inner(self, key: str) -> _Object | None:
        """The object at ``key``, None where it is absent or null."""
        value = self._value.get(key)
        return None if value is None else _Object(value, self._where, key)

    def _wrong(self, key: str, what: str) -> ConfigError:
        shown = ascii(self._value.get(key))[:80]
        return ConfigError(f"{what}, is {shown}", where=f"{self._where}: {key}")


def _listen(listen: _Object | None) -> tuple[str, int]:
    if listen is None:
        return _LOOPBACK, GATEWAY_PORT
    listen.only(("address", "port"))
    return listen.text("address", _LOOPBACK), listen.port("port", GATEWAY_PORT)


def _hook(hook: _Object | None) -> HookSettings | None:
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


def _soul(soul: _Object | None) -> SoulSettings | None:
    if soul is None:
        return None
    soul.only(SoulSettings._fields)
    return SoulSettings(soul.text("seal"), soul.text_or_none("place"))
