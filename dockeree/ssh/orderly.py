"""paramiko's transport with one flaw mended: a channel's last words never come after its end.

paramiko builds a channel's message under the channel's lock and sends it after letting go of it. When a command ends
at that moment, the thread that reads the connection answers the server's CLOSE in between, and data or the end of
standard input goes to a channel that the server has already forgotten: OpenSSH then cuts the whole connection ("packet
referred to nonexistent channel"), and with it every other command that runs over it.
"""

from __future__ import annotations

import socket
import threading

import paramiko
from paramiko.common import MSG_CHANNEL_CLOSE, MSG_CHANNEL_DATA, MSG_CHANNEL_EOF, MSG_CHANNEL_REQUEST


class OrderlyTransport(paramiko.Transport):
    """Sends a channel's messages one at a time, and drops what comes after its CLOSE."""

    def __init__(self, connection: socket.socket) -> None:
        self._order = threading.Lock()
        self._closed_channels: set[bytes] = set()
        super().__init__(connection)

    def _send_user_message(self, data: paramiko.Message) -> None:
        """Every message of an open session passes here: a byte that says what it is, four that name the channel."""
        packet = data.asbytes()
        kind, channel = packet[0], packet[1:5]
        with self._order:
            if kind == MSG_CHANNEL_REQUEST:
                self._closed_channels.discard(channel)  # the first word of a new channel that got an old one's number
            elif kind in (MSG_CHANNEL_DATA, MSG_CHANNEL_EOF) and channel in self._closed_channels:
                return
            elif kind == MSG_CHANNEL_CLOSE:
                self._closed_channels.add(channel)
            super()._send_user_message(data)  # type: ignore[misc]  # not in the stubs
