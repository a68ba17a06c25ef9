"""Containers of the whole cluster under the Docker API: listed with their node, created by placement, handed on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dockeree.lab.standins.ucp import configuration
from dockeree.lab.standins.ucp.controller.cluster import Cluster
from dockeree.lab.standins.ucp.controller.forwarding import forward
from dockeree.lab.standins.ucp.controller.http import Answer, HttpError, Request, Route
from dockeree.lab.standins.ucp.controller.placement import choose, take_constraints
from dockeree.lab.standins.ucp.layout import CONFIG_PREFIX
from dockeree.lab.standins.ucp.swarm_store import SwarmStore

VERSION = r"(?:/v(?P<version>\d+\.\d+))?"
ACTIONS = (
    "json|start|stop|restart|kill|logs|attach|attach/ws|wait|resize|exec|archive|top|stats|changes|export|update|rename|"
    "pause|unpause"
)
CONSTRAINTS_LABEL = "com.docker.swarm.constraints"
DTR_NAME = "/dtr-"


class ContainerRoutes:
    """Everything below /containers and /exec."""

    def __init__(self, cluster: Cluster, store: SwarmStore) -> None:
        self._cluster, self._store = cluster, store

    def routes(self) -> list[Route]:
        """In the order to be tried."""
        return [
            Route("GET", rf"{VERSION}/containers/json", self._list),
            Route("POST", rf"{VERSION}/containers/create", self._create),
            Route("POST", rf"{VERSION}/containers/prune", self._prune),
            Route("GET", rf"{VERSION}/containers/(?P<name>.+)/json", self._inspect),
            Route("GET POST PUT HEAD", rf"{VERSION}/containers/(?P<name>.+?)/(?P<action>{ACTIONS})", self._act),
            Route("DELETE", rf"{VERSION}/containers/(?P<name>.+)", self._act),
            Route("GET POST", rf"{VERSION}/exec/(?P<exec>[0-9a-f]+)/(?P<action>start|resize|json)", self._exec),
        ]

    def _list(self, request: Request, _groups: Mapping[str, str]) -> Answer:
        found: list[dict[str, Any]] = []
        for answer in self._cluster.containers(request.query_text):
            for container in answer.result:
                container["Names"] = [f"/{answer.node.hostname}{name}" for name in container["Names"]]
                found.append(container)
        found.sort(key=lambda container: -int(container["Created"]))
        return Answer(found)

    def _create(self, request: Request, groups: Mapping[str, str]) -> Answer | None:
        body = request.read_json()
        if not isinstance(body, dict):
            raise HttpError(400, "the body is not a container's configuration")
        name = request.query.get("name", "").lstrip("/")
        environment, constraints = take_constraints(body.get("Env") or [])
        listed = self._cluster.containers()
        if name and any(f"/{name}" in container["Names"] for each in listed for container in each.result):
            raise HttpError(
                409,
                f"Conflict: The name {name} is already assigned. You have to delete (or rename) that "
                "container to be able to assign that name to a container again.",
            )
        node = choose(
            self._cluster.nodes(),
            constraints,
            load={each.node.id: len(each.result) for each in listed},
            reserved=frozenset(each.node.id for each in listed if any(map(_is_dtr, each.result))),
            admins_schedule=self._admins_schedule(),
        )
        body["Env"] = environment
        if constraints:
            texts = [f"{each.key}{'==' if each.is_equal else '!='}{each.value}" for each in constraints]
            body["Labels"] = {**(body.get("Labels") or {}), CONSTRAINTS_LABEL: json.dumps(texts)}
        # Chunked bodies come in whole here and go on with their length.
        request.headers = {k: v for k, v in request.headers.items() if k.lower() != "transfer-encoding"}
        content = json.dumps(body).encode()
        return forward(
            self._cluster, node, request, versioned(groups, "/containers/create"), request.query_text, content
        )

    def _admins_schedule(self) -> bool:
        text = self._store.read(CONFIG_PREFIX)
        return configuration.admins_schedule(configuration.parse(text.decode())) if text else False

    def _inspect(self, _request: Request, groups: Mapping[str, str]) -> Answer:
        node, container = self._cluster.find_container(groups["name"])
        document = self._cluster.api(node).call("GET", f"/containers/{container}/json")
        document["Node"] = {"ID": node.id, "Name": node.hostname, "IP": node.address, "Addr": f"{node.address}:12376"}
        return Answer(document)

    def _act(self, request: Request, groups: Mapping[str, str]) -> Answer | None:
        node, container = self._cluster.find_container(groups["name"])
        path = f"/containers/{container}" + (f"/{groups['action']}" if groups.get("action") else "")
        return forward(self._cluster, node, request, versioned(groups, path), request.query_text)

    def _exec(self, request: Request, groups: Mapping[str, str]) -> Answer | None:
        path = f"/exec/{groups['exec']}/json"
        found = self._cluster.ask_all(self._cluster.ready_nodes(), lambda _node, api: api.call("GET", path))
        if not found:
            raise HttpError(404, f"No such exec instance: {groups['exec']}")
        target = versioned(groups, f"/exec/{groups['exec']}/{groups['action']}")
        return forward(self._cluster, found[0].node, request, target, request.query_text)

    def _prune(self, request: Request, _groups: Mapping[str, str]) -> Answer:
        path = f"/containers/prune?{request.query_text}"
        answers = self._cluster.ask_all(self._cluster.ready_nodes(), lambda _node, api: api.call("POST", path))
        deleted = [name for answer in answers for name in answer.result.get("ContainersDeleted") or []]
        space = sum(answer.result.get("SpaceReclaimed") or 0 for answer in answers)
        return Answer({"ContainersDeleted": deleted, "SpaceReclaimed": space})


def versioned(groups: Mapping[str, str], path: str) -> str:
    """With the version that the client asked for."""
    return f"/v{groups['version']}{path}" if groups.get("version") else path


def _is_dtr(container: Mapping[str, Any]) -> bool:
    return any(name.startswith(DTR_NAME) for name in container["Names"])
