"""A stand-in for an LLM agent: reads its configuration and its soul, says what it read, and works.

Standard library only. `die_after_s` in the configuration lets it fail while it works.
"""

import hashlib
import json
import sys
import time


def main(config_path: str) -> int:
    with open(config_path, encoding="utf-8") as source:
        config = json.load(source)
    with open(config["soul"], "rb") as source:
        soul = source.read()
    said = {"model": config["model"], "soul": hashlib.sha256(soul).hexdigest()}
    print("stand-in: " + json.dumps(said), flush=True)
    if config.get("die_after_s") is not None:
        time.sleep(config["die_after_s"])
        print("stand-in: out of ideas", flush=True)
        return 3
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
