"""What single texts of the registry must be like: pure functions, text to value or ``Wrong``.

Nothing here knows files, lines or other entries.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from fleet_agent.wire import TAKEN_NAMES
from fleet_agent.yamlfile.spot import Wrong

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,28}\Z")
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)\Z")
_USER: Final = re.compile(r"[a-z_][a-z0-9_-]{0,30}[a-z0-9_$-]?\Z")
_CAPABILITY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}\Z")
_TOOL: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}\Z")
_UNIT: Final = re.compile(r"[A-Za-z0-9:_.\\-]+(?:@[A-Za-z0-9:_.\\-]*)?\.service\Z")
_MODE: Final = re.compile(r"0?([0-7]{3})\Z")
_REF: Final = re.compile(r"(?!-)[A-Za-z0-9][A-Za-z0-9._/-]{0,199}\Z")
# user@host:path; a second colon would name one of git's helper programs (ext::).
_SCP_LIKE: Final = re.compile(
    r"(?:[A-Za-z0-9_.-]+@)?(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_][A-Za-z0-9_.-]*):[^:-]"
)
_PORT: Final = re.compile(r"[0-9]{1,5}\Z")
_ZONE: Final = re.compile(r"[A-Za-z0-9_.-]{1,15}\Z")

# A file placed below one of these would be ours, or would make whoever wrote it root.
OWNED: Final = (
    "/etc/fleet-agent", "/opt/fleet-agent", "/var/lib/fleet-agent", "/run/fleet-agent",
    "/etc/systemd", "/usr/lib/systemd", "/lib/systemd", "/usr/local/lib/systemd", "/run/systemd",
    "/etc/sudoers", "/etc/sudoers.d", "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow",
    "/etc/ssh", "/etc/pam.d", "/etc/ld.so.preload", "/root/.ssh",
    "/proc", "/sys", "/dev", "/boot",
)  # fmt: skip
OUR_UNITS: Final = ("fleet-agent@", "fleet-exec@", "fleet-wizard@", "fleet-deploy", "fleet-hook",
                    "fleet-recover")  # fmt: skip


def name(text: str) -> str:
    """The name of a wizard or fleet: short enough for a Unix account with ``fa-`` before it."""
    if not _NAME.match(text):
        raise Wrong(
            f"{text!r} is no name", "a letter, then letters, digits, dashes: [a-z][a-z0-9-]{0,28}"
        )
    return text


def wizard(text: str) -> str:
    """The name of a wizard: one whose directories are its own."""
    if text in TAKEN_NAMES:
        raise Wrong(f"{text!r} is a directory of fleet-agent's own", "choose another name")
    return name(text)


def address(text: str) -> str:
    """An IP address in its one normal spelling; IPv6 with or without brackets."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        found = ipaddress.ip_address(bare)
    except ValueError:
        raise Wrong(f"{text!r} is no IP address", "such as 192.0.2.10 or 2001:db8::10") from None
    if found.version == 6:
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        if found.scope_id is not None and not _ZONE.match(found.scope_id):
            raise Wrong(f"{text!r} names no interface behind the %", "such as fe80::1%eth0")
    return str(found)


def host(text: str) -> str:
    """What ssh reaches: an address or a name, in lower case, in its one normal spelling."""
    if text.startswith("-"):
        raise Wrong(
            f"{text!r} begins with a dash, ssh would take it for an option",
            "write the host's name or address",
        )
    if "@" in text:
        raise Wrong(f"{text!r} names a user", "write the user as ssh: {user: …}")
    if ":" in text or "[" in text:
        if text.count(":") == 1 or "]:" in text:
            raise Wrong(f"{text!r} names a port", "write ssh's port as ssh: {port: …}")
        return _usable(address(text))
    lowered = text.lower().rstrip(".")
    labels = lowered.split(".")
    if labels[-1].isdigit():
        return _usable(address(lowered))
    if len(lowered) > 253 or not all(_LABEL.match(label) for label in labels):
        raise Wrong(f"{text!r} is no host", "a name such as ezra.example.org, or an IP address")
    return lowered


def _usable(text: str) -> str:
    found = ipaddress.ip_address(text)
    if found.is_unspecified or found.is_multicast:
        raise Wrong(f"{text!r} is not the address of one machine", "write the machine's own")
    return text


