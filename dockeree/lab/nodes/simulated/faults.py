"""Scripted faults: what goes wrong on which node, how often.

A fault is a dictionary (the body of `POST /lab/nodes/ID/faults`):

    {"kind": "command", "command": "REGEX", "exit_status": 1, "stderr": "text", "stdout": "", "times": 1}
    {"kind": "hang", "command": "REGEX", "seconds": 3600}       the command ends after that long (AWS seconds)
    {"kind": "disconnect", "command": "REGEX"}                  the connection drops in the middle of it
    {"kind": "refuse_ssh"}                                      connections are refused until the faults are cleared
    {"kind": "slow_boot", "seconds": 300}                       the next boot takes that much longer (AWS seconds)
    {"kind": "cloud_init", "message": "text"}                   cloud-init ends with an error at the next first boot

`times` is how often it strikes, 1 by default, 0 for ever. `command` is searched for in the command line as it came.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dockeree.lab.world import LabError

Kind = Literal["command", "hang", "disconnect", "refuse_ssh", "slow_boot", "cloud_init"]
KINDS: tuple[Kind, ...] = ("command", "hang", "disconnect", "refuse_ssh", "slow_boot", "cloud_init")
EVERY_NODE = "*"


@dataclass
class Fault:
    """One thing that goes wrong. `left` is how often it still strikes, None for ever."""

    kind: Kind
    command: str = ""
    exit_status: int = 1
    stdout: str = ""
    stderr: str = ""
    message: str = ""
    seconds: float = 0.0
    left: int | None = 1


FIELDS: dict[str, type | tuple[type, ...]] = {
    "kind": str,
    "command": str,
    "exit_status": int,
    "stdout": str,
    "stderr": str,
    "message": str,
    "seconds": (int, float),
    "times": int,
}


def parse(body: Mapping[str, Any]) -> Fault:
    """A fault from its dictionary. Raises LabError naming what is wrong with it."""
    unknown = sorted(set(body) - set(FIELDS))
    if unknown:
        raise LabError(f"a fault has no {', '.join(unknown)}; it has {', '.join(FIELDS)}")
    for name, value in body.items():
        if not isinstance(value, FIELDS[name]) or isinstance(value, bool):
            raise LabError(f"a fault's {name} cannot be {value!r}")
    values = dict(body)
    kind = values.pop("kind", None)
    if kind not in KINDS:
        raise LabError(f"a fault's kind is one of {', '.join(KINDS)}, not {kind!r}")
    times = values.pop("times", 1)
    try:
        re.compile(values.get("command", ""))
    except re.error as error:
        raise LabError(f"a fault's command is no regular expression: {error}") from error
    return Fault(kind=kind, left=times or None, **values)


class Faults:
    """The faults that wait for their moment, by node."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: dict[str, list[Fault]] = {}

    def add(self, instance_id: str, fault: Fault) -> None:
        """Let `fault` strike on a node, or on every node with EVERY_NODE."""
        with self._lock:
            self._faults.setdefault(instance_id, []).append(fault)

    def clear(self, instance_id: str) -> None:
        """Forget a node's faults; EVERY_NODE forgets those of every node and each single one's too."""
        with self._lock:
            if instance_id == EVERY_NODE:
                self._faults.clear()
            else:
                self._faults.pop(instance_id, None)

    def take(self, instance_id: str, *kinds: Kind, command: str = "") -> Fault | None:
        """The first fault of these kinds that strikes now; it is used up by that."""
        with self._lock:
            for fault in self._of(instance_id):
                if fault.kind not in kinds or fault.left == 0 or not re.search(fault.command, command):
                    continue
                if fault.left is not None:
                    fault.left -= 1
                return fault
        return None

    def has(self, instance_id: str, kind: Kind) -> bool:
        """Whether a fault of this kind lasts on a node."""
        with self._lock:
            return any(fault.kind == kind for fault in self._of(instance_id))

    def _of(self, instance_id: str) -> list[Fault]:
        return self._faults.get(instance_id, []) + self._faults.get(EVERY_NODE, [])
