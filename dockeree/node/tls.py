"""The certificate that a node's port serves, read on the node itself."""

from __future__ import annotations

import shlex

_PROGRAM = "import ssl,sys; sys.stdout.write(ssl.get_server_certificate((sys.argv[1], int(sys.argv[2])), timeout=10))"


def served_certificate_command(address: str, port: int) -> str:
    """Print the certificate (PEM) that is served at `address`. Every image with cloud-init has Python."""
    return shlex.join(["python3", "-c", _PROGRAM, address, str(port)])
