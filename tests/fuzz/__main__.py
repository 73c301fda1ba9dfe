"""`python -m tests.fuzz SECONDS [NAME…]`: every fuzzer for its share of the seconds."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).parent


def names() -> list[str]:
    """The fuzzers that there are."""
    return sorted(path.stem.removeprefix("fuzz_") for path in HERE.glob("fuzz_*.py"))


def main() -> int:
    """Run them one after the other; 0 when no invariant broke."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("seconds", type=float, help="for all of them together")
    parser.add_argument("names", nargs="*", help="only these (default: all)")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)))
    asked = parser.parse_args()
    chosen = asked.names or names()
    if not chosen:
        print("there is no tests/fuzz/fuzz_*.py", file=sys.stderr)
        return 2
    share = asked.seconds / len(chosen)
    broken = [name for name in chosen if not _one(name, share, asked.seed)]
    print(f"{len(chosen) - len(broken)} passed, {len(broken)} failed")
    return 1 if broken else 0


def _one(name: str, seconds: float, seed: int) -> bool:
    began = time.monotonic()
    try:
        count = importlib.import_module(f"tests.fuzz.fuzz_{name}").fuzz(seconds, seed)
    except Exception:  # noqa: BLE001 (whatever a fuzzer finds is a finding)
        traceback.print_exc()
        print(f"{name}: BROKEN, seed {seed}", flush=True)
        return False
    took = time.monotonic() - began
    print(f"{name}: {count} executions in {took:.1f} s, seed {seed}", flush=True)
    return count > 0


if __name__ == "__main__":
    sys.exit(main())
