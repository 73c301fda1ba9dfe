"""Fuzzers: each file ``fuzz_*.py`` opens with its invariant and has ``fuzz(seconds, seed) -> int``.

``fuzz`` feeds hostile input for that long, raises when the invariant breaks (naming the input), and
returns how often it fed. What it finds goes to tests/corpus, to stay.
"""
