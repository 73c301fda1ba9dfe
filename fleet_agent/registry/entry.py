"""One entry of ``wizards:``, from a spot in the file to a ``Wizard``.

Looks at this entry alone: what two entries must not do together is ``registry.together``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from fleet_agent import limits
from fleet_agent.errors import ConfigError
from fleet_agent.registry import rules, schema
from fleet_agent.registry.schema import (
    FileSpec,
    Handler,
    Listen,
    Runtime,
    Soul,
    Ssh,
    Tool,
    Wizard,
    health_url,
)
from fleet_agent.wire import GATEWAY_PORT, MessageType, Role
from fleet_agent.yamlfile.spot import Fields, Spot

_ROLES = tuple(role.value for role in Role)
_MESSAGE_TYPES = tuple(kind.value for kind in MessageType)
_TIMEOUT_SECONDS = (0.1, 86400.0)


class Entry(NamedTuple):
    """A wizard with the place in the file that says so, for mistakes found later.

    ``file_keys`` are the key paths of ``wizard.files``, which lacks those that could not be read.
    """

    wizard: Wizard
    fields: Fields
    file_keys: tuple[str, ...] = ()


def read_entry(
    name: str, spot: Spot, common: Mapping[str, float], *, tls: bool = False
) -> Entry | None:
    """The wizard at ``spot``; ``common`` are the settings of all, ``tls`` holds for all. None when
    it has no shape.

    A wizard with mistakes is returned all the same, with defaults in their places: it is never
    used, but what it says is compared with the others.
    """
    fields = spot.fields(schema.WIZARD_KEYS)
    if fields is None:
        return None
    at = fields.at
    host = _host(fields)
    health = spot_health.read(rules.health_url) if (spot_health := at("health_endpoint")) else None
    listen = _listen(fields, host, health)
    tls = _tls(fields, health, tls)
    files = _files(at("files"))
    role = spot_role.choice(_ROLES) if (spot_role := at("role")) else None
    wizard = Wizard(
        name=name,
        host=host,
        role=Role(role) if role else Role.WORKER,
        region=_text(at("region")),
        model=_text(at("model")),
        health_endpoint=health.text if health else health_url(host, listen.port, tls=tls),
        listen=listen,
        capabilities=_names(at("capabilities"), rules.capability),
        subscriptions=_names(at("subscriptions"), rules.topic),
        user=_user(fields, name),
        soul=_soul(at("soul")),
        files=tuple(files.values()),
        state=spot_state.all_of(rules.directory) if (spot_state := at("state")) else (),
        runtime=_runtime(at("runtime")),
        handlers=_handlers(at("handlers")),
        tools=_tools(at("tools")),
        probes=_probes(at("probes")),
        ssh=_ssh(at("ssh")),
        settings=_own_settings(at("settings"), common),
        tls=tls,
    )
    return Entry(wizard, fields, tuple(files))


def read_settings(spot: Spot | None) -> dict[str, float]:
    """``settings:``, of all wizards or of one: limits of a daemon by name."""
    found: dict[str, float] = {}
    fields = spot.fields(schema.setting_keys()) if spot else None
    for name, value in fields or ():
        if name in limits.BY_NAME:
            read_limit(name, value, found)
    return found


def read_limit(name: str, spot: Spot, into: dict[str, float]) -> None:
    """The limit ``name``, within its bounds."""
    value = spot.number()
    if value is None:
        return
    try:
        into[name] = limits.check(name, value)
    except ConfigError as error:
        spot.wrong(error.what, limits.BY_NAME[name].help)


def _own_settings(spot: Spot | None, common: Mapping[str, float]) -> Mapping[str, float]:
    return common if spot is None else {**common, **read_settings(spot)}


def _text(spot: Spot | None) -> str:
    return (spot.text() or "") if spot else ""


def _host(fields: Fields) -> str:
    spot = fields.need("host", "the machine's name or address, as ssh reaches it")
    if spot is None:
        return ""
    if not spot.is_text() and not spot.is_mapping():
        # host: [2001:db8::1] without quotes is a list to YAML; only an address is meant by it.
        inner = list(spot.each())
        if len(inner) == 1 and ":" in (inner[0].text() or ""):
            return inner[0].read(rules.address) or ""
    return spot.read(rules.host) or ""


def _listen(fields: Fields, host: str, health: rules.Url | None) -> Listen:
    """Where the gateway binds: what ``listen`` says, else the address of host or health."""
    port = health.port if health else None
    spot = fields.at("listen")
    said = spot.fields(schema.LISTEN_KEYS) if spot else None
    if said and (at := said.at("port")) is not None:
        port = at.whole(1, 65535) or port
    if said and (at := said.at("address")) is not None:
        return Listen(at.read(rules.address) or host, port or GATEWAY_PORT)
    address = host
    if not rules.is_address(host) and health and rules.is_address(health.host):
        address = host if rules.is_loopback(health.host) else health.host
    if host and not rules.is_address(address):
        # What the name leads to, here or on the node, may be another address tomorrow.
        fields.wrong(
            "listen.address",
            f"is missing: a socket can't be bound to a name, and the host is one ({host})",
            "say listen: {address: …} with the machine's own address",
        )
    return Listen(address, port or GATEWAY_PORT)


def _tls(fields: Fields, health: rules.Url | None, common: bool) -> bool:
    own = at.flag() if (at := fields.at("tls")) else None
    tls = common if own is None else own
    if tls and health and health.text.lower().startswith("http:"):
        fields.wrong(
            "health_endpoint",
            "says http://, and this wizard speaks TLS (tls: true)",
            "write https://, or remove it: https:// is its default then",
        )
    return tls


def _names(spot: Spot | None, rule: Callable[[str], str]) -> tuple[str, ...]:
    """A list of different names, each by ``rule``."""
    found: dict[str, None] = {}
    for one in spot.each() if spot else ():
        name = one.read(rule)
        if name in found:
            one.wrong(f"{name!r} is here twice", "remove one")
        elif name is not None:
            found[name] = None
    return tuple(found)


def _user(fields: Fields, name: str) -> str:
    spot = fields.at("user")
    if spot is not None:
        return spot.read(rules.user) or name
    if rules.is_our_account(name):
        what = f"its default, the wizard's name, would be an account of fleet-agent: {name}"
        fields.wrong("user", what, "say `user:` with another account")
    return name


def _soul(spot: Spot | None) -> Soul | None:
    if spot is None:
        return None
    if spot.is_text():
        file = spot.read(rules.source)
        return Soul(file) if file else None
    fields = spot.fields(schema.SOUL_KEYS)
    if fields is None:
        return None
    source, where = fields.need("file"), fields.at("place")
    file = source.read(rules.source) if source else None
    place = where.read(rules.place) if where else None
    return Soul(file, place) if file else None


def _files(spot: Spot | None) -> dict[str, FileSpec]:
    """Each file by its key path below the entry."""
    found: dict[str, FileSpec] = {}
    for number, one in enumerate(spot.each() if spot else ()):
        fields = one.fields(schema.FILE_KEYS)
        if fields is None:
            continue
        source = at.read(rules.source) if (at := fields.need("source")) else None
        place = at.read(rules.place) if (at := fields.need("place")) else None
        mode = at.read(rules.mode) if (at := fields.at("mode")) else None
        secret = at.flag() if (at := fields.at("secret")) else None
        if secret and mode is not None and mode & 0o007:
            fields.wrong("mode", "lets everybody in to a secret", "say 0600, or 0640 for its group")
        if source and place:
            usual = schema.DEFAULT_MODE if mode is None else mode
            found[f"files[{number}]"] = FileSpec(source, place, usual, bool(secret))
    return found


def _runtime(spot: Spot | None) -> Runtime | None:
    fields = spot.fields(schema.RUNTIME_KEYS) if spot else None
    if spot is None or fields is None:
        return None
    if ("command" in fields) == ("unit" in fields):
        what = "says both command and unit" if "unit" in fields else "says neither command nor unit"
        spot.wrong(what, "command makes a unit of ours, unit names one that is there: one of them")
    if "command" in fields and "scope" in fields:
        fields.wrong("scope", "belongs to unit, a command is a system unit of ours", "remove it")
    command = _argv(at) if (at := fields.at("command")) else None
    unit = at.read(rules.unit) if (at := fields.at("unit")) else None
    scope = at.choice(schema.SCOPES) if (at := fields.at("scope")) else None
    if not command and not unit:
        return None
    return Runtime(command=command, unit=None if command else unit, scope=scope or "system")


def _argv(spot: Spot, *, absolute: bool = True) -> tuple[str, ...] | None:
    """A command as a list; systemd wants the program's whole path."""
    if spot.is_text():
        spot.wrong("must be a list, no shell reads it", "such as [/opt/ezra/bin/agent, --quiet]")
        return None
    before = spot.mistakes.count
    command = spot.all_of(rules.word)
    if spot.mistakes.count > before:
        return None
    if not command:
        spot.wrong("is empty", "such as [/opt/ezra/bin/agent, --quiet]")
        return None
    if absolute and not command[0].startswith("/"):
        spot.wrong(f"{command[0]!r} is no absolute path", "write the program's whole path")
        return None
    return command


