"""Carries bytes between two connected sockets, both ways at once, until both ends have said all.

One buffer a direction and no more: a reader that is slow slows its writer down. The end of one direction is passed on
(half-close) while the other goes on.
"""

from __future__ import annotations

import asyncio
import socket
import struct

_BUFFER_BYTES = 64 * 1024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def reset(connection: socket.socket) -> None:
    """Close with a TCP reset, which is how a network load balancer ends a flow that it cannot go on with."""
    if connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        connection.close()


class Relay:
    """One pair of sockets, both not blocking. The caller closes them."""

    def __init__(self, client: socket.socket, upstream: socket.socket, idle_timeout_seconds: float) -> None:
        self._client = client
        self._upstream = upstream
        self._idle_timeout_seconds = idle_timeout_seconds

    async def run(self) -> None:
        """Carry until both directions have ended.

        Raises OSError when either end resets the connection, TimeoutError when nothing was carried for as long as the
        idle timeout.
        """
        async with asyncio.timeout(self._idle_timeout_seconds) as limit:
            tasks = [
                asyncio.create_task(self._carry(self._client, self._upstream, limit)),
                asyncio.create_task(self._carry(self._upstream, self._client, limit)),
            ]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry(self, source: socket.socket, sink: socket.socket, limit: asyncio.Timeout) -> None:
        loop = asyncio.get_running_loop()
        buffer = memoryview(bytearray(_BUFFER_BYTES))
        while count := await loop.sock_recv_into(source, buffer):
            await loop.sock_sendall(sink, buffer[:count])
            limit.reschedule(loop.time() + self._idle_timeout_seconds)
        sink.shutdown(socket.SHUT_WR)
