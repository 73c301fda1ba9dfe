"""Names for wizards that nobody has named yet: short, easy to tell apart, the same each time."""

from __future__ import annotations

from typing import Final

# Craftsmen, scribes and seers: ezra writes the law down, bezalel builds, allegro hurries.
NAMES: Final = (
    "ezra", "bezalel", "allegro", "miriam", "solon", "hypatia", "merlin", "deborah",
    "archimedes", "gandalf", "huldah", "prospero", "circe", "daedalus", "sibyl", "ogma",
    "vivian", "zoroaster", "medea", "nestor", "morgana", "radagast", "tiresias", "baba",
    "faust", "glinda", "hermes", "isis", "jannes", "kalypso", "largo", "magnus",
)  # fmt: skip


def wizard_names(count: int) -> tuple[str, ...]:
    """``count`` names, none twice; past the list they are numbered: ``wizard-33``, …"""
    extra = (f"wizard-{number}" for number in range(len(NAMES) + 1, count + 1))
    return (*NAMES[:count], *extra)
