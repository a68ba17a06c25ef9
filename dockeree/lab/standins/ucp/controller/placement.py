"""On which node a container is created: by the constraints in its environment, as in Swarm before it was in the engine.

docker run -e constraint:node==NAME …      -e constraint:node!=NAME …
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from dockeree.lab.standins.program.docker_api import ApiError
from dockeree.lab.standins.ucp.controller.cluster import Node

CONSTRAINT = re.compile(r"constraint:(?P<key>[^=!]+)(?P<operator>==|!=)(?P<soft>~?)(?P<value>.*)")
NO_NODE = "could not find any nodes on which the container could be created"


@dataclass(frozen=True)
class Constraint:
    """`node==NAME`: the key is `node` or one of the node's labels; the value a pattern or a /regular expression/."""

    key: str
    is_equal: bool
    value: str

    def allows(self, node: Node) -> bool:
        """Whether the container may go there."""
        labels: Mapping[str, str] = node.document["Spec"].get("Labels") or {}
        actual = node.hostname if self.key == "node" else labels.get(self.key, "")
        if len(self.value) > 1 and self.value[0] == self.value[-1] == "/":
            matches = re.search(self.value[1:-1], actual) is not None
        else:
            matches = fnmatchcase(actual, self.value) or (self.key == "node" and node.id == self.value)
        return matches == self.is_equal


def take_constraints(environment: Sequence[str]) -> tuple[list[str], list[Constraint]]:
    """The environment without them, and the constraints. Soft ones (`==~`) are wishes, and left aside."""
    rest, found = [], []
    for entry in environment:
        match = CONSTRAINT.fullmatch(entry)
        if match is None:
            rest.append(entry)
        elif not match["soft"]:
            found.append(Constraint(match["key"], match["operator"] == "==", match["value"]))
    return rest, found


def choose(
    nodes: Sequence[Node],
    constraints: Sequence[Constraint],
    *,
    load: Mapping[str, int],
    reserved: frozenset[str],
    admins_schedule: bool,
) -> Node:
    """The least loaded node that may be taken. Raises ApiError when there is none.

    `load` is containers by node id; `reserved` the ids of DTR's nodes, which, like managers, are only for
    administrators' containers where `enable_admin_ucp_scheduling` is on.
    """
    allowed = [
        node
        for node in nodes
        if node.is_ready
        and node.is_active
        and (admins_schedule or not (node.is_manager or node.id in reserved))
        and all(constraint.allows(node) for constraint in constraints)
    ]
    if not allowed:
        raise ApiError(500, NO_NODE)
    return min(allowed, key=lambda node: (load.get(node.id, 0), node.hostname))
