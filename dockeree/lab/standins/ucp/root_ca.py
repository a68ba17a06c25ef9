"""The role of ucp-cluster-root-ca and ucp-client-root-ca: hand an authority to the swarm's other managers."""

from __future__ import annotations

import json

from dockeree.lab.standins.program.log import Log
from dockeree.lab.standins.program.streams import TlsStream
from dockeree.lab.standins.ucp.node_identity import VOLUMES, NodeIdentity, is_manager
from dockeree.lab.standins.ucp.tls_server import TlsServer


def run(log: Log, volume: str, port: int) -> None:
    """Serve the files of a volume until killed."""

    def serve(stream: TlsStream, client: str) -> None:
        if not stream.receive():
            return
        if not is_manager(stream.peer()):
            log.warning(f"{client}: not a manager's certificate")
            stream.send(_answer("403 Forbidden", {"message": "managers only"}))
            return
        files = {name: (VOLUMES / volume / name).read_text() for name in ("cert.pem", "key.pem")}
        stream.send(_answer("200 OK", files))
        log.info(f"{client} was handed the {volume}")

    log.info(f"The {volume} is served on port {port}")
    TlsServer("", port, NodeIdentity().server_context, serve, log).serve_forever()


def _answer(status: str, content: dict[str, str]) -> bytes:
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body
