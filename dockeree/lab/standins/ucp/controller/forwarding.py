"""A request handed on to a node's engine byte for byte, its answer and what follows (logs, attached terminals) too."""

from __future__ import annotations

import io
from urllib.parse import quote

from dockeree.lab.standins.program.streams import CHUNK_BYTES, Stream, pump
from dockeree.lab.standins.ucp.controller.cluster import Cluster, Node
from dockeree.lab.standins.ucp.controller.http import Answer, Request

NOT_FORWARDED = {"host", "authorization", "connection", "expect", "content-length", "upgrade", "keep-alive"}


class _Client:
    """The client's side: what its parser has read already comes first."""

    def __init__(self, reader: io.BufferedReader, stream: Stream) -> None:
        self._reader, self._stream = reader, stream

    def receive(self) -> bytes:
        return self._reader.read1(CHUNK_BYTES)

    def send(self, content: bytes) -> None:
        self._stream.send(content)

    def end(self) -> None:
        self._stream.end()

    def close(self) -> None:
        self._stream.close()


def forward(
    cluster: Cluster, node: Node, request: Request, path: str, query: str = "", body: bytes | None = None
) -> Answer | None:
    """Hand a request on, with `body` in the place of its own where given; takes the connection. Raises ApiError.

    The connection is closed after it: the engine is asked to, and what was a request may have become a stream.
    """
    upstream = cluster.open(node)
    lines = [f"{request.method} {quote(path)}{f'?{query}' if query else ''} HTTP/1.1", "Host: docker"]
    lines += [f"{name}: {value}" for name, value in request.headers.items() if name.lower() not in NOT_FORWARDED]
    if "Upgrade" in request.headers:
        lines += ["Connection: Upgrade", f"Upgrade: {request.headers['Upgrade']}"]
    else:
        lines.append("Connection: close")
    length = request.headers.get("Content-Length") if body is None else str(len(body))
    if length is not None:
        lines.append(f"Content-Length: {length}")
    upstream.send("\r\n".join([*lines, "", ""]).encode() + (body or b""))
    pump(_Client(request.reader, request.stream), upstream)
    return None
