"""An address that swallows connections: as behind a security group without a rule, or with the power cut.

Linux drops the SYNs for a listener whose accept queue is full. So this listens with the shortest queue, fills it with
connections of its own, and never accepts: whoever else dials gets no answer at all, instead of a refusal.
"""

from __future__ import annotations

import contextlib
import socket

QUEUE = 2
"""A queue of length 0 takes one connection; a second one of ours makes sure that it is full."""


class BlackHole:
    """Swallows what is sent to `address`:`port` until closed."""

    def __init__(self, address: str, port: int) -> None:
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._fillers: list[socket.socket] = []
        try:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind((address, port))
            self._listener.listen(0)
            for _ in range(QUEUE):
                filler = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                self._fillers.append(filler)
                filler.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    filler.connect((address, port))
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Stop swallowing: from now on connections are refused."""
        for filler in self._fillers:
            filler.close()
        self._listener.close()
