"""The words that cross a border: ports, routes, headers, message types, phases, states.

Values only. What is here is a promise to peers, scripts and older releases: add, never change.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

GATEWAY_PORT: Final = 8646
HOOK_PORT: Final = 9876

# Names of the sockets that systemd hands over (FileDescriptorName=).
SOCKET_GATEWAY: Final = "gateway"
SOCKET_HOOK: Final = "hook"
SOCKET_EXEC: Final = "exec"

MEDIA_JSON: Final = "application/json"
MEDIA_PROBLEM: Final = "application/problem+json"  # RFC 9457
# How the type of every problem of ours begins, and the description of every health answer.
PROBLEM_TYPE: Final = "tag:fleet-agent,2026:"
DESCRIPTION: Final = "fleet-agent of "
MEDIA_HEALTH: Final = "application/health+json"  # draft-inadarei-api-health-check-06
MEDIA_NDJSON: Final = "application/x-ndjson"
# Between daemons: NDJSON behind a head line that says the places of the messages in their stream.
MEDIA_STREAM: Final = "application/vnd.fleet-agent.stream+x-ndjson"

ROUTE_HEALTH: Final = "/health"
ROUTE_REGISTRY: Final = "/registry"
ROUTE_FIND: Final = "/find"
ROUTE_MESSAGE: Final = "/message"
ROUTE_MESSAGE_LIFE: Final = "/message/{id}"
ROUTE_MESSAGE_ANSWERED: Final = "/message/{id}/answered"
ROUTE_INBOX: Final = "/inbox"
ROUTE_INBOX_ACK: Final = "/inbox/{id}/ack"
ROUTE_INBOX_NACK: Final = "/inbox/{id}/nack"
ROUTE_INBOX_EXTEND: Final = "/inbox/{id}/extend"
ROUTE_DEAD_LETTERS: Final = "/dead-letters"
ROUTE_DEAD_LETTER_RETRY: Final = "/dead-letters/{number}/retry"
ROUTE_DEAD_LETTER_DROP: Final = "/dead-letters/{number}/drop"
ROUTE_HOOK: Final = "/"
ROUTE_HOOK_FORGE: Final = "/hook/{forge}"

# Whose dead letters, as ?box= says: what was sent and not taken, what came in and was not handled.
BOX_OUTBOX: Final = "outbox"
BOX_INBOX: Final = "inbox"

# Which wizard sends: it chooses the pair's key that the signature is made with.
HEADER_FROM: Final = "fleet-from"

# In a daemon's directory of keys: the CAs that it believes, and its own key and certificate (PEM).
TLS_CA_FILE: Final = "tls-ca.pem"
TLS_PAIR_FILE: Final = "tls.pem"

# Below /var/lib, /etc and /run/fleet-agent these lie beside what is named after wizards. systemd
# would give a wizard's daemon the directory of its name: with "node" the journals that root trusts.
TAKEN_NAMES: Final = frozenset(("node", "hook", "testing"))

# `error` in the payload of a response: its request was given up for good by who was asked.
HANDLER_FAILED: Final = "handler-failed"

BROADCAST: Final = "*"
CAPABILITY_PREFIX: Final = "capability:"


class MessageType(StrEnum):
    """The four message types of the bus."""

    REQUEST = "request"
    RESPONSE = "response"
    BROADCAST = "broadcast"
    ALERT = "alert"


class Phase(StrEnum):
    """The eight phases of a deploy, in their order; each is one role and one node module."""

    PREFLIGHT = "preflight"
    BASELINE = "baseline"
    SOUL = "soul"
    DEPLOY = "deploy"
    SERVICES = "services"
    KEYS = "keys"
    VERIFY = "verify"
    AUDIT = "audit"


class DeployState(StrEnum):
    """States of a deploy; the table of moves is ``deploy.states``."""

    QUEUED = "queued"
    RUNNING = "running"
    VERIFIED = "verified"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    SUPERSEDED = "superseded"


class Health(StrEnum):
    """Health statuses of draft-inadarei-api-health-check."""

    PASS = "pass"  # noqa: S105 (a health status, not a password)
    WARN = "warn"
    FAIL = "fail"


class Role(StrEnum):
    """What a wizard is to the fleet."""

    ORCHESTRATOR = "orchestrator"
    STANDBY = "standby"
    WORKER = "worker"


class Forge(StrEnum):
    """Git servers whose webhooks are understood."""

    GITEA = "gitea"
    FORGEJO = "forgejo"
    GOGS = "gogs"
