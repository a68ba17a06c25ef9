"""How an installation tells what it does: numbered steps from 3.3 on, sentences before; where it fails on demand."""

from __future__ import annotations

from dockeree.lab.standins.program.log import Fatal, Log
from dockeree.lab.standins.program.release import Release

PHASES = ("validate", "swarm-ca", "volumes", "agents", "reconcile", "controller")
"""In the order they come. A tag REPOSITORY:VERSION-fail-PHASE fails in that phase:

- `validate` before anything is changed; `swarm-ca` when the authority is made and the swarm does not have it yet;
  `volumes` when half of them are filled. After these an installation can be started again.
- `agents`, `reconcile` and `controller` when the service ucp-agent is there and its tasks, the node's reconcile or the
  controller end with an error. What is half there must be removed by `uninstall-ucp` before the next installation.
"""
STEPS = 8


class Progress:
    """The steps of an installation."""

    def __init__(self, log: Log, release: Release) -> None:
        self._log, self._release, self._number = log, release, 0

    def step(self, title: str, sentence: str = "") -> None:
        """The next step has begun."""
        self._number += 1
        if self._release.is_at_least(3, 3):
            self._log.info(f"Step {self._number} of {STEPS}: [{title}]")
        elif sentence:
            self._log.info(sentence)

    def say(self, sentence: str) -> None:
        """A sentence that only releases before 3.3 say."""
        if not self._release.is_at_least(3, 3):
            self._log.info(sentence)

    def may_fail(self, phase: str) -> None:
        """Raises Fatal when the image's tag says so."""
        if self._release.fails_at == phase:
            raise Fatal(f"failed in the phase {phase}, as the tag of this stand-in says")
