"""Every limit: its name, unit, default, bounds and what it is for, in one table.

``etc/daemon.yaml`` and docs/limits.md are compared with this table by a test. A limit's value for
one daemon or one deploy travels as a ``Limits`` value; nothing reads the table's defaults behind
the back of its caller.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from fleet_agent.errors import ConfigError


class Limit(NamedTuple):
    """One limit.

    ``scope`` is ``daemon`` (settings of a wizard), ``deploy`` (the pipeline) or ``file`` (reading
    the files that say the other two).
    """

    name: str
    unit: str
    default: float
    low: float
    high: float
    scope: str
    help: str


_KIB: Final = 1024
_MIB: Final = 1024 * 1024

# One limit, two lines: what it is, what it is for.
# fmt: off
TABLE: Final[tuple[Limit, ...]] = (
    # HTTP, both ports
    Limit("http_request_line_bytes", "bytes", 8 * _KIB, 256, 64 * _KIB, "daemon",
          "longest request line"),
    Limit("http_header_bytes", "bytes", 32 * _KIB, 1 * _KIB, 256 * _KIB, "daemon",
          "all header fields of one request together"),
    Limit("http_header_count", "fields", 100, 10, 1000, "daemon",
          "header fields of one request"),
    Limit("http_body_bytes", "bytes", 1 * _MIB, 1 * _KIB, 64 * _MIB, "daemon",
          "body of one request to the gateway"),
    Limit("hook_body_bytes", "bytes", 8 * _MIB, 1 * _KIB, 64 * _MIB, "daemon",
          "body of one webhook (a push of many commits is large)"),
    Limit("http_header_seconds", "seconds", 10, 0.1, 300, "daemon",
          "from a request's first byte to the end of its header"),
    Limit("http_body_seconds", "seconds", 30, 0.1, 600, "daemon",
          "from the end of the header to the end of the body"),
    Limit("http_idle_seconds", "seconds", 75, 1, 3600, "daemon",
          "a kept-alive connection without a request"),
    Limit("http_write_seconds", "seconds", 30, 0.1, 600, "daemon",
          "a peer that does not take its answer"),
    Limit("http_answer_seconds", "seconds", 30, 0.1, 600, "daemon",
          "a handler that has not answered"),
    Limit("http_connections", "connections", 2048, 8, 65536, "daemon",
          "open TCP connections in all"),
    Limit("http_connections_per_peer", "connections", 1024, 1, 65536, "daemon",
          "open connections from one address, or of one user over the Unix socket"),
    Limit("http_pipelined_requests", "requests", 64, 1, 1024, "daemon",
          "requests of one connection that wait for their answers"),
    Limit("http_unsent_bytes", "bytes", 256 * _KIB, 4 * _KIB, 64 * _MIB, "daemon",
          "answers of one connection that its peer has not taken; over it nothing more is read"),
    Limit("http_held_bytes", "bytes", 64 * _MIB, 1 * _MIB, 4096 * _MIB, "daemon",
          "all requests that are not whole yet, together"),
    Limit("http_chunk_extension_bytes", "bytes", 4 * _KIB, 0, 64 * _KIB, "daemon",
          "chunk extensions of one body together"),
    Limit("http_linger_seconds", "seconds", 2, 0.1, 60, "daemon",
          "for the peer to take the last answer and close"),
    Limit("http_turn_requests", "requests", 512, 1, 65536, "daemon",
          "requests handled in one turn of the loop"),
    Limit("http_drain_seconds", "seconds", 10, 0, 300, "daemon",
          "from SIGTERM to the end of connections that still work"),
    Limit("hook_submit_seconds", "seconds", 4, 0.2, 30, "daemon",
          "from a webhook to fleet-deploy's answer (Gitea itself gives up after 5 s)"),
    Limit("hook_submits", "webhooks", 64, 1, 1024, "daemon",
          "webhooks that wait for fleet-deploy at once"),
    # Messages
    Limit("message_payload_bytes", "bytes", 256 * _KIB, 1 * _KIB, 16 * _MIB, "daemon",
          "payload of one message as JSON"),
    Limit("message_depth", "levels", 32, 4, 256, "daemon",
          "nesting of one message"),
    Limit("message_future_seconds", "seconds", 300, 1, 86400, "daemon",
          "how far a message's timestamp may lie in the future"),
    Limit("message_ttl_seconds", "seconds", 7 * 86400, 60, 30 * 86400, "daemon",
          "longest time to live that a message may ask for"),
    Limit("message_default_ttl_seconds", "seconds", 86400, 1, 30 * 86400, "daemon",
          "time to live of a message that asks for none; an alert's is the longest allowed"),
    Limit("message_hops", "hops", 16, 1, 255, "daemon",
          "hops of one message"),
    Limit("signature_window_seconds", "seconds", 300, 5, 3600, "daemon",
          "how far the time of a signature may be from the receiver's clock, either way"),
    Limit("batch_lines", "lines", 1000, 1, 10000, "daemon",
          "messages in one NDJSON batch"),
    Limit("inbox_messages", "messages", 1_000_000, 100, 100_000_000, "daemon",
          "messages waiting in one inbox"),
    Limit("inbox_bytes", "bytes", 1024 * _MIB, 1 * _MIB, 1024 * 1024 * _MIB, "daemon",
          "size of the file of both boxes; the outbox stops at four fifths of it"),
    Limit("inbox_lease_seconds", "seconds", 120, 0.1, 604800, "daemon",
          "how long a message is handed out where its taker does not say"),
    Limit("inbox_lease_most_seconds", "seconds", 3600, 0.1, 604800, "daemon",
          "longest lease or delay that a taker may ask for (it can extend as often as it likes)"),
    Limit("inbox_attempts", "attempts", 5, 1, 1000, "daemon",
          "times that a message is handed out before it is a dead letter"),
    Limit("inbox_handed_out", "messages", 256, 1, 100_000, "daemon",
          "messages handed out and not settled at a time"),
    Limit("inbox_poll_seconds", "seconds", 25, 0, 600, "daemon",
          "longest wait of one GET /inbox (and never past four fifths of http_answer_seconds)"),
    Limit("inbox_waiters", "requests", 64, 1, 16384, "daemon",
          "requests that wait for messages of one inbox at once"),
    Limit("outbox_messages", "messages", 4_000_000, 100, 100_000_000, "daemon",
          "deliveries waiting in one outbox"),
    Limit("outbox_peer_messages", "messages", 2_000_000, 10, 100_000_000, "daemon",
          "deliveries waiting for one receiver"),
    Limit("outbox_batch_lines", "lines", 256, 1, 512, "daemon",
          "messages sent to another daemon in one request"),
    Limit("outbox_batch_bytes", "bytes", 256 * _KIB, 1 * _KIB, 1 * _MIB, "daemon",
          "messages of one request to another daemon together (a larger one goes alone)"),
    Limit("outbox_flights", "requests", 4, 1, 64, "daemon",
          "requests to one daemon that wait for their answers"),
    Limit("outbox_connections", "connections", 256, 1, 16384, "daemon",
          "connections to other daemons at once; others wait for their turn"),
    Limit("outbox_connect_seconds", "seconds", 5, 0.1, 120, "daemon",
          "to connect to another daemon"),
    Limit("outbox_answer_seconds", "seconds", 30, 0.1, 600, "daemon",
          "from a request to another daemon to its answer"),
    Limit("outbox_idle_seconds", "seconds", 30, 0.1, 3600, "daemon",
          "a connection to another daemon without work"),
    Limit("outbox_retry_first_seconds", "seconds", 0.2, 0.01, 60, "daemon",
          "first wait before a failed delivery is tried again; doubles from there"),
    Limit("outbox_retry_most_seconds", "seconds", 30, 0.05, 3600, "daemon",
          "longest wait between two attempts"),
    Limit("outbox_refusals", "refusals", 12, 1, 1000, "daemon",
          "times that a receiver may not know sender or receiver (registries that differ in a "
          "deploy) before the message is a dead letter"),
    Limit("outbox_keep_seconds", "seconds", 86400, 0, 365 * 86400, "daemon",
          "how long the sender knows of a message that was delivered"),
    Limit("pair_replies_per_minute", "messages", 60, 1, 100_000, "daemon",
          "replies to replies to one wizard: two agents that answer each other for ever stop here"),
    # Handlers
    Limit("handler_seconds", "seconds", 300, 0.1, 86400, "daemon",
          "one run of a handler; then all that it started is killed"),
    Limit("handler_jobs", "handlers", 4, 1, 256, "daemon",
          "handlers that run at once, besides one for an alert; one for a sender's lane"),
    Limit("handler_output_bytes", "bytes", 256 * _KIB, 1 * _KIB, 16 * _MIB, "daemon",
          "what a handler may write to standard output, or answer over HTTP"),
    Limit("handler_error_bytes", "bytes", 1 * _MIB, 1 * _KIB, 1024 * _MIB, "daemon",
          "what a handler may write to standard error"),
    Limit("handler_memory_mib", "MiB", 1024, 16, 1_000_000, "daemon",
          "memory of one run of a handler, with all that it starts"),
    Limit("handler_pids", "processes", 256, 4, 100_000, "daemon",
          "processes and threads of one run of a handler"),
    Limit("handler_lease_seconds", "seconds", 30, 3, 3600, "daemon",
          "lease of a message that is being handled, renewed meanwhile; after a crash of the "
          "daemon it is handled again when this is over"),
    Limit("handler_retry_first_seconds", "seconds", 1, 0.01, 3600, "daemon",
          "first wait before a message whose handler failed is handled again; doubles from there"),
    Limit("handler_retry_most_seconds", "seconds", 60, 0.05, 86400, "daemon",
          "longest wait between two tries of a handler"),
    # Health
    Limit("health_disk_free_mib", "MiB", 256, 1, 1_000_000, "daemon",
          "free disk under which health warns; a quarter of it fails"),
    Limit("health_stall_ms", "ms", 1000, 10, 60000, "daemon",
          "longest stall of the loop over which health warns"),
    Limit("health_tls_days", "days", 30, 0, 3650, "daemon",
          "days that the certificate is good for under which health warns"),
    # Deploy
    Limit("deploy_confirm_seconds", "seconds", 60, 5, 3600, "deploy",
          "a touched node that hears nothing puts itself back after this"),
    Limit("deploy_settle_seconds", "seconds", 3, 0, 300, "deploy",
          "verify looks again after this"),
    Limit("deploy_ready_seconds", "seconds", 30, 1, 600, "deploy",
          "a unit that is not ready by then has failed"),
    Limit("deploy_phase_seconds", "seconds", 120, 5, 3600, "deploy",
          "one phase on one node"),
    Limit("deploy_run_seconds", "seconds", 1800, 30, 86400, "deploy",
          "one ansible-playbook run"),
    Limit("deploy_connect_seconds", "seconds", 10, 1, 120, "deploy",
          "one ssh connection"),
    Limit("deploy_fetch_seconds", "seconds", 60, 1, 3600, "deploy",
          "git fetch"),
    Limit("deploy_forks", "hosts", 50, 1, 500, "deploy",
          "hosts that Ansible works on at once, at least"),
    Limit("deploy_ansible_memory_mib", "MiB", 1024, 256, 1_000_000, "deploy",
          "memory of each of Ansible's processes: what one node says is held in one of them"),
    Limit("deploy_disk_free_mib", "MiB", 256, 1, 1_000_000, "deploy",
          "free disk that preflight wants on a node"),
    Limit("deploy_clock_seconds", "seconds", 60, 1, 86400, "deploy",
          "how far a node's clock may be from the orchestrator's"),
    Limit("deploy_lock_seconds", "seconds", 10, 0, 600, "deploy",
          "wait for an earlier run's phase on a node before it is ended"),
    Limit("deploy_keep_releases", "releases", 5, 2, 100, "deploy",
          "verified releases kept on a node"),
    Limit("deploy_keep_runs", "deploys", 200, 10, 100000, "deploy",
          "deploys whose files are kept"),
    Limit("deploy_keep_said_mib", "MiB", 2048, 64, 1_000_000, "deploy",
          "what nodes and Ansible said in all kept deploys; the oldest ones' files go first"),
    Limit("deploy_hook_tries", "deploys", 5, 1, 1000, "deploy",
          "times within an hour that webhooks may have a commit tried which fails each time"),
    Limit("deploy_state_snapshot_mib", "MiB", 512, 0, 1_000_000, "deploy",
          "largest state directory that is snapshotted before a deploy"),
    Limit("deploy_file_bytes", "bytes", 1 * _MIB, 1 * _KIB, 64 * _MIB, "deploy",
          "one rendered file or soul"),
    # Certificates
    Limit("deploy_tls_days", "days", 365, 0.01, 3650, "deploy",
          "for how long a wizard's certificate is made"),
    Limit("deploy_tls_renew_days", "days", 90, 0, 3650, "deploy",
          "days that a certificate is good for under which a deploy makes a new one"),
    Limit("deploy_tls_ca_days", "days", 3650, 1, 36500, "deploy",
          "for how long the fleet's CA is made"),
    # Pin of fleet-agent itself
    Limit("pin_wheel_bytes", "bytes", 64 * _MIB, 1 * _KIB, 1024 * _MIB, "deploy",
          "size of the pinned wheel"),
    Limit("pin_unpacked_bytes", "bytes", 256 * _MIB, 1 * _KIB, 4096 * _MIB, "deploy",
          "size of the pinned wheel's files together"),
    Limit("pin_files", "files", 10_000, 10, 1_000_000, "deploy",
          "files of the pinned wheel"),
    Limit("deploy_tree_mib", "MiB", 256, 1, 100_000, "deploy",
          "all files of one commit of the fleet-ops repository together"),
    Limit("deploy_tree_files", "files", 20_000, 10, 1_000_000, "deploy",
          "files of one commit of the fleet-ops repository"),
    Limit("deploy_keep_deliveries", "deliveries", 10_000, 100, 10_000_000, "deploy",
          "webhook deliveries kept in the history"),
    Limit("deploy_socket_line_bytes", "bytes", 64 * _KIB, 1 * _KIB, 1 * _MIB, "deploy",
          "one line to fleet-deploy's socket"),
    Limit("deploy_socket_seconds", "seconds", 10, 0.1, 300, "deploy",
          "a client of fleet-deploy's socket that neither sends nor reads"),
    Limit("deploy_socket_clients", "clients", 128, 4, 4096, "deploy",
          "clients of fleet-deploy's socket at once; half of them may follow"),
    # Status
    Limit("status_seconds", "seconds", 5, 0.5, 120, "deploy",
          "ssh and health of one wizard, each"),
    # Files that people write: read before any setting is known, so always with these defaults
    Limit("registry_bytes", "bytes", 16 * _MIB, 1 * _KIB, 256 * _MIB, "file",
          "size of fleet.yaml"),
    Limit("yaml_depth", "levels", 32, 4, 256, "file",
          "nesting of a YAML file, its aliases followed"),
    Limit("yaml_nodes", "nodes", 2_000_000, 1000, 100_000_000, "file",
          "values in a YAML file"),
    Limit("yaml_alias_nodes", "nodes", 100_000, 0, 10_000_000, "file",
          "values that a YAML file's aliases repeat"),
    Limit("yaml_mistakes", "mistakes", 1000, 1, 1_000_000, "file",
          "mistakes shown for one file; more are counted"),
)
# fmt: on

BY_NAME: Final[Mapping[str, Limit]] = {limit.name: limit for limit in TABLE}


class Limits(Mapping[str, float]):
    """Values of all limits: the defaults, with some replaced. Immutable.

    Whole-number limits are read with ``.whole(name)``.
    """

    def __init__(self, changed: Mapping[str, object] | None = None) -> None:
        self._values: dict[str, float] = {limit.name: limit.default for limit in TABLE}
        for name, value in (changed or {}).items():
            self._values[name] = check(name, value)

    def __getitem__(self, name: str) -> float:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def whole(self, name: str) -> int:
        """The limit ``name`` as a whole number (bytes, counts)."""
        return int(self._values[name])


def check(name: str, value: object) -> float:
    """``value`` if it is a number within the bounds of the limit ``name``.

    Raises ConfigError for an unknown name, another type, or a number out of bounds.
    """
    limit = BY_NAME.get(name)
    if limit is None:
        raise ConfigError("unknown setting", where=name, mend="see etc/daemon.yaml")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"must be a number of {limit.unit}, is {value!r}", where=name)
    if not limit.low <= value <= limit.high:
        raise ConfigError(
            f"must lie between {limit.low:.15g} and {limit.high:.15g} {limit.unit}, "
            f"is {value:.15g}",
            where=name,
        )
    return float(value)
