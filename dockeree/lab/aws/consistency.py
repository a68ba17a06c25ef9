"""Eventual consistency: now and then, a new id is not found by the first describe that names it.

On AWS this lasts for a moment after the creating call, on a few of them. Here every `ONE_IN`th new resource is such a
one, by a counter, so that a run can be repeated exactly.
"""

from __future__ import annotations

import time

from dockeree.lab.aws.core import Lab

ONE_IN = 5
WINDOW_SECONDS = 5.0
"""AWS's time, scaled like all others."""


class Consistency:
    """Remembers which new ids are not to be found yet."""

    def __init__(self, lab: Lab) -> None:
        self.enabled = True
        self._lab = lab
        self._created = 0
        self._hidden_until: dict[str, float] = {}

    def created(self, resource_id: str) -> None:
        """A resource has been created; perhaps it is not visible at once."""
        self._created += 1
        if self.enabled and self._created % ONE_IN == 0:
            self._hidden_until[resource_id] = time.monotonic() + self._lab.scaled(WINDOW_SECONDS)

    def is_hidden(self, resource_id: str) -> bool:
        """Whether the first describe of this id is too early. Asking uses it up."""
        until = self._hidden_until.pop(resource_id, 0.0)
        return self.enabled and time.monotonic() < until
