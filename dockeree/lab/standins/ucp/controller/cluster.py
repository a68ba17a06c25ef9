"""The swarm's nodes and their engines: this controller's own by its socket, the others' by their ucp-proxy."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from dockeree.lab.standins.program.docker_api import ApiError, DockerApi, connect_local, local_engine, remote
from dockeree.lab.standins.program.streams import PlainStream, Stream, TlsStream
from dockeree.lab.standins.ucp.layout import PROXY_PORT
from dockeree.lab.standins.ucp.node_identity import NodeIdentity

CONNECT_TIMEOUT_SECONDS = 5.0
LISTING_TIMEOUT_SECONDS = 10.0
OWN_ID_SECONDS = 30.0
LARGEST_POOL = 32

Result = TypeVar("Result")


@dataclass(frozen=True)
class Node:
    """One node. `document` is the engine's own."""

    id: str
    hostname: str
    address: str
    is_manager: bool
    is_ready: bool
    is_active: bool
    is_this: bool
    document: dict[str, Any]


@dataclass(frozen=True)
class OfNode(Generic[Result]):
    """What a node answered."""

    node: Node
    result: Result


class Cluster:
    """Every node through its engine."""

    def __init__(self, engine: DockerApi | None = None, identity: NodeIdentity | None = None) -> None:
        self.engine = engine or local_engine()
        self._identity = identity or NodeIdentity()
        self._own_id, self._own_id_until = "", 0.0
        self._places: dict[str, str] = {}
        self._lock = threading.Lock()

    def nodes(self, query: str = "") -> list[Node]:
        """All of them, or those of a query's filters. Raises ApiError."""
        own_id = self._read_own_id()
        documents = self.engine.call("GET", f"/nodes?{query}" if query else "/nodes")
        return [node_of(document, own_id) for document in documents]

    def ready_nodes(self) -> list[Node]:
        """Those whose engine can be asked. Raises ApiError."""
        return [node for node in self.nodes() if node.is_ready]

    def api(self, node: Node) -> DockerApi:
        """A node's engine."""
        if node.is_this:
            return self.engine
        return remote(node.address, PROXY_PORT, self._identity.client_context())

    def open(self, node: Node) -> Stream:
        """A connection to a node's engine, for bytes both ways. Raises ApiError."""
        try:
            return PlainStream(connect_local()) if node.is_this else self._open_remote(node)
        except OSError as error:
            raise ApiError(500, f"the engine of {node.hostname} does not answer: {error}") from error

    def _open_remote(self, node: Node) -> TlsStream:
        connection = socket.create_connection((node.address, PROXY_PORT), CONNECT_TIMEOUT_SECONDS)
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            stream = TlsStream(connection, self._identity.client_context(), server_side=False)
            stream.shake_hands()
            stream.set_timeout(None)
        except OSError:
            connection.close()
            raise
        return stream

    def ask_all(self, nodes: Iterable[Node], ask: Callable[[Node, DockerApi], Result]) -> list[OfNode[Result]]:
        """Ask nodes at the same time. A node that does not answer is left out: it is told of by /nodes."""

        def one(node: Node) -> OfNode[Result] | None:
            try:
                return OfNode(node, ask(node, self.api(node)))
            except (ApiError, OSError):
                return None

        chosen = list(nodes)
        if not chosen:
            return []
        with ThreadPoolExecutor(min(len(chosen), LARGEST_POOL)) as pool:
            return [answer for answer in pool.map(one, chosen) if answer is not None]

    def containers(self, query: str = "all=1") -> list[OfNode[list[dict[str, Any]]]]:
        """What each ready node lists. Raises ApiError."""
        path = f"/containers/json?{query}"
        return self.ask_all(
            self.ready_nodes(), lambda _node, api: _list(api.call("GET", path, timeout_seconds=LISTING_TIMEOUT_SECONDS))
        )

    def find_container(self, name: str) -> tuple[Node, str]:
        """Node and id of the container that NAME, NODE/NAME, an id or its beginning means. Raises ApiError (404)."""
        known = self._places.get(name)
        if known:
            for node in self.nodes():
                if node.id == known and node.is_ready:
                    return node, name
        matches = []
        for answer in self.containers():
            for container in answer.result:
                rank = _rank(name.lstrip("/"), answer.node, container)
                if rank:
                    matches.append((rank, answer.node, str(container["Id"])))
        best = [match for match in matches if match[0] == max(rank for rank, _, _ in matches)]
        if not best:
            raise ApiError(404, f"No such container: {name}")
        if len(best) > 1:
            raise ApiError(400, f"more than one container is called {name}: say NODE/NAME, or more of the id")
        _, node, container_id = best[0]
        with self._lock:
            self._places[container_id] = node.id
        return node, container_id

    def this_node(self) -> Node:
        """The controller's own. Raises ApiError."""
        own_id = self._read_own_id()
        return node_of(self.engine.call("GET", f"/nodes/{own_id}", timeout_seconds=CONNECT_TIMEOUT_SECONDS), own_id)

    def _read_own_id(self) -> str:
        if time.monotonic() > self._own_id_until:
            self._own_id = self.engine.call("GET", "/info")["Swarm"]["NodeID"]
            self._own_id_until = time.monotonic() + OWN_ID_SECONDS
        return self._own_id


def node_of(document: dict[str, Any], own_id: str) -> Node:
    """Read the engine's document."""
    manager = document.get("ManagerStatus") or {}
    # A manager's Status.Addr may be 0.0.0.0 or 127.0.0.1, seen from itself.
    address = manager["Addr"].rpartition(":")[0] if manager.get("Addr") else document["Status"].get("Addr", "")
    return Node(
        id=document["ID"],
        hostname=document["Description"]["Hostname"],
        address=address,
        is_manager=document["Spec"]["Role"] == "manager",
        is_ready=document["Status"]["State"] == "ready",
        is_active=document["Spec"]["Availability"] == "active",
        is_this=document["ID"] == own_id,
        document=document,
    )


def _rank(name: str, node: Node, container: dict[str, Any]) -> int:
    names = [each.lstrip("/") for each in container["Names"]]
    if name == container["Id"]:
        return 4
    if name in (f"{node.hostname}/{each}" for each in names):
        return 3
    if name in names:
        return 2
    return 1 if len(name) >= 2 and container["Id"].startswith(name) else 0


def _list(answer: Any) -> list[dict[str, Any]]:
    return answer if isinstance(answer, list) else []
