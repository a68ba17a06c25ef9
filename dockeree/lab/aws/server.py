"""The lab's API server: moto with AWS's behaviours over it, on sockets that listen already.

server = ApiServer(lab)
access_key_id, secret_access_key = server.operator
server.start([loopback_socket])          # server.endpoint_url
server.serve_on(socket_inside_a_namespace)
server.close()
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from dockeree.lab.aws.account import create_operator
from dockeree.lab.aws.application import Application
from dockeree.lab.aws.behaviours import install_behaviours
from dockeree.lab.aws.calls import ApiCall, CallLog
from dockeree.lab.aws.control_endpoints import ControlEndpoints
from dockeree.lab.aws.core import Lab
from dockeree.lab.aws.http_server import HttpServer
from dockeree.lab.aws.lifecycle import Lifecycle
from dockeree.lab.aws.moto_settings import configure_moto, empty_account


class ApiServer:
    """One region's worth of AWS (all regions, in fact) over HTTP, for one lab.

    Made, it holds an empty account with an operator in it, whose access key is `operator`; IAM is enforced. Nothing
    listens before `start`. `operator_address` is the address by which nodes see the operator's machine, for
    `/lab/address`.
    """

    def __init__(self, lab: Lab, operator_address: str | None = None) -> None:
        self.lab = lab
        configure_moto()
        empty_account()
        install_behaviours(lab)
        self.operator: tuple[str, str] = create_operator()
        self._calls = CallLog()
        self._control = ControlEndpoints(lab, self._calls, lab.part(Lifecycle).cut_power, operator_address)
        self._application = Application(lab, self._calls, self._control)
        self._servers: list[HttpServer] = []

    @property
    def endpoint_url(self) -> str:
        """`http://ADDRESS:PORT` of the first socket; empty before `start`."""
        return self._control.endpoint_url

    @property
    def calls(self) -> list[ApiCall]:
        """Every call so far (a copy)."""
        return self._calls.all()

    def start(self, sockets: Sequence[socket.socket]) -> None:
        """Serve on `sockets`, which listen already; the first one's address becomes the endpoint's.

        The sockets stay their owner's: they are duplicated, and may be closed after this call.
        """
        host, port = sockets[0].getsockname()[:2]
        self._control.endpoint_url = f"http://{host}:{port}"
        for listening in sockets:
            self.serve_on(listening)

    def serve_on(self, listening: socket.socket) -> None:
        """Serve on one more socket, for instance one that listens in another network namespace."""
        self._servers.append(HttpServer(listening, self._application))

    def close(self) -> None:
        """Stop serving. The lab itself (its patches and timers) is its owner's to close."""
        for server in self._servers:
            server.close()
        self._servers.clear()
