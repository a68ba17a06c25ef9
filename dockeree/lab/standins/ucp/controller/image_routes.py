"""Images of the whole cluster under the Docker API: pulled and removed on every node, listed once each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, quote

from dockeree.lab.standins.ucp.controller.cluster import Cluster, Node
from dockeree.lab.standins.ucp.controller.container_routes import VERSION, versioned
from dockeree.lab.standins.ucp.controller.forwarding import forward
from dockeree.lab.standins.ucp.controller.http import Answer, HttpError, Request, Route

PULL_TIMEOUT_SECONDS = 900.0


class ImageRoutes:
    """Everything below /images."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def routes(self) -> list[Route]:
        """In the order to be tried."""
        return [
            Route("GET", rf"{VERSION}/images/json", self._list),
            Route("POST", rf"{VERSION}/images/create", self._pull),
            Route("GET", rf"{VERSION}/images/(?P<name>.+)/(?P<action>json|history|get)", self._read),
            Route("POST", rf"{VERSION}/images/(?P<name>.+)/(?P<action>push|tag)", self._read),
            Route("DELETE", rf"{VERSION}/images/(?P<name>.+)", self._remove),
        ]

    def _list(self, request: Request, _groups: Mapping[str, str]) -> Answer:
        path = f"/images/json?{request.query_text}"
        answers = self._cluster.ask_all(self._cluster.ready_nodes(), lambda _node, api: api.call("GET", path))
        return Answer(list({image["Id"]: image for answer in answers for image in answer.result or []}.values()))

    def _pull(self, request: Request, _groups: Mapping[str, str]) -> Answer:
        """One line a node when it begins and when it is done, as Swarm before it was in the engine told it."""
        path = f"/images/create?{request.query_text}"
        headers = {name: value for name, value in request.headers.items() if name.lower() == "x-registry-auth"}
        name = image_name(request.query_text)
        nodes = self._cluster.ready_nodes()
        request.read_body()

        def lines() -> Iterator[bytes]:
            for node in nodes:
                yield _line({"id": node.hostname, "status": f"Pulling {name}..."})
            answers = self._cluster.ask_all(
                nodes, lambda _node, api: api.request("POST", path, b"", headers, PULL_TIMEOUT_SECONDS)
            )
            for answer in answers:
                status, _, content = answer.result
                error = _pull_error(status, content)
                if error:
                    yield _line({"id": answer.node.hostname, "errorDetail": {"message": error}, "error": error})
                else:
                    yield _line({"id": answer.node.hostname, "status": f"Pulling {name}... : downloaded"})

        return Answer(lines())

    def _read(self, request: Request, groups: Mapping[str, str]) -> Answer | None:
        node = self._holders(groups["name"])[0]
        path = versioned(groups, f"/images/{groups['name']}/{groups['action']}")
        return forward(self._cluster, node, request, path, request.query_text)

    def _remove(self, request: Request, groups: Mapping[str, str]) -> Answer:
        path = f"/images/{quote(groups['name'])}?{request.query_text}"
        answers = self._cluster.ask_all(
            self._holders(groups["name"]), lambda _node, api: api.request("DELETE", path, timeout_seconds=60.0)
        )
        status, _, content = max((answer.result for answer in answers), key=lambda result: result[0])
        return Answer(content, status)

    def _holders(self, name: str) -> list[Node]:
        path = f"/images/{quote(name)}/json"
        answers = self._cluster.ask_all(self._cluster.ready_nodes(), lambda _node, api: api.call("GET", path))
        if not answers:
            raise HttpError(404, f"No such image: {name}")
        return sorted((answer.node for answer in answers), key=lambda node: not node.is_this)


def image_name(query: str) -> str:
    """The image that POST /images/create asks for."""
    words = parse_qs(query)
    name, tag = words.get("fromImage", [""])[0], words.get("tag", [""])[0]
    return f"{name}{'@' if ':' in tag else ':'}{tag}" if tag else name


def _pull_error(status: int, content: bytes) -> str:
    """What went wrong; the engine tells it in the last line of a 200 as well."""
    text = content.decode(errors="replace").strip()
    if status >= 400:
        try:
            return str(json.loads(text)["message"])
        except (ValueError, KeyError, TypeError):
            return text
    for line in text.splitlines():
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict) and document.get("error"):
            return str(document["error"])
    return ""


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode() + b"\r\n"
