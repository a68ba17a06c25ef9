"""A step: one thing done on the way up, and how it is taken back on the way down.

A workflow is a tuple of step classes. The runner (steps/runner.py) starts a step as soon as the steps in its `after`
are done, each in a thread, so that what can overlap does. `destroy` runs `undo` with the arrows turned round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from dockeree.context import Cluster


class Step:
    """One thing done. Subclasses say what in `title`, in the words of their class name."""

    title: ClassVar[str] = ""
    undo_title: ClassVar[str] = ""
    """What the way down says of it, e.g. "Delete the VPC"."""
    group: ClassVar[str] = ""
    """The row of the screen that this step belongs to: network, access, managers, workers, balancers, swarm."""
    after: ClassVar[tuple[type[Step], ...]] = ()

    def run(self, cluster: Cluster) -> bool:
        """Do it, safe to repeat: find what is there, else create it with its tags. True when anything changed."""
        raise NotImplementedError

    def undo(self, cluster: Cluster) -> bool:  # noqa: ARG002 - the contract of every step
        """Take it back, from what the tags find and not from the state; "already gone" is fine. True if changed."""
        return False
