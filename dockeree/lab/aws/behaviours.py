"""Every behaviour that is laid over moto. A module listed here has `install(lab: Lab) -> None` (see core.py)."""

from __future__ import annotations

from types import ModuleType

from dockeree.lab.aws import gate
from dockeree.lab.aws.core import Lab

BEHAVIOURS: tuple[ModuleType, ...] = (
    gate,
)


def install_behaviours(lab: Lab) -> None:
    """Lay all of them over moto, in this order: a later one stands in front of an earlier one."""
    for behaviour in BEHAVIOURS:
        behaviour.install(lab)
