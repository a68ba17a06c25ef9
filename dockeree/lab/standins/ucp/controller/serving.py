"""Puts the controller together and serves it: UCP's port and that of Kubernetes' API."""

from __future__ import annotations

import ssl
import threading
from pathlib import Path

from dockeree.lab.standins.program.log import Fatal, Log
from dockeree.lab.standins.ucp.accounts import Accounts
from dockeree.lab.standins.ucp.controller.account_routes import AccountRoutes
from dockeree.lab.standins.ucp.controller.cluster import Cluster
from dockeree.lab.standins.ucp.controller.container_routes import ContainerRoutes
from dockeree.lab.standins.ucp.controller.docker_routes import DockerRoutes
from dockeree.lab.standins.ucp.controller.http import Application
from dockeree.lab.standins.ucp.controller.image_routes import ImageRoutes
from dockeree.lab.standins.ucp.controller.kubernetes_routes import kubernetes_routes
from dockeree.lab.standins.ucp.controller.node_health import NodeHealth
from dockeree.lab.standins.ucp.controller.sessions import Sessions
from dockeree.lab.standins.ucp.controller.ucp_routes import UcpRoutes
from dockeree.lab.standins.ucp.layout import CLIENT_ROOT, SERVER_CERTS
from dockeree.lab.standins.ucp.node_identity import VOLUMES
from dockeree.lab.standins.ucp.settings import Settings
from dockeree.lab.standins.ucp.swarm_store import SwarmStore
from dockeree.lab.standins.ucp.tls_server import TlsServer


def run(log: Log) -> None:
    """Serve until killed. Raises Fatal when told to by the image's tag."""
    settings = Settings.from_environment()
    if settings.release.fails_at == "controller":
        raise Fatal("the controller fails, as the tag of this stand-in says")
    cluster = Cluster()
    sessions = Sessions(Accounts(SwarmStore(cluster.engine)), VOLUMES / CLIENT_ROOT / "key.pem")
    ports = (
        (settings.controller_port, application(cluster, sessions, settings, log)),
        (settings.kube_port, Application(kubernetes_routes(cluster), sessions.authenticate, log)),
    )
    servers = [TlsServer("", port, server_context, served.serve, log) for port, served in ports]
    log.info(f"The API is served on ports {', '.join(str(port) for port, _ in ports)}")
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()


def application(
    cluster: Cluster, sessions: Sessions, settings: Settings, log: Log, volumes: Path = VOLUMES
) -> Application:
    """UCP's port."""
    store = SwarmStore(cluster.engine)
    health = NodeHealth(cluster)
    routes = [
        *UcpRoutes(cluster, store, settings, volumes).routes(),
        *AccountRoutes(Accounts(store), sessions).routes(),
        *ContainerRoutes(cluster, store).routes(),
        *ImageRoutes(cluster).routes(),
        *DockerRoutes(cluster, health, settings.release).routes(),
    ]
    return Application(routes, sessions.authenticate, log)


def server_context(volumes: Path = VOLUMES) -> ssl.SSLContext:
    """The controller's certificate; clients may show one of the client root CA's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(volumes / SERVER_CERTS / "cert.pem", volumes / SERVER_CERTS / "key.pem")
    context.load_verify_locations(volumes / CLIENT_ROOT / "cert.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    return context
