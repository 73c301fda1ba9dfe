"""What the demo shows, act by act, with the commands that an operator types."""

from __future__ import annotations

import json
import shlex
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

from fleet_agent import errors
from fleet_agent.deploy.client import SOCKET_VARIABLE, Client
from fleet_agent.deploy.protocol import LIST
from fleet_agent.errors import NodeError
from fleet_agent.setup.demo import fleet, forge, nodes
from fleet_agent.setup.demo.ground import Ground, caller
from fleet_agent.setup.demo.screen import Screen
from fleet_agent.setup.git import WorkTree

_HOOK_SECONDS: Final = 15.0
_PAUSE_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Story:
    """The acts, in their order. Each raises FleetError when it does not come out as told."""

    ground: Ground
    screen: Screen

    def tell(self) -> None:
        """All of it."""
        with self.screen.act("A fleet-ops repository, three bare nodes, and the deploy service"):
            self._begin()
        with self.screen.act("First deploy: three bare nodes, asked for by hand"):
            self.screen.say("  (the webhook's receiver is part of what is deployed here)")
            self._expect(self._fleet_agent("deploy", "--ref", "PROD"), errors.EXIT_OK)
        with self.screen.act("A change: another model for every wizard, by webhook"):
            fleet.change_model(self.ground)
            self._promote(errors.EXIT_OK)
        with self.screen.act("The fleet at a glance"):
            self._expect(self._fleet_agent("status"), errors.EXIT_OK)
            self._to_ask()
        with self.screen.act("One wizard asks another, whose handler answers"):
            self._expect(self._ask("What do you think with?"), errors.EXIT_OK)
        with self.screen.act("A broken release, and the way back"):
            self.screen.say("  (the agents can't start with it: they end at once)")
            fleet.break_agents(self.ground)
            self._promote(errors.EXIT_ROLLED_BACK)
            self._expect(self._fleet_agent("status"), errors.EXIT_OK)
            fleet.mend_agents(self.ground)

    def _begin(self) -> None:
        forge.make(self.ground)
        commit = fleet.make(self.ground)
        tree = WorkTree(self.ground.fleet_ops)
        tree.git("tag", "--force", "PROD")
        tree.git("push", "--quiet", "--force", "origin", "PROD")
        nodes.start_pipeline(self.ground)
        for node in self.ground.nodes:
            self.screen.say(f"  {node.wizard:<8} host {node.host}, gateway {node.url}, {node.root}")
        self.screen.say(f"  fleet-ops at {self.ground.fleet_ops}, commit {commit[:12]}")
        self.screen.say(f"  forge at {self.ground.forge}, webhook to {self.ground.hook_url}")

    def _promote(self, wanted: int) -> None:
        """Move the tag and push it; the forge's webhook does the rest."""
        before = self._newest()
        git = ["git", "-C", str(self.ground.fleet_ops)]
        show = [*git, "--no-pager", "show", "--format=%h %s", "--unified=0", "HEAD"]
        self.screen.run(show, shown="git show")
        self._git_run("push", "--quiet", "origin", "main")
        self._git_run("tag", "--force", "PROD")
        self._git_run("push", "--quiet", "--force", "origin", "PROD")
        number = self._await_newer(before)
        self._expect(self._fleet_agent("deploys", "follow", str(number)), wanted)

    def _git_run(self, *words: str) -> None:
        argv = ["git", "-C", str(self.ground.fleet_ops), *words]
        self._expect(self.screen.run(argv, shown=" ".join(["git", *words])), 0)

    def _newest(self) -> int:
        found: list[dict[str, Any]] = Client(self.ground.deploy.socket).ask(LIST, limit=1)[
            "deploys"
        ]
        return int(found[0]["id"]) if found else 0

    def _await_newer(self, before: int) -> int:
        limit = time.monotonic() + _HOOK_SECONDS
        while time.monotonic() < limit:
            if (newest := self._newest()) > before:
                return newest
            time.sleep(_PAUSE_SECONDS)
        said = "\n".join(forge.deliveries(self.ground)[-4:]) or "nothing was delivered"
        raise NodeError(f"the webhook caused no deploy:\n{said}", where=self.ground.hook_url)

    def _fleet_agent(self, *words: str) -> int:
        argv = [sys.executable, "-m", "fleet_agent", *words]
        return self.screen.run(
            argv, cwd=str(self.ground.fleet_ops), shown=" ".join(["fleet-agent", *words])
        )

    def _ask(self, question: str) -> int:
        """The first wizard's agent asks the second one's."""
        first, second = self.ground.nodes[:2]
        socket = f"{first.root}/run/fleet-agent/{first.wizard}/agent.sock"
        words = ["ask", second.wizard, question]
        return self.screen.run(
            [sys.executable, "-m", "fleet_agent", *words, "--socket", socket],
            cwd=str(self.ground.fleet_ops),
            shown=f"fleet-agent {shlex.join(words)}  # as {first.wizard}'s agent",
        )

    @staticmethod
    def _expect(code: int, wanted: int) -> None:
        if code != wanted:
            raise NodeError(f"that ended with {code}, and should have ended with {wanted}")

    def _to_ask(self) -> None:
        """Lines to ask the wizards with, from another terminal."""
        say = self.screen.say
        first, second = self.ground.nodes[:2]
        message = json.dumps(
            {"from": first.wizard, "to": second.wizard, "type": "request", "payload": {"q": "?"},
             "timestamp": int(time.time())}
        )  # fmt: skip
        say("\nTry, in another terminal:")
        say(f"  curl -s {first.url}/health | python3 -m json.tool")
        socket = f"{first.root}/run/fleet-agent/{first.wizard}/agent.sock"
        say(f"  curl -s --unix-socket {socket} 'http://agent/find?capability=build'")
        say(f"  curl -s --unix-socket {socket} http://agent/message -d '{message}'")

    def to_try(self) -> None:
        """Lines to work as the operator with, from another terminal."""
        ground, say = self.ground, self.screen.say
        say("All is up. Be the operator, in another terminal:")
        say(f"  export {SOCKET_VARIABLE}={ground.deploy.socket}")
        say(f"  cd {ground.fleet_ops}; . {sys.prefix}/bin/activate")
        say("  fleet-agent status; fleet-agent deploys; fleet-agent deploys show")
        say("  git tag -f PROD && git push -f origin main PROD && fleet-agent deploys follow")
        say(f"  {shlex.join([*caller(ground.orchestrator.root), 'systemctl', 'list-units'])}")
