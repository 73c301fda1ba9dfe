"""What a bootstrap tells while it goes on: a step at a time, what was changed on whom."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is so now, on whom it had to be changed for that, and on whom it was so."""

    what: str
    changed: tuple[str, ...]
    same: tuple[str, ...]

    @property
    def line(self) -> str:
        """``changed   deploy user fleet: ezra, bezalel (allegro had it)``."""
        if not self.changed:
            return f"  as it was  {self.what}"
        names = ", ".join(self.changed)
        rest = f" ({_several(self.same)} had it)" if self.same else ""
        return f"  changed    {self.what}: {names}{rest}"


@dataclass(slots=True)
class Account:
    """Collects the steps and says each one as it is done."""

    say: Callable[[str], None]
    steps: list[Step] = field(default_factory=list)

    def add(self, what: str, changed: Iterable[str] = (), same: Iterable[str] = ()) -> None:
        """Record one step and say it."""
        step = Step(what, tuple(changed), tuple(same))
        self.steps.append(step)
        self.say(step.line)

    def add_answers(self, answers: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Record what a remote program did on several machines, by their labels."""
        done: dict[str, dict[bool, list[str]]] = {}
        for label, steps in answers.items():
            for step in steps:
                both = done.setdefault(str(step["what"]), {True: [], False: []})
                both[bool(step["changed"])].append(label)
        for what, both in done.items():
            self.add(what, both[True], both[False])

    @property
    def changed(self) -> bool:
        """Whether anything was changed anywhere."""
        return any(step.changed for step in self.steps)


def _several(labels: Sequence[str]) -> str:
    return ", ".join(labels) if len(labels) <= 3 else f"{len(labels)} others"
