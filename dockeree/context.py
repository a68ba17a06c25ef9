"""What a step is handed: the configuration, the state, AWS, a way to the nodes, and somebody to tell."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dockeree.waiting import REAL_CLOCK, Clock

if TYPE_CHECKING:
    from dockeree.aws.session import Aws
    from dockeree.config import Config
    from dockeree.report import Report
    from dockeree.ssh.remote import Connector, Remote
    from dockeree.state import State


class Interrupted(Exception):
    """Ctrl-C was pressed: finish the call under way, start nothing more."""


@dataclass(frozen=True)
class Cluster:
    """Everything a step works with. One object a run; `step_key` differs in the copy that each step gets."""

    config: Config
    state: State
    aws: Aws
    connect: Connector
    report: Report
    clock: Clock = REAL_CLOCK
    interrupted: threading.Event = field(default_factory=threading.Event)
    between_steps: Callable[[str], None] = lambda boundary: None
    """Called at each boundary between steps (`before:KEY`, `after:KEY`): the tests' place for a `kill -9`."""
    step_key: str = ""
    deletes: frozenset[str] = frozenset()
    """Which kinds of buckets `destroy` does not keep: `backups`, `images`."""
    chosen_password: str = field(default="", repr=False)
    """The password for UCP's administrator that was typed for a cluster which has none yet; empty: none was."""

    @property
    def name(self) -> str:
        """The cluster's name, as configured."""
        return self.config.name

    @property
    def id(self) -> str:
        """The cluster's own id, 8 hexadecimal digits, the same for every operator (steps/claim.py)."""
        return self.state.cluster_id

    def for_step(self, key: str) -> Cluster:
        """The copy of this context that step `key` is handed."""
        return replace(self, step_key=key)

    def detail(self, text: str) -> None:
        """Say what the current step does at this moment."""
        self.report.detail(self.step_key, text)

    def check_interrupted(self) -> None:
        """Raise Interrupted when Ctrl-C was pressed; waits call this before each probe."""
        if self.interrupted.is_set():
            raise Interrupted

    def remote(self, *, name: str, host: str, instance_id: str) -> Remote:
        """Open an SSH connection to a node by its public address, its host key pinned by instance id."""
        return self.connect(name=name, host=host, host_key_id=instance_id)
