"""A server whose every connection is TLS, a thread and a context each, since certificates change."""

from __future__ import annotations

import socket
import socketserver
import ssl
from collections.abc import Callable

from dockeree.lab.standins.program.log import Log
from dockeree.lab.standins.program.streams import TlsStream

HANDSHAKE_TIMEOUT_SECONDS = 10.0

Serve = Callable[[TlsStream, str], None]
"""Serves one connection; the second argument is the client's address. It must not close it."""


class TlsServer(socketserver.ThreadingTCPServer):
    """Listens on every address. `serve_forever` is what a role ends in."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: str, port: int, context: Callable[[], ssl.SSLContext], serve: Serve, log: Log) -> None:
        super().__init__((address, port), socketserver.BaseRequestHandler)
        self._context, self._serve, self._log = context, serve, log

    def finish_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """One connection, in its own thread."""
        if not isinstance(request, socket.socket):
            raise TypeError("a datagram")
        client = client_address[0] if isinstance(client_address, tuple) else str(client_address)
        request.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        request.settimeout(HANDSHAKE_TIMEOUT_SECONDS)
        try:
            stream = TlsStream(request, self._context(), server_side=True)
            stream.shake_hands()
        except OSError as error:
            # A balancer's TCP probe ends here with each connection: only what said something is worth a line.
            if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
                self._log.info(f"{client}: {error.reason or error}")
            return
        stream.set_timeout(None)
        try:
            self._serve(stream, client)
        except OSError as error:
            self._log.info(f"{client}: {error}")
        finally:
            stream.close()
