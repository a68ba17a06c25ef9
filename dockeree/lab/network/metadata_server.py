"""The instance metadata service over HTTP: IMDSv2 sessions, IMDSv1 where it is allowed, and the hop limit.

One server a VPC, at 169.254.169.254:80 in the VPC's namespace; who asks is known by the source address.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from dockeree.lab.network import metadata as tree
from dockeree.lab.network.accepting import accept_forever
from dockeree.lab.world import Metadata, Region

PORT = 80
_TOKEN_HEADER = "X-aws-ec2-metadata-token"
_TTL_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"
_MOST_TTL_SECONDS = 21600
_REQUEST_TIMEOUT_SECONDS = 10
_THREADS = 16

logger = logging.getLogger(__name__)


class Tokens:
    """IMDSv2 sessions: a token belongs to one instance and has an end."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens: dict[str, tuple[str, float]] = {}

    def issue(self, instance_id: str, ttl_seconds: int) -> str:
        """A new token of an instance."""
        token = secrets.token_urlsafe(42)
        now = self._clock()
        with self._lock:
            self._tokens = {key: entry for key, entry in self._tokens.items() if entry[1] > now}
            self._tokens[token] = (instance_id, now + ttl_seconds)
        return token

    def is_valid(self, token: str, instance_id: str) -> bool:
        """Whether this token was issued to this instance and has not expired."""
        with self._lock:
            owner, end = self._tokens.get(token, ("", 0.0))
        return owner == instance_id and end > self._clock()


class _Handler(BaseHTTPRequestHandler):
    """One connection. `server` is the MetadataServer."""

    protocol_version = "HTTP/1.1"
    server_version = "EC2ws"
    sys_version = ""
    timeout = _REQUEST_TIMEOUT_SECONDS
    server: Any

    def do_GET(self) -> None:
        metadata = self._metadata()
        if metadata is None:
            return
        service: MetadataServer = self.server
        token = self.headers.get(_TOKEN_HEADER)
        if token is None and metadata.tokens_required:
            self._answer(HTTPStatus.UNAUTHORIZED)
            return
        if token is not None and not service.tokens.is_valid(token, metadata.instance_id):
            self._answer(HTTPStatus.UNAUTHORIZED)
            return
        region = service.region()
        content = tree.fetch(
            self.path.partition("?")[0],
            metadata,
            lambda: region.role_credentials(metadata.instance_id) if region else None,
        )
        if content is None:
            self._answer(HTTPStatus.NOT_FOUND)
        else:
            self._answer(HTTPStatus.OK, content)

    def do_PUT(self) -> None:
        metadata = self._metadata()
        if metadata is None:
            return
        # The answer lives this many hops: a container behind the node's bridge is one hop further than the node.
        self.connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, metadata.hop_limit)
        if self.path.partition("?")[0] != "/latest/api/token":
            self._answer(HTTPStatus.NOT_FOUND)
            return
        if self.headers.get("X-Forwarded-For") is not None:
            # A token must not reach through an open proxy.
            self._answer(HTTPStatus.FORBIDDEN)
            return
        given = self.headers.get(_TTL_HEADER, "")
        if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= _MOST_TTL_SECONDS:
            self._answer(HTTPStatus.BAD_REQUEST)
            return
        service: MetadataServer = self.server
        self._answer(HTTPStatus.OK, service.tokens.issue(metadata.instance_id, int(given)), {_TTL_HEADER: given})

    def do_POST(self) -> None:
        self._answer(HTTPStatus.METHOD_NOT_ALLOWED)

    def do_DELETE(self) -> None:
        self._answer(HTTPStatus.METHOD_NOT_ALLOWED)

    def do_HEAD(self) -> None:
        self._answer(HTTPStatus.METHOD_NOT_ALLOWED)

    def _metadata(self) -> Metadata | None:
        """Who asks. Answers the request itself, and returns None, where nothing may be told."""
        service: MetadataServer = self.server
        region = service.region()
        found = region.metadata_by_address(service.vpc_id, self.client_address[0]) if region else None
        if found is None:
            self._answer(HTTPStatus.NOT_FOUND)
        elif not found.enabled:
            self._answer(HTTPStatus.FORBIDDEN)
            return None
        return found

    def _answer(self, status: HTTPStatus, content: str | bytes = "", headers: dict[str, str] | None = None) -> None:
        body = content if isinstance(content, bytes) else content.encode()
        self.send_response(status)
        kind = "application/octet-stream" if isinstance(content, bytes) else "text/plain"
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        # As EC2's: one answer a connection. So none holds a thread for longer than its request takes.
        self.close_connection = True
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug("metadata service, %s: " + format, self.client_address[0], *args)


class MetadataServer:
    """One VPC's metadata service, on a socket that was opened in the VPC's namespace."""

    def __init__(self, vpc_id: str, region: Callable[[], Region | None], tokens: Tokens | None = None) -> None:
        self.vpc_id = vpc_id
        self.region = region
        self.tokens = tokens or Tokens()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"metadata-{vpc_id}")
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None

    async def start(self, listener: socket.socket) -> None:
        """Serve on this listening socket, which the server closes in the end."""
        listener.setblocking(False)
        self._listener = listener
        self._accepting = asyncio.create_task(
            accept_forever(listener, f"metadata service of {self.vpc_id}", self._submit)
        )

    def _submit(self, connection: socket.socket, peer: tuple[str, int]) -> None:
        # The region may have to wait for a lock: never on the loop's thread.
        self._threads.submit(self._serve, connection, peer)

    def _serve(self, connection: socket.socket, address: tuple[str, int]) -> None:
        with connection:
            try:
                _Handler(connection, address, self)  # type: ignore[arg-type]
            except OSError as error:
                logger.debug("metadata service: connection from %s ended: %s", address[0], error)
            except Exception:
                logger.exception("metadata service: a request from %s failed", address[0])
                raise

    async def stop(self) -> None:
        """Close the socket; requests under way are finished."""
        if self._accepting is not None:
            self._accepting.cancel()
        if self._listener is not None:
            self._listener.close()
        self._threads.shutdown(wait=False)
