"""What the port of Kubernetes' API answers in this stand-in: health and version; there is no Kubernetes behind it."""

from __future__ import annotations

from collections.abc import Mapping

from dockeree.lab.standins.ucp.controller.cluster import Cluster
from dockeree.lab.standins.ucp.controller.docker_routes import is_healthy
from dockeree.lab.standins.ucp.controller.http import Answer, Request, Route

VERSION = {"major": "1", "minor": "27", "gitVersion": "v1.27.0-stand-in", "platform": "linux/amd64"}


def kubernetes_routes(cluster: Cluster) -> list[Route]:
    """In the order to be tried."""

    def health(_request: Request, _groups: Mapping[str, str]) -> Answer:
        problem = is_healthy(cluster)
        return Answer((problem or "ok").encode(), 500 if problem else 200, "text/plain; charset=utf-8")

    return [
        Route("GET", "/(?:healthz|livez|readyz)", health, "anyone"),
        Route("GET", "/version", lambda _request, _groups: Answer(VERSION), "user"),
    ]
