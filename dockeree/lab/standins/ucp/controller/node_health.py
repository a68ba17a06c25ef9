"""GET /nodes: the swarm's nodes, with the state of UCP's parts on them folded into their Status."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dockeree.lab.standins.program.docker_api import ApiError, DockerApi
from dockeree.lab.standins.ucp.controller.cluster import Cluster, Node
from dockeree.lab.standins.ucp.layout import AGENT_SERVICE

PROBE_TIMEOUT_SECONDS = 4.0
LARGEST_POOL = 32
NOT_FOUND = 404


class NodeHealth:
    """Probes the parts of UCP on each node that the swarm finds ready."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def folded(self, nodes: list[Node]) -> list[dict[str, Any]]:
        """The nodes' documents: Status.State is `ready` where UCP is too. Raises ApiError."""
        tasks = self._agent_tasks()
        with ThreadPoolExecutor(LARGEST_POOL) as pool:
            return list(pool.map(lambda node: self._fold(node, tasks), nodes))

    def _agent_tasks(self) -> dict[str, str]:
        """State of the agent's current task by node id."""
        filters = {"service": [AGENT_SERVICE], "desired-state": ["running"]}
        tasks = self._cluster.engine.call("GET", "/tasks", query={"filters": filters})
        return {task.get("NodeID", ""): task["Status"]["State"] for task in tasks}

    def _fold(self, node: Node, tasks: dict[str, str]) -> dict[str, Any]:
        document = copy.deepcopy(node.document)
        state, message = self._state(node, tasks.get(node.id, "missing"))
        if message:
            document["Status"] |= {"State": state, "Message": message}
        return document

    def _state(self, node: Node, task: str) -> tuple[str, str]:
        """State and message; no message where there is nothing to say."""
        if not node.is_ready:
            return "", ""
        if task != "running":
            return "unknown", f"[Pending] The ucp-agent task is {task}"
        api = self._cluster.api(node)
        try:
            api.call("GET", "/_ping", timeout_seconds=PROBE_TIMEOUT_SECONDS)
            problem = _controller_problem(api) if node.is_manager else ""
        except (ApiError, OSError):
            return "unknown", "[Pending] Completing node registration"
        return ("down", f"Unhealthy UCP Controller: {problem}") if problem else ("", "")


def _controller_problem(api: DockerApi) -> str:
    """Asked of the node's engine: managers need not admit each other to the controllers' port."""
    try:
        state = api.call("GET", "/containers/ucp-controller/json", timeout_seconds=PROBE_TIMEOUT_SECONDS)["State"]
    except ApiError as error:
        if error.status == NOT_FOUND:
            return "it is not there yet"
        raise
    return "" if state["Status"] == "running" else f"it is {state['Status']} ({state['ExitCode']})"
