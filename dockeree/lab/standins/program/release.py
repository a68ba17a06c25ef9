"""Which release a stand-in plays, and at which phase it fails: both are told by the image's name.

    mirantis/ucp:3.8.12                 plays MKE 3.8.12
    mirantis/ucp:3.8.12-fail-agents     the same, and fails in the phase `agents`

The tag is the switch because an installer's command lines are fixed: a cluster whose configuration names the failing
tag fails there, and goes on when the configuration names the good one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

FAIL_MARK = "-fail-"


@dataclass(frozen=True)
class Release:
    """An image's name, taken apart."""

    image: str

    @property
    def repository(self) -> str:
        """mirantis/ucp."""
        return self.image.rpartition(":")[0]

    @property
    def tag(self) -> str:
        """3.8.12-fail-agents."""
        return self.image.rpartition(":")[2]

    @property
    def version(self) -> str:
        """3.8.12: what the tag says without the switch."""
        return self.tag.partition(FAIL_MARK)[0]

    @property
    def fails_at(self) -> str | None:
        """The phase to fail in."""
        return self.tag.partition(FAIL_MARK)[2] or None

    def is_at_least(self, *numbers: int) -> bool:
        """Whether the version is that one or a later one: is_at_least(3, 3)."""
        return tuple(int(number) for number in re.findall(r"\d+", self.version)[:3]) >= numbers
