"""What this account can read of fleet-agent's secrets, and everything that it can write."""

from __future__ import annotations

import glob
import os

SECRETS = (
    "/etc/shadow", "/etc/fleet-agent/hook/secret", "/etc/fleet-agent/*/keys/*",
    "/var/lib/fleet-agent/*", "/var/lib/fleet-agent/*/*", "/var/lib/fleet-deploy",
    "/var/lib/fleet-deploy/ssh/id_ed25519", "/var/lib/fleet-deploy/keys/master",
)  # fmt: skip
OTHERS = ("/proc", "/sys", "/dev", "/tmp", "/var/tmp")

for pattern in SECRETS:
    for path in glob.glob(pattern):
        if os.access(path, os.R_OK):
            print("reads", path)
for above, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(above, name) not in OTHERS]
    for name in (*folders, *files):
        path = os.path.join(above, name)
        if not os.path.islink(path) and os.access(path, os.W_OK):
            print("writes", path)
