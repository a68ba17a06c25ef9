"""Accepts connections for as long as the listening socket lives."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

_PAUSE_SECONDS = 0.2

logger = logging.getLogger(__name__)


async def accept_forever(
    listener: socket.socket, what: str, handle: Callable[[socket.socket, tuple[str, int]], None]
) -> None:
    """Hand each connection (not blocking) and its peer to `handle`, which must not block. Ends by being cancelled.

    A connection that cannot be accepted is one connection's failure, never the server's: a client that left already,
    or no file descriptor to spare, which passes with time.
    """
    loop = asyncio.get_running_loop()
    while True:
        try:
            connection, peer = await loop.sock_accept(listener)
        except OSError as error:
            logger.error("%s cannot accept a connection: %s", what, error)
            await asyncio.sleep(_PAUSE_SECONDS)
            continue
        handle(connection, peer)