def is_address(text: str) -> bool:
    """Whether ``text`` is an IP address (and not a name)."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_loopback(text: str) -> bool:
    """Whether ``text`` is an address that only the machine itself reaches."""
    return is_address(text) and ipaddress.ip_address(text).is_loopback


def is_wildcard(text: str) -> bool:
    """Whether ``text`` is the address that means every interface."""
    return text in {"0.0.0.0", "::"}


class Url(NamedTuple):
    """A checked URL; ``port`` is None where it names none."""

    text: str
    host: str
    port: int | None
    path: str


def url(text: str) -> Url:
    """An http or https URL with a host and without user or password."""
    example = "such as http://192.0.2.10:8646/health or http://[2001:db8::10]:8646/health"
    if "@" in text.partition("://")[2].partition("/")[0]:  # first: no error may show a password
        raise Wrong("names a user or a password", "the registry is public to the fleet: remove it")
    if any(char in text for char in ' "<>\\^`{|}'):
        raise Wrong(f"{text!r} is no URL", "without spaces; " + example)
    try:
        parts = urlsplit(text)
        named, port = parts.hostname, parts.port
    except ValueError as error:
        raise Wrong(f"{text!r} is no URL ({error})", example) from None
    if parts.scheme not in {"http", "https"} or not named:
        raise Wrong(f"{text!r} is no http URL", example)
    if port == 0 or parts.netloc.endswith(":"):
        raise Wrong(f"{text!r} names no usable port", example)
    if parts.fragment:
        raise Wrong(f"{text!r} has a fragment", "remove what begins with #")
    return Url(text, _url_host(parts, named, text), port, parts.path)


def local_url(text: str) -> str:
    """An http URL on this machine's loopback, by address: a daemon resolves no names."""
    found = url(text)
    example = "such as http://127.0.0.1:9000/in"
    if not is_loopback(found.host):
        raise Wrong(f"{text!r} is not on this machine's loopback", example)
    if not text.startswith("http://"):
        raise Wrong(f"{text!r} is no http URL", "TLS is not needed on loopback: " + example)
    return text


def _url_host(parts: SplitResult, named: str, text: str) -> str:
    bracketed = "[" in parts.netloc
    if bracketed != (":" in named):
        raise Wrong(f"{text!r} needs brackets around an IPv6 address", "http://[2001:db8::10]:8646")
    try:
        return host(named)
    except Wrong as error:
        raise Wrong(f"the URL's host: {error.what}", error.mend) from None


def health_url(text: str) -> Url:
    """A URL that names a path as well."""
    found = url(text)
    if found.path in {"", "/"}:
        raise Wrong(f"{text!r} names no path", "the gateway answers at /health")
    return found


def user(text: str) -> str:
    """A Unix account that may own an agent: not one of the accounts of fleet-agent itself."""
    if not _USER.match(text):
        raise Wrong(f"{text!r} is no user name", "lower-case letters, digits, - and _")
    if is_our_account(text):
        raise Wrong(
            f"{text!r} is an account of fleet-agent, which an agent must not share",
            "say `user:` with another account",
        )
    return text


def is_our_account(text: str) -> bool:
    """Whether an account is one that fleet-agent makes for itself; "fleet" may do all as root."""
    return text.startswith("fa-") or text in {"fleet", "fleet-deploy", "fleet-agent"}


def ssh_user(text: str) -> str:
    """A Unix account to log in to."""
    if not _USER.match(text):
        raise Wrong(f"{text!r} is no user name", "lower-case letters, digits, - and _")
    return text


def proxy_jump(text: str) -> str:
    """ssh's ProxyJump: ``[user@]host[:port]``, several separated by commas."""
    for hop in text.split(","):
        login, _, target = hop.rpartition("@")
        if login:
            ssh_user(login)
        named, port = _host_and_port(target)
        host(named)
        if port and not (_PORT.match(port) and 0 < int(port) < 65536):
            raise Wrong(f"{hop!r} names no usable port", "such as admin@gate.example.org:2222")
    return text


def _host_and_port(text: str) -> tuple[str, str]:
    if text.startswith("["):
        named, _, port = text[1:].partition("]")
        return named, port.removeprefix(":")
    if text.count(":") == 1:
        named, _, port = text.partition(":")
        return named, port
    return text, ""


def capability(text: str) -> str:
    """The name of something a wizard can do."""
    if not _CAPABILITY.match(text):
        raise Wrong(f"{text!r} is no capability", "letters, digits and . _ : / - without spaces")
    return text


def topic(text: str) -> str:
    """What a broadcast may be about."""
    if not _CAPABILITY.match(text):
        raise Wrong(f"{text!r} is no topic", "letters, digits and . _ : / - without spaces")
    return text


