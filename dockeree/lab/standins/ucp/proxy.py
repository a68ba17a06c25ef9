"""The role of ucp-proxy: this node's engine behind mutual TLS, for the swarm's managers and nobody else."""

from __future__ import annotations

from dockeree.lab.standins.program.docker_api import connect_local
from dockeree.lab.standins.program.log import Log
from dockeree.lab.standins.program.streams import PlainStream, TlsStream, pump
from dockeree.lab.standins.ucp.layout import PROXY_PORT
from dockeree.lab.standins.ucp.node_identity import NodeIdentity, is_manager
from dockeree.lab.standins.ucp.tls_server import TlsServer


def run(log: Log) -> None:
    """Serve until killed."""
    identity = NodeIdentity()

    def serve(stream: TlsStream, client: str) -> None:
        if not is_manager(stream.peer()):
            log.warning(f"{client}: not a manager's certificate")
            return
        pump(stream, PlainStream(connect_local()))

    log.info(f"The engine's API is served on port {PROXY_PORT}")
    TlsServer("", PROXY_PORT, identity.server_context, serve, log).serve_forever()
