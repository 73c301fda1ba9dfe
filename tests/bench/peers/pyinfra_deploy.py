"""The same work as a deploy of ours, as pyinfra operations. Values come from the environment."""

import io
import os

from pyinfra.operations import files, server, systemd

RELEASE = os.environ["PEER_RELEASE"]
ARCHIVE = os.environ["PEER_ARCHIVE"]
PORT = os.environ["PEER_PORT"]
BASE = "/opt/peer-pyinfra"
HERE = f"{BASE}/releases/{RELEASE}"
UNIT = "peer-pyinfra.service"

server.shell(name="See what is there", commands=["/usr/bin/python3 --version", "df /opt"])
server.user(name="Make the account", user="peer", system=True, shell="/usr/sbin/nologin")
for path in (BASE, f"{BASE}/releases", HERE, "/etc/peer-pyinfra"):
    files.directory(name=f"Make {path}", path=path, mode="755")
files.put(name="Send the release", src=ARCHIVE, dest=f"{HERE}.tar.gz", mode="600")
server.shell(name="Unpack it", commands=[f"tar -xzf {HERE}.tar.gz -C {HERE}"])
files.put(
    name="Place the settings",
    src=io.StringIO(f'{{"release": "{RELEASE}", "port": {PORT}}}\n'),
    dest=f"{HERE}/settings.json",
)
files.put(
    name="Place the soul",
    src=io.StringIO(f"Be kind. {RELEASE}\n"),
    dest=f"{HERE}/soul",
    mode="444",
)
files.put(
    name="Place the agent's configuration",
    src=io.StringIO(f"model: {RELEASE}\n"),
    dest="/etc/peer-pyinfra/config.yaml",
    mode="640",
)
files.link(name="Switch to the release", path=f"{BASE}/current", target=HERE)
files.put(
    name="Place the unit",
    src=io.StringIO(
        "[Service]\n"
        "ExecStart=/usr/bin/python3 -m http.server --bind 127.0.0.1 "
        f"--directory {BASE}/current {PORT}\n"
        "User=peer\nRestart=always\n[Install]\nWantedBy=multi-user.target\n"
    ),
    dest=f"/etc/systemd/system/{UNIT}",
)
systemd.service(
    name="Restart the agent",
    service=UNIT,
    running=True,
    restarted=True,
    enabled=True,
    daemon_reload=True,
)
server.shell(
    name="Wait until it is healthy, settle, look again",
    commands=[
        "for i in $(seq 60); do "
        f"curl -fs http://127.0.0.1:{PORT}/health.json >/dev/null && break; sleep 0.1; done; "
        f"sleep 1; curl -fs http://127.0.0.1:{PORT}/health.json"
    ],
)