def tool_name(text: str) -> str:
    """The name of a tool, as Model Context Protocol clients accept it."""
    if not _TOOL.match(text):
        raise Wrong(f"{text!r} is no tool name", "a letter, then letters, digits, _ and -")
    return text


def place(text: str) -> str:
    """An absolute path on a node where a file of the operator's may lie."""
    path = directory(text)
    if path.endswith("/.ssh/authorized_keys"):
        raise Wrong(f"{path} decides who may log in", "let your own tasks place it")
    return path


def directory(text: str) -> str:
    """An absolute path on a node, without detours, outside of what is ours or the system's."""
    if not text.startswith("/"):
        raise Wrong(f"{text!r} is no absolute path", "begin it with /")
    if text == "/" or any(part in {"", ".", ".."} for part in text[1:].split("/")):
        raise Wrong(f"{text!r} has a detour or an empty part", "write it without //, /./ and /../")
    for owned in OWNED:
        if text == owned or text.startswith(owned + "/"):
            raise Wrong(f"{text} lies in {owned}, which is not a wizard's", "choose another place")
    return text


def working_directory(text: str) -> str:
    """An absolute path where a program may run: any."""
    if not text.startswith("/"):
        raise Wrong(f"{text!r} is no absolute path", "begin it with /")
    return text


def source(text: str) -> str:
    """A file's path inside of the fleet-ops repository, as written there."""
    if text.startswith(("/", "~")):
        raise Wrong(
            f"{text!r} is not a path of this repository", "write it from the repository's top"
        )
    parts = text.split("/")
    if ".." in parts:
        raise Wrong(f"{text!r} leaves the repository", "keep the file in it")
    if any(part in {"", "."} for part in parts):
        raise Wrong(f"{text!r} has an empty part", "write it without // and ./")
    if parts[0] == ".git":
        raise Wrong(f"{text!r} is Git's own", "keep the file elsewhere in the repository")
    return text


def mode(text: str) -> int:
    """File permissions: three octal digits, a 0 before them or not."""
    found = _MODE.match(text)
    if not found:
        raise Wrong(f"{text!r} is no mode", 'three octal digits in quotes, such as "0640"')
    return int(found[1], 8)


def unit(text: str) -> str:
    """The operator's own systemd service."""
    if text.startswith(OUR_UNITS):
        raise Wrong(f"{text!r} is a unit of fleet-agent's own", "name the agent's own unit")
    if not text.endswith(".service") and _UNIT.match(text + ".service"):
        raise Wrong(f"{text!r} is no service unit", f"did you mean '{text}.service'?")
    if not _UNIT.match(text) or len(text) > 255:
        raise Wrong(f"{text!r} is no service unit", "such as hermes.service")
    return text


def word(text: str) -> str:
    """One argument of a command: any text of one line."""
    return text


def git_ref(text: str) -> str:
    """The short name of a branch or tag (git-check-ref-format, without its exotic cases)."""
    bad = ".." in text or "//" in text or "/." in text or text.endswith((".", "/", ".lock"))
    if bad or not _REF.match(text):
        raise Wrong(f"{text!r} is no name for a branch or tag", "such as main or PROD")
    if text.startswith("refs/"):
        raise Wrong(f"{text!r} is a whole ref", "the short name only, such as main or PROD")
    return text


def tag(text: str) -> str:
    """The name of a tag, or a pattern of names (fnmatch): Git allows none of ``*?[]`` in a name."""
    git_ref(re.sub(r"[*?\[\]]", "x", text))
    return text


def repository(text: str) -> str:
    """Where Git fetches from: a URL, user@host:path, or an absolute path. No password in it."""
    scheme, separator, rest = text.partition("://")
    login = rest.partition("/")[0].rpartition("@")[0]
    if ":" in login or (login and scheme != "ssh"):  # first: no error may show a password
        raise Wrong("names a user or password", "use ssh with a deploy key")
    if text.startswith("-"):
        raise Wrong(
            f"{text!r} begins with a dash, git would take it for an option",
            "such as git@git.example.org:ops/fleet.git",
        )
    if " " in text:
        raise Wrong(f"{text!r} has a space", "write it without")
    if text.startswith("/"):
        return text
    if separator:
        if scheme not in {"ssh", "https", "http", "git", "file"}:
            raise Wrong(f"git's way {scheme}:// is not supported", "use ssh, https or a path")
        return text
    if _SCP_LIKE.match(text):
        return text
    raise Wrong(f"{text!r} is no repository", "such as git@git.example.org:ops/fleet.git")
