"""The few lines that bring the node's own code to a node where it is not yet. Text only, pure.

Before the spec it reads one JSON line ``{"pyz", "bytes", "install"}`` and the code itself; in a
check nothing is installed, the code then runs from memory.
"""

from __future__ import annotations

import json
from typing import Final

# Runs on any Python 3: what is too old says so in the form that the other side reads.
_SOURCE: Final = """\
import sys
def no(what, mend):
    sys.stdout.write('{"ok": false, "error": {"what": "' + what + '", "where": "python3", "mend": "'
                     + mend + '"}}\\n')
    sys.exit(1)
if sys.version_info < (3, 11):
    no('is ' + sys.version.split()[0] + ', 3.11 is needed', 'install a newer python3')
import hashlib, json, os
head = json.loads(sys.stdin.buffer.readline())
code = sys.stdin.buffer.read(head['bytes'])
if hashlib.sha256(code).hexdigest() != head['pyz']:
    no('the code of the node arrived damaged', 'run the deploy again')
memory = os.memfd_create('node.pyz')
with open(memory, 'wb', closefd=False) as out:
    out.write(code)
sys.path.insert(0, '/proc/self/fd/%d' % memory)
from fleet_agent.node.main import loaded
loaded(code, head['pyz'], head['install'])
"""


def loader_source() -> str:
    """The program for ``python3 -I -S -c``."""
    return _SOURCE


def header(pyz: bytes, sha256: str, *, install: bool) -> bytes:
    """What goes in before the spec: the JSON line, and the code."""
    line = json.dumps({"pyz": sha256, "bytes": len(pyz), "install": install})
    return line.encode() + b"\n" + pyz
