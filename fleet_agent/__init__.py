"""fleet-agent: deploys and governs a fleet of LLM agents on plain Linux machines."""

__version__ = "0.1.0"
