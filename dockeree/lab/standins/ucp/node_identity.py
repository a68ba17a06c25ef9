"""A node's certificate: the one the swarm gave it, as UCP's own copy in the volume ucp-node-certs.

Every node of a swarm has a certificate of the cluster's root CA that says who it is and whether it is a manager. UCP's
parts show it to each other, so nothing must be handed out to a node that joins, and a demoted manager loses its rights.
"""

from __future__ import annotations

import os
import re
import ssl
import tempfile
from pathlib import Path
from typing import Any

from dockeree.lab.standins.ucp.layout import MANAGER_UNIT, NODE_CERTS

SWARM_CERTIFICATES = Path("/swarm-certificates")
"""Where DOCKER_ROOT/swarm/certificates is mounted."""
VOLUMES = Path("/volumes")
"""Where volumes are mounted, each below its name."""
PEM_HEADERS = re.compile(rb"(?m)^[A-Za-z-]+: .*\n+")


class NodeIdentity:
    """Contexts for TLS between nodes. The swarm renews certificates, so files are looked at anew each time."""

    def __init__(self, source: Path = SWARM_CERTIFICATES, volume: Path = VOLUMES / NODE_CERTS) -> None:
        self._source, self._volume = source, volume

    def refresh(self) -> None:
        """Copy the swarm's files when they are newer. Raises FileNotFoundError on a node that has left its swarm."""
        for source, target in (("swarm-root-ca.crt", "ca"), ("swarm-node.crt", "cert"), ("swarm-node.key", "key")):
            content = (self._source / source).read_bytes()
            if target == "key":
                # The swarm keeps notes of its own in the key's PEM headers; OpenSSL takes those for encryption.
                content = PEM_HEADERS.sub(b"", content)
            path = self._volume / f"{target}.pem"
            if not path.exists() or path.read_bytes() != content:
                write_whole(path, content)

    def server_context(self) -> ssl.SSLContext:
        """For a server that only nodes of this swarm may talk to: ask for a certificate, then `is_manager`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._fill(context)
        return context

    def client_context(self) -> ssl.SSLContext:
        """For calls to other nodes. A node's certificate carries its id, not its address: the name is not checked."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        self._fill(context)
        return context

    def _fill(self, context: ssl.SSLContext) -> None:
        self.refresh()
        context.load_verify_locations(self._volume / "ca.pem")
        context.load_cert_chain(self._volume / "cert.pem", self._volume / "key.pem")
        context.verify_mode = ssl.CERT_REQUIRED


def is_manager(peer: dict[str, Any]) -> bool:
    """Whether a peer's certificate (ssl.SSLSocket.getpeercert) is a manager's."""
    subject = [pair for part in peer.get("subject", ()) for pair in part]
    return ("organizationalUnitName", MANAGER_UNIT) in subject


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that no reader ever sees half of it."""
    mode = 0o600 if path.name.startswith("key") else 0o644
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    os.chmod(name, mode)
    os.replace(name, path)
