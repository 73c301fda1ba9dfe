"""Looks for secrets in the arguments and environments of every process, until it was enough."""

from __future__ import annotations

import json
import os
import time

END = time.monotonic() + 120
OF_DEPLOYS = (b".pyz", b"ansible-playbook")

with open("/root/secrets", encoding="utf-8") as source:
    secrets = [one.encode() for one in json.load(source)]
seen: set[str] = set()
looked = False
while time.monotonic() < END and not os.path.exists("/root/enough"):
    for pid in os.listdir("/proc"):
        for name in ("cmdline", "environ"):
            try:
                with open(f"/proc/{pid}/{name}", "rb") as opened:
                    data = opened.read()
            except OSError:
                continue
            looked = looked or any(word in data for word in OF_DEPLOYS)
            if any(one in data for one in secrets):
                seen.add(f"{name}: {data.decode('utf-8', 'replace')}")
print(json.dumps([sorted(seen), looked]))
