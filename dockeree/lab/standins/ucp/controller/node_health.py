"""GET /nodes: the swarm's nodes, with the state of UCP's parts on them folded into their Status."""

from __future__ import annotations

import copy
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dockeree.lab.standins.program.docker_api import ApiError, remote
from dockeree.lab.standins.ucp.controller.cluster import Cluster, Node
from dockeree.lab.standins.ucp.layout import AGENT_SERVICE

PROBE_TIMEOUT_SECONDS = 4.0
LARGEST_POOL = 32


class NodeHealth:
    """Probes the parts of UCP on each node that the swarm finds ready."""

    def __init__(self, cluster: Cluster, controller_port: int) -> None:
        self._cluster, self._controller_port = cluster, controller_port

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
        try:
            self._cluster.api(node).call("GET", "/_ping", timeout_seconds=PROBE_TIMEOUT_SECONDS)
        except (ApiError, OSError):
            return "unknown", "[Pending] Completing node registration"
        if node.is_manager and not node.is_this and (problem := self._controller_problem(node)):
            return "down", f"Unhealthy UCP Controller: {problem}"
        return "", ""

    def _controller_problem(self, node: Node) -> str:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # Its certificate may be the operator's own, of an authority that is not known here.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            remote(node.address, self._controller_port, context).call(
                "GET", "/_ping", timeout_seconds=PROBE_TIMEOUT_SECONDS
            )
        except ApiError as error:
            return f"unhealthy (HTTP {error.status})" if error.status else "unable to reach controller"
        return ""
