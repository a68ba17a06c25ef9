"""On which node a container is created."""

from __future__ import annotations

from typing import Any

import pytest

from dockeree.lab.standins.program.docker_api import ApiError
from dockeree.lab.standins.ucp.controller.cluster import Node, node_of
from dockeree.lab.standins.ucp.controller.placement import NO_NODE, Constraint, choose, take_constraints


def node(
    name: str, *, manager: bool = False, state: str = "ready", availability: str = "active", **labels: str
) -> Node:
    document: dict[str, Any] = {
        "ID": f"id-{name}",
        "Spec": {"Role": "manager" if manager else "worker", "Availability": availability, "Labels": labels},
        "Description": {"Hostname": name},
        "Status": {"State": state, "Addr": "0.0.0.0"},
    }
    if manager:
        document["ManagerStatus"] = {"Addr": "10.32.0.5:2377"}
    return node_of(document, "")


NODES = [
    node("m", manager=True),
    node("w1"),
    node("w2", zone="b"),
    node("down", state="down"),
    node("drained", availability="drain"),
]


def chosen(*entries: str, admins: bool = False, load: dict[str, int] | None = None, dtr: str = "") -> str:
    _, constraints = take_constraints(entries)
    reserved = frozenset({f"id-{dtr}"})
    return choose(NODES, constraints, load=load or {}, reserved=reserved, admins_schedule=admins).hostname


def test_constraints_leave_the_environment() -> None:
    rest, found = take_constraints(["A=1", "constraint:node==w1", "constraint:zone!=b", "constraint:node==~w2"])
    assert rest == ["A=1"]
    assert found == [Constraint("node", True, "w1"), Constraint("zone", False, "b")]


def test_the_named_node_is_taken() -> None:
    assert chosen("constraint:node==w2") == "w2"
    assert chosen("constraint:node==id-w2") == "w2"
    assert chosen("constraint:node!=w1") == "w2"
    assert chosen("constraint:node==/^w[2-9]$/") == "w2"
    assert chosen("constraint:zone==b") == "w2"


def test_without_a_name_the_least_loaded() -> None:
    assert chosen(load={"id-w1": 3, "id-w2": 1}) == "w2"
    assert chosen(load={"id-w1": 1, "id-w2": 1}) == "w1"


@pytest.mark.parametrize("name", ["m", "down", "drained", "nobody"])
def test_nodes_that_may_not_be_taken(name: str) -> None:
    with pytest.raises(ApiError, match=NO_NODE):
        chosen(f"constraint:node=={name}")


def test_managers_and_dtrs_nodes_are_for_administrators_where_that_is_switched_on() -> None:
    assert chosen("constraint:node==m", admins=True) == "m"
    with pytest.raises(ApiError, match=NO_NODE):
        chosen("constraint:node==w1", dtr="w1")
    assert chosen("constraint:node==w1", dtr="w1", admins=True) == "w1"


def test_a_managers_address_is_that_of_its_raft_member() -> None:
    assert NODES[0].address == "10.32.0.5"