def _handlers(spot: Spot | None) -> Mapping[str, Handler]:
    found: dict[str, Handler] = {}
    for kind, one in (spot.fields(_MESSAGE_TYPES) if spot else None) or ():
        fields = one.fields(schema.HANDLER_KEYS)
        if fields is None:
            continue
        if ("exec" in fields) == ("http" in fields):
            one.wrong("must say either exec or http", "exec: [/a/program], or http: a local URL")
        command = _argv(at) if (at := fields.at("exec")) else None
        url = at.read(rules.local_url) if (at := fields.at("http")) else None
        if command or url:
            found[kind] = Handler(command, url)
    return found


def _tools(spot: Spot | None) -> Mapping[str, Tool]:
    found: dict[str, Tool] = {}
    for name, one in (spot.fields() if spot else None) or ():
        one.judged(rules.tool_name, name)
        fields = one.fields(schema.TOOL_KEYS)
        if fields is None:
            continue
        command = _argv(at, absolute=False) if (at := fields.need("exec")) else None
        cwd = at.read(rules.working_directory) if (at := fields.at("cwd")) else None
        timeout = _timeout(at) if (at := fields.at("timeout")) else None
        schema_of_input = at.json_object() if (at := fields.at("input")) else None
        if command:
            found[name] = Tool(command, cwd, timeout, schema_of_input)
    return found


