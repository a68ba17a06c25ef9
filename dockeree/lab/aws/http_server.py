"""HTTP/1.1 with connections that stay open, for moto's application.

werkzeug's own handler closes the connection after each answer, which costs boto3 a new connection a call. This one
reads each request whole, so that the connection is clean for the next, and writes each answer in one piece.
"""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import ThreadedWSGIServer

log = logging.getLogger("dockeree.lab.aws")

WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class ConnectionDropped(Exception):
    """Raised by the application to close the connection without an answer."""


class KeepAliveHandler(MotoRequestHandler):
    """Serves the requests of one connection, one after the other."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Calls are kept by the lab, not printed."""

    def log_error(self, format: str, *args: Any) -> None:
        """Broken requests are worth a line of the lab's log, and no more."""
        log.info("%s: " + format, self.client_address, *args)

    def run_wsgi(self) -> None:
        """Answer one request."""
        environ = self.make_environ()
        body = self._read_body(environ)
        environ["wsgi.input"] = io.BytesIO(body)
        environ["wsgi.input_terminated"] = True
        environ["CONTENT_LENGTH"] = str(len(body))
        answer: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> None:
            answer[:] = [(status, headers)]

        try:
            chunks = self.server.app(environ, start_response)
            content = b"".join(chunks)
            if hasattr(chunks, "close"):
                chunks.close()
        except ConnectionDropped:
            self.close_connection = True
            return
        status, headers = answer[0]
        self._write(status, headers, content)

    def _read_body(self, environ: dict[str, Any]) -> bytes:
        if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
            return bytes(environ["wsgi.input"].read())
        return self.rfile.read(int(environ.get("CONTENT_LENGTH") or 0))

    def _write(self, status: str, headers: list[tuple[str, str]], content: bytes) -> None:
        code, _, reason = status.partition(" ")
        bodiless = self.command == "HEAD" or code in ("204", "304")
        self.send_response(int(code), reason)
        for key, value in headers:
            if key.lower() not in ("content-length", "connection", "transfer-encoding") or (
                self.command == "HEAD" and key.lower() == "content-length"
            ):
                self.send_header(key, value)
        if not bodiless:
            self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        # Headers and body in one write: in two, Nagle's algorithm and delayed acknowledgements cost 40 ms a call.
        pending: list[bytes] = self.__dict__.pop("_headers_buffer")
        head = b"".join(pending) + b"\r\n"
        self.wfile.write(head if bodiless else head + content)


class HttpServer(ThreadedWSGIServer):
    """Serves an application on a socket that already listens, a thread a connection, until closed."""

    request_queue_size = 256

    def __init__(self, listening: socket.socket, application: WsgiApplication) -> None:
        host, port = listening.getsockname()[:2]
        self._open: set[socket.socket] = set()
        self._open_changed = threading.Condition()
        super().__init__(host, port, application, KeepAliveHandler, fd=listening.fileno())
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.1}, name=f"lab-api-{host}:{port}", daemon=True
        )
        self._thread.start()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, to be able to close it."""
        with self._open_changed:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection that has ended."""
        super().shutdown_request(request)
        with self._open_changed:
            self._open.discard(request)
            self._open_changed.notify_all()

    def handle_error(self, _request: Any, client_address: Any) -> None:
        """A client that went away is no error; anything else belongs into the log, whole."""
        gone = isinstance(sys.exc_info()[1], ConnectionError | TimeoutError)
        log.log(logging.DEBUG if gone else logging.ERROR, "connection of %s failed", client_address, exc_info=True)

    def close(self) -> None:
        """Stop listening and end every connection; a call that is being answered has five seconds."""
        self.shutdown()
        self._thread.join(timeout=5)
        with self._open_changed:
            for connection in self._open:
                with contextlib.suppress(OSError):  # the client closed it first
                    connection.shutdown(socket.SHUT_RDWR)
            self._open_changed.wait_for(lambda: not self._open, timeout=5)
