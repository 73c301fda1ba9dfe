"""Programs that bootstrap runs on machines that have nothing of ours yet.

Each module has ``main(given: dict, payload: BinaryIO) -> dict`` and is sent over ssh as source,
with ``errors``, ``proc`` and ``ground``; they import nothing else but the standard library.
"""