def _timeout(spot: Spot) -> float | None:
    value = spot.number()
    low, high = _TIMEOUT_SECONDS
    if value is not None and not low <= value <= high:
        what = f"must lie between {low:g} and {high:g} seconds, is {value:g}"
        spot.wrong(what, "choose one of these")
        return None
    return value


def _probes(spot: Spot | None) -> Mapping[str, Mapping[str, str]]:
    found: dict[str, Mapping[str, str]] = {}
    for name, one in (spot.fields(tuple(schema.PROBE_KEYS)) if spot else None) or ():
        keys = schema.PROBE_KEYS.get(name)
        fields = one.fields(keys) if keys else None
        if keys is None or fields is None:
            continue
        values = {key: at for key in keys if (at := fields.need(key)) is not None}
        texts = {key: _probe_text(key, at) for key, at in values.items()}
        found[name] = {key: text for key, text in texts.items() if text}
    return found


def _probe_text(key: str, spot: Spot) -> str:
    if key == "openai":
        url = spot.read(rules.url)
        return url.text if url else ""
    return spot.text() or ""


def _ssh(spot: Spot | None) -> Ssh:
    fields = spot.fields(schema.SSH_KEYS) if spot else None
    if fields is None:
        return Ssh()
    user = at.read(rules.ssh_user) if (at := fields.at("user")) else None
    port = at.whole(1, 65535) if (at := fields.at("port")) else None
    jump = at.read(rules.proxy_jump) if (at := fields.at("proxy_jump")) else None
    return Ssh(user, port or schema.SSH_PORT, jump)
