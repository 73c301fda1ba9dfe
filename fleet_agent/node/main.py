"""The node's own program: one phase, ``confirm``, ``expire NONCE``, ``recover`` or ``show``.

Spec (then pack, then keys) come on standard input, one JSON line goes to standard output, words to
standard error. Exit code 0 done, 1 failed (the JSON says why), 2 not understood.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import IO, Any, Final, NoReturn

from fleet_agent.errors import FleetError
from fleet_agent.node.errors import SpecError, as_dict
from fleet_agent.node.layout import Layout
from fleet_agent.node.log import Log
from fleet_agent.node.spec import MOST_BYTES, Spec, parse
from fleet_agent.wire import Phase

EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_NOT_UNDERSTOOD: Final = 2
CONFIRM: Final = "confirm"
_USAGE: Final = "usage: node.pyz PHASE | confirm | expire NONCE | recover | show   [--root DIR]"


def entry() -> NoReturn:
    """What ``python3 -I -S node.pyz …`` runs."""
    sys.exit(_main(sys.argv[1:], sys.stdin.buffer))


def loaded(pyz: bytes, sha256: str, install: bool) -> NoReturn:
    """What the loader runs: the same, with the code installed first if that is wanted."""
    words = sys.argv[1:]
    sys.exit(_asked(words[0], sys.stdin.buffer, (pyz, sha256) if install else None))


def _main(words: list[str], stdin: IO[bytes]) -> int:
    words, root = _root_of(words)
    layout = Layout(root=root)
    verb = words[0] if words else ""
    if len(words) == 1 and verb in {*Phase, CONFIRM}:
        return _asked(verb, stdin, None)
    if len(words) >= 2 and verb == "expire":
        from fleet_agent.node import expire

        return _by_itself(verb, lambda: expire.run(_layout_here(layout), words[1]))
    if words == ["recover"]:
        from fleet_agent.node import recover

        return _by_itself(verb, lambda: recover.run(_layout_here(layout)) or True)
    if words == ["show"]:
        from fleet_agent.node import show

        _print(show.run(layout))
        return EXIT_DONE
    sys.stderr.write(_USAGE + "\n")
    return EXIT_NOT_UNDERSTOOD


def _root_of(words: list[str]) -> tuple[list[str], str]:
    if "--root" in words[:-1]:
        at = words.index("--root")
        return words[:at] + words[at + 2 :], words[at + 1]
    return [word for word in words if word != "--wait"], "/"


def _layout_here(layout: Layout) -> Layout:
    """The layout that the last run on this node was given; it is written in the journal."""
    from fleet_agent.node import journal
    from fleet_agent.node import layout as layouts

    found = journal.read(layout)
    return layout if found is None else layouts.from_json(found.layout)


def _by_itself(verb: str, act: Any) -> int:
    try:
        return EXIT_DONE if act() else EXIT_FAILED
    except (FleetError, OSError) as error:
        Log(f"fleet-agent {verb}").say(str(error))
        return EXIT_FAILED


def _asked(verb: str, stdin: IO[bytes], code: tuple[bytes, str] | None) -> int:
    """Do what a spec on ``stdin`` asks for and print the result."""
    try:
        spec = parse(stdin.readline(MOST_BYTES))
        pack = _pack(spec, stdin.read(spec.pack_bytes)) if spec.pack_bytes else {}
        keys = stdin.read(spec.parcel_bytes)
        if len(keys) != spec.parcel_bytes:
            raise SpecError(f"the parcel is cut off after {len(keys)} bytes", where="parcel")
    except FleetError as error:
        _print({"ok": False, "error": as_dict(error)})
        return EXIT_NOT_UNDERSTOOD
    result = _result(verb, spec, pack, keys, code)
    _print(result)
    return EXIT_DONE if result["ok"] else EXIT_FAILED


def _pack(spec: Spec, data: bytes) -> dict[str, bytes]:
    from fleet_agent.release.pack import unpack

    if len(data) != spec.pack_bytes:
        raise SpecError(f"the pack is cut off after {len(data)} bytes", where="pack")
    return unpack(data, spec.wanted)


def _result(
    verb: str,
    spec: Spec,
    pack: dict[str, bytes],
    keys: bytes,
    code: tuple[bytes, str] | None,
) -> dict[str, Any]:
    from fleet_agent.node import act as acts
    from fleet_agent.node import journal, lock, work

    log = Log(f"deploy {spec.deploy}: {verb}")
    outcome, problem = acts.Outcome(), None
    act = None
    try:
        if code is not None:
            from fleet_agent.node import install

            install.install(spec.layout, *code)
        if spec.check:
            act = work.of_spec(spec, pack, journal.Book(spec.layout, spec.kill_at), log, keys)
            outcome = import_module(f"fleet_agent.node.{verb}").run(act)
        else:
            who = lock.me(spec.deploy, spec.nonce, verb, spec.holder)
            with lock.taken(spec.layout, who, spec.limits["deploy_lock_seconds"]):
                act = work.of_spec(spec, pack, journal.Book(spec.layout, spec.kill_at), log, keys)
                outcome = import_module(f"fleet_agent.node.{verb}").run(act)
    except FleetError as error:
        problem = as_dict(error)
    except OSError as error:
        problem = {"what": str(error.strerror), "where": str(error.filename or verb), "mend": ""}
    if problem is not None:
        log.say(f"{problem['where']}: {problem['what']}")
    if act is None:
        return {"ok": False, "touched": False, "armed": False, "changed": False, "error": problem}
    return acts.as_result(act, outcome, problem)


def _print(value: Any) -> None:
    sys.stdout.write(json.dumps(value, separators=(",", ":")) + "\n")
    sys.stdout.flush()
