"""On the orchestrator: can ``fleet-deploy`` start from the release that is now in force?

It takes over at the next deploy, when nobody looks; so it proves itself while this one is watched.
"""

from __future__ import annotations

import os
import time
from typing import Final

from fleet_agent import proc
from fleet_agent.errors import NodeError
from fleet_agent.node.layout import OPT, Layout
from fleet_agent.release.manifest import Manifest

_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.02
# What fleet-deploy imports, from the release instead of from where it is installed.
_PROGRAM: Final = """\
import sys
sys.path.insert(0, sys.argv[1])
import fleet_agent.services.deploy
print(fleet_agent.__version__)
"""


class Trial:
    """A start of the release's own pipeline, under way beside other looks."""

    def __init__(self, layout: Layout, manifest: Manifest) -> None:
        self._code = f"{layout.current}/code"
        python = layout.at(f"{OPT}/venv/bin/python")
        wanted = manifest.orchestrator and os.path.exists(python)
        self._running = proc.start([python, "-I", "-c", _PROGRAM, self._code]) if wanted else None

    def result(self) -> str:
        """The version that was loaded, empty where there is nothing to try. Raises NodeError."""
        running = self._running
        if running is None:
            return ""
        deadline = time.monotonic() + _SECONDS
        while running.poll() is None:
            if time.monotonic() > deadline:
                proc.end(running)
                raise NodeError(f"did not load within {_SECONDS:g} s", where=self._code)
            time.sleep(_PAUSE_SECONDS)
        out, err = running.communicate()
        if running.returncode != 0:
            words = err.decode("utf-8", "replace").strip().splitlines()[-3:]
            raise NodeError(
                f"fleet-deploy can't start from this release: {' / '.join(words)}",
                where=self._code,
                mend="the environment below /opt/fleet-agent/venv may lack something",
            )
        return out.decode("utf-8", "replace").strip()
