"""``python -m fleet_agent``: the same as the command ``fleet-agent``."""

from fleet_agent.cli.main import entry

if __name__ == "__main__":
    entry()
