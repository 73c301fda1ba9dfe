"""docs/limits.md, made from the table of limits: `python -m tests.house.limits_page`."""

from __future__ import annotations

import sys

from fleet_agent.limits import TABLE, Limit

HEAD = """\
# Limits

Every limit of fleet-agent, its default and its bounds. Those of a daemon are set in the registry
under `settings:`, for all wizards or for one; those of a deploy under `deploy: limits:`. This page
is made from `fleet_agent/limits.py` and compared with it by a test.
"""
SCOPES = (
    ("daemon", "A wizard's daemon"),
    ("deploy", "The pipeline and the operator's side"),
    ("file", "Files that people write: read before any setting is known, so never changed"),
)


def page() -> str:
    """The whole page."""
    return HEAD + "".join(_section(scope, title) for scope, title in SCOPES)


def _section(scope: str, title: str) -> str:
    rows = "".join(_row(limit) for limit in TABLE if limit.scope == scope)
    columns = "| limit | unit | default | from | to | what |\n|---|---|---:|---:|---:|---|\n"
    return f"\n## {title}\n\n{columns}{rows}"


def _row(limit: Limit) -> str:
    numbers = " | ".join(f"{value:.15g}" for value in (limit.default, limit.low, limit.high))
    return f"| `{limit.name}` | {limit.unit} | {numbers} | {limit.help} |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
