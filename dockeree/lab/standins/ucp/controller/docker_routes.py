"""The rest of the Docker API: the swarm's objects come from this manager's engine, what nodes hold from all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from dockeree.lab.standins.program.docker_api import ApiError, DockerApi
from dockeree.lab.standins.program.release import Release
from dockeree.lab.standins.ucp.controller.cluster import Cluster, Node
from dockeree.lab.standins.ucp.controller.container_routes import VERSION, versioned
from dockeree.lab.standins.ucp.controller.forwarding import forward
from dockeree.lab.standins.ucp.controller.http import Answer, HttpError, Request, Route
from dockeree.lab.standins.ucp.controller.node_health import NodeHealth

OF_THE_SWARM = "services|tasks|secrets|configs|swarm|nodes|networks|distribution|events|system|plugins"
COUNTS = ("Containers", "ContainersRunning", "ContainersPaused", "ContainersStopped", "Images")


class DockerRoutes:
    """Nodes, networks, volumes, and what is handed on to this manager's engine."""

    def __init__(self, cluster: Cluster, health: NodeHealth, release: Release) -> None:
        self._cluster, self._health, self._release = cluster, health, release

    def routes(self) -> list[Route]:
        """In the order to be tried."""
        return [
            Route("GET", rf"{VERSION}/_ping", self._ping, "user"),
            Route("GET", rf"{VERSION}/info", self._info, "user"),
            Route("GET", rf"{VERSION}/version", self._version, "user"),
            Route("GET", rf"{VERSION}/nodes", self._nodes),
            Route("GET", rf"{VERSION}/nodes/(?P<name>[^/]+)", self._node),
            Route("POST", rf"{VERSION}/networks/(?P<name>[^/]+)/(?P<action>connect|disconnect)", self._connect),
            Route("GET", rf"{VERSION}/volumes", self._volumes),
            Route("POST", rf"{VERSION}/volumes/create", self._create_volume),
            Route("GET DELETE", rf"{VERSION}/volumes/(?P<name>.+)", self._volume),
            Route("POST", rf"{VERSION}(?P<rest>/auth)", self._hand_on),
            Route("GET POST PUT DELETE", rf"{VERSION}(?P<rest>/(?:{OF_THE_SWARM})(?:/.*)?)", self._hand_on),
        ]

    def _ping(self, _request: Request, _groups: Mapping[str, str]) -> Answer:
        return Answer(b"OK", content_type="text/plain; charset=utf-8", headers=engine_headers(self._cluster.engine))

    def _info(self, _request: Request, _groups: Mapping[str, str]) -> Answer:
        answers = self._cluster.ask_all(self._cluster.ready_nodes(), lambda _node, api: api.call("GET", "/info"))
        info = dict(next(answer.result for answer in answers if answer.node.is_this))
        for name in COUNTS:
            info[name] = sum(answer.result.get(name) or 0 for answer in answers)
        for name in ("NCPU", "MemTotal"):
            info[name] = sum(answer.result[name] for answer in answers)
        info["ServerVersion"] = f"ucp/{self._release.version}"
        return Answer(info)

    def _version(self, _request: Request, _groups: Mapping[str, str]) -> Answer:
        version = self._cluster.engine.call("GET", "/version")
        component = {"Name": "Universal Control Plane", "Version": self._release.version, "Details": {}}
        components = [component, *(version.get("Components") or [])]
        platform = {"Name": f"UCP stand-in {self._release.version}"}
        return Answer(
            {**version, "Version": f"ucp/{self._release.version}", "Platform": platform, "Components": components}
        )

    def _nodes(self, request: Request, _groups: Mapping[str, str]) -> Answer:
        return Answer(self._health.folded(self._cluster.nodes(request.query_text)))

    def _node(self, _request: Request, groups: Mapping[str, str]) -> Answer:
        found = [each for each in self._cluster.nodes() if groups["name"] in (each.id, each.hostname)]
        if not found:
            document = self._cluster.engine.call("GET", f"/nodes/{quote(groups['name'])}")
            found = [each for each in self._cluster.nodes() if each.id == document["ID"]]
        return Answer(self._health.folded(found[:1])[0])

    def _connect(self, request: Request, groups: Mapping[str, str]) -> Answer:
        body = request.read_json()
        node, body["Container"] = self._cluster.find_container(str(body.get("Container", "")))
        path = f"/networks/{quote(groups['name'])}/{groups['action']}"
        self._cluster.api(node).call("POST", path, body)
        return Answer()

    def _volumes(self, request: Request, _groups: Mapping[str, str]) -> Answer:
        path = f"/volumes?{request.query_text}"
        found = []
        for answer in self._cluster.ask_all(self._cluster.ready_nodes(), lambda _node, api: api.call("GET", path)):
            for volume in answer.result.get("Volumes") or []:
                found.append({**volume, "Name": f"{answer.node.hostname}/{volume['Name']}"})
        return Answer({"Volumes": found, "Warnings": None})

    def _create_volume(self, request: Request, _groups: Mapping[str, str]) -> Answer:
        """NODE/NAME makes it on that node, NAME on every one."""
        body = request.read_json()
        nodes, body["Name"] = self._split(str(body.get("Name", "")))
        made = self._cluster.ask_all(nodes, lambda _node, api: api.call("POST", "/volumes/create", body))
        if not made:
            raise HttpError(500, "no node made the volume")
        return Answer(made[0].result, 201)

    def _volume(self, request: Request, groups: Mapping[str, str]) -> Answer:
        """Looked at on the first node that has it, removed on all."""
        nodes, name = self._split(groups["name"])
        path = f"/volumes/{quote(name)}"
        holders = [each.node for each in self._cluster.ask_all(nodes, lambda _node, api: api.call("GET", path))]
        if not holders:
            raise HttpError(404, f"get {groups['name']}: no such volume")
        if request.method == "GET":
            return Answer(self._cluster.api(holders[0]).call("GET", path))
        for node in holders:
            self._cluster.api(node).call("DELETE", f"{path}?{request.query_text}")
        return Answer(status=204)

    def _hand_on(self, request: Request, groups: Mapping[str, str]) -> Answer | None:
        path = versioned(groups, groups["rest"])
        return forward(self._cluster, self._cluster.this_node(), request, path, request.query_text)

    def _split(self, name: str) -> tuple[list[Node], str]:
        nodes = self._cluster.ready_nodes()
        hostname, slash, rest = name.partition("/")
        if not slash:
            return nodes, name
        chosen = [node for node in nodes if node.hostname == hostname]
        if not chosen:
            raise HttpError(404, f"no such node: {hostname}")
        return chosen, rest


def engine_headers(engine: DockerApi) -> dict[str, str]:
    """What a Docker client reads from an answer to /_ping: the API's version, the system. Raises ApiError."""
    status, headers, content = engine.request("GET", "/_ping", timeout_seconds=5.0)
    if status >= 400:
        raise ApiError(status, content.decode(errors="replace"))
    wanted = ("api-version", "ostype", "docker-experimental", "builder-version")
    return {name: value for name, value in headers.items() if name.lower() in wanted}


def is_healthy(cluster: Cluster) -> str:
    """Why this controller cannot do its work; empty when it can: its engine answers and the swarm has a leader."""
    try:
        node: dict[str, Any] = cluster.this_node().document
    except (ApiError, KeyError) as error:
        return f"{error}"
    return "" if node["Spec"]["Role"] == "manager" else "this node is not a manager"
