"""UCP's own API: health, authorities, configuration, licence, client bundles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dockeree.lab.standins.program.certificates import issue
from dockeree.lab.standins.ucp import configuration
from dockeree.lab.standins.ucp.controller.client_bundle import client_bundle
from dockeree.lab.standins.ucp.controller.cluster import Cluster
from dockeree.lab.standins.ucp.controller.docker_routes import engine_headers, is_healthy
from dockeree.lab.standins.ucp.controller.http import Answer, HttpError, Request, Route
from dockeree.lab.standins.ucp.layout import CLIENT_ROOT, CONFIG_PREFIX, LICENSE_PREFIX, SERVER_CERTS
from dockeree.lab.standins.ucp.license import LicenseError, check_license, details
from dockeree.lab.standins.ucp.reconcile import read_pair
from dockeree.lab.standins.ucp.settings import Settings
from dockeree.lab.standins.ucp.swarm_store import SwarmStore


class UcpRoutes:
    """Everything that is not Docker's and not about accounts."""

    def __init__(self, cluster: Cluster, store: SwarmStore, settings: Settings, volumes: Path) -> None:
        self._cluster, self._store, self._settings, self._volumes = cluster, store, settings, volumes

    def routes(self) -> list[Route]:
        """In the order to be tried."""
        return [
            Route("GET", "/_ping", self._ping, "anyone"),
            Route("GET", "/ca", self._ca, "anyone"),
            Route("GET", "/api/ucp/config-toml", self._read_configuration),
            Route("PUT", "/api/ucp/config-toml", self._write_configuration),
            Route("GET", "/api/config/license", self._read_license),
            Route("POST", "/api/config/license", self._write_license),
            Route("GET POST", "/api/clientbundle", self._bundle, "user"),
        ]

    def _ping(self, _request: Request, _groups: Mapping[str, str]) -> Answer:
        problem = is_healthy(self._cluster)
        if problem:
            return Answer(f"unhealthy: {problem}\n".encode(), 500, "text/plain; charset=utf-8")
        return Answer(b"OK", content_type="text/plain; charset=utf-8", headers=engine_headers(self._cluster.engine))

    def _ca(self, _request: Request, _groups: Mapping[str, str]) -> Answer:
        return Answer(self._server_authority(), content_type="application/x-x509-ca-cert")

    def _read_configuration(self, _request: Request, _groups: Mapping[str, str]) -> Answer:
        text = self._store.read(CONFIG_PREFIX)
        if text is None:
            raise HttpError(404, "there is no configuration")
        return Answer(text, content_type="text/plain; charset=utf-8")

    def _write_configuration(self, request: Request, _groups: Mapping[str, str]) -> Answer:
        text = request.read_body()
        try:
            configuration.parse(text.decode())
        except (configuration.ConfigurationError, UnicodeDecodeError) as error:
            raise HttpError(400, str(error)) from error
        self._store.write(CONFIG_PREFIX, text)
        return Answer({"message": "Calling Set Config succeeded"})

    def _read_license(self, _request: Request, _groups: Mapping[str, str]) -> Answer:
        text = self._store.read(LICENSE_PREFIX)
        if text is None:
            raise HttpError(404, "no license is configured")
        document: dict[str, Any] = json.loads(text)
        return Answer({**document, "license_details": details(document["license_config"])})

    def _write_license(self, request: Request, _groups: Mapping[str, str]) -> Answer:
        body = request.read_json()
        if not isinstance(body, dict):
            raise HttpError(400, "the body is not a JSON object")
        try:
            license_config = check_license(body.get("license_config"))
        except LicenseError as error:
            raise HttpError(400, str(error)) from error
        document = {"auto_refresh": body.get("auto_refresh") is not False, "license_config": license_config}
        self._store.write(LICENSE_PREFIX, json.dumps(document).encode())
        return Answer(document)

    def _bundle(self, request: Request, _groups: Mapping[str, str]) -> Answer:
        if request.user is None:
            raise HttpError(401, "unauthorized")
        root = read_pair(self._volumes / CLIENT_ROOT)
        authorities = self._server_authority()
        if root.certificate_pem.strip() not in authorities:
            authorities = authorities.rstrip() + b"\n" + root.certificate_pem
        host, _, port = request.headers.get("Host", "").partition(":")
        content = client_bundle(
            request.user.name,
            issue(root, request.user.name, is_client=True),
            authorities,
            host=host or self._cluster.this_node().address,
            port=int(port or 443),
            kube_port=self._settings.kube_port,
        )
        name = f"attachment; filename=ucp-bundle-{request.user.name}.zip"
        return Answer(content, content_type="application/zip", headers={"Content-Disposition": name})

    def _server_authority(self) -> bytes:
        return (self._volumes / SERVER_CERTS / "ca.pem").read_bytes()
