"""The role `host-check`: seen from the host's network, which ports are busy and which addresses there are, as JSON."""

from __future__ import annotations

import errno
import fcntl
import json
import socket
import struct
from collections.abc import Iterable

SIOCGIFADDR = 0x8915
"""ioctl(2): an interface's IPv4 address."""


def run(ports: Iterable[int]) -> None:
    """Write {"busy": [ports], "addresses": {interface: address}} to standard output."""
    busy = [port for port in ports if not _is_free(port)]
    print(json.dumps({"busy": busy, "addresses": _addresses()}), flush=True)  # noqa: T201 - this is its answer


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Connections that are over hold the port for a while, and do not make it busy.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def _addresses() -> dict[str, str]:
    found = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(probe.fileno(), SIOCGIFADDR, request)
            except OSError:
                continue  # an interface without an IPv4 address
            found[name] = socket.inet_ntoa(answer[20:24])
    return found
