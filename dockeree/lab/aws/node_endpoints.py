"""What a test asks of nodes, below `/lab/nodes/`: what they may do, what runs on them, and to let something go wrong.

    GET    /lab/nodes/ID/credentials   what the metadata service gives the node: its role's credentials
    GET    /lab/nodes/commands         every process on the nodes, oldest first: instance_id, user, command (arguments)
    POST   /lab/nodes/ID/faults        a fault as JSON (nodes/simulated/faults.py); ID `*` is every node
    DELETE /lab/nodes/ID/faults        forget the node's faults

Processes and faults are simulated nodes' alone: real machines are asked by SSH, and break by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol, runtime_checkable

from dockeree.lab.aws.core import Lab
from dockeree.lab.aws.region import LabRegion
from dockeree.lab.world import LabError

COMMANDS = "/lab/nodes/commands"
_OF_ONE_NODE = re.compile(r"^/lab/nodes/(\*|i-[0-9a-f]+)/(faults|credentials)$")


@runtime_checkable
class ScriptedDriver(Protocol):
    """A driver whose nodes do what a test tells them."""

    def add_fault(self, instance_id: str, fault: Mapping[str, Any]) -> None:
        """Let something go wrong. Raises LabError."""
        ...

    def clear_faults(self, instance_id: str) -> None:
        """Forget a node's faults, those of every node with `*`."""
        ...

    @property
    def commands(self) -> Sequence[tuple[str, str, str]]:
        """(instance id, user, arguments) of every process on the nodes."""
        ...


class NodeEndpoints:
    """Answers what is below `/lab/nodes/`."""

    def __init__(self, lab: Lab) -> None:
        self._driver = lab.driver
        self._region = LabRegion(lab)

    def answer(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        """Answer one request, as JSON. Raises LabError where that cannot be done, LookupError for another request."""
        if (method, path) == ("GET", COMMANDS):
            keys = ("instance_id", "user", "command")
            return [dict(zip(keys, command, strict=True)) for command in self._scripted().commands]
        found = _OF_ONE_NODE.match(path)
        if found:
            instance_id, what = found.groups()
            if (method, what) == ("GET", "credentials"):
                return self._credentials(instance_id)
            if (method, what) == ("POST", "faults"):
                return self._scripted().add_fault(instance_id, body) or {}  # type: ignore[func-returns-value]
            if (method, what) == ("DELETE", "faults"):
                return self._scripted().clear_faults(instance_id) or {}  # type: ignore[func-returns-value]
        raise LookupError(f"no {method} {path} here")

    def _credentials(self, instance_id: str) -> dict[str, str]:
        credentials = self._region.role_credentials(instance_id)
        if credentials is None:
            raise LabError(f"{instance_id} has no role")
        return asdict(credentials)

    def _scripted(self) -> ScriptedDriver:
        if not isinstance(self._driver, ScriptedDriver):
            raise LabError(f"nodes of the kind {self._driver.name} are no simulation")
        return self._driver
