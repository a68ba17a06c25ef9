"""Connections as byte streams whose one direction can end before the other, over TLS too, and a pump between two.

`docker run -i` ends its input and then reads on. Python's ssl.SSLSocket cannot do that: its unwrap waits for the other
side's end. Here TLS runs over memory, and the end of the input is a close_notify alert like any other bytes to send.
"""

from __future__ import annotations

import contextlib
import io
import socket
import ssl
import threading
from typing import Any, Protocol

CHUNK_BYTES = 65536


class Stream(Protocol):
    """A connection."""

    def receive(self) -> bytes:
        """Some bytes, as soon as there are any; none when the other side has ended. Raises OSError."""

    def send(self, content: bytes) -> None:
        """Send all of it. Raises OSError."""

    def end(self) -> None:
        """Nothing more will be sent; the other side may go on."""

    def close(self) -> None:
        """Harmless when closed."""


class PlainStream:
    """A socket, TCP or Unix."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def receive(self) -> bytes:
        return self._connection.recv(CHUNK_BYTES)

    def send(self, content: bytes) -> None:
        self._connection.sendall(content)

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        _close(self._connection)


class TlsStream:
    """A socket with TLS over it. One thread may receive while another sends."""

    def __init__(self, connection: socket.socket, context: ssl.SSLContext, *, server_side: bool) -> None:
        self._connection = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side)
        self._received = bytearray()
        self._has_ended = False
        self._state = threading.Lock()
        self._sending = threading.Lock()

    def shake_hands(self) -> None:
        """Raises ssl.SSLError (a certificate that is not accepted among them) or OSError."""
        while True:
            try:
                self._tls.do_handshake()
                self._flush()
                return
            except ssl.SSLWantReadError:
                self._flush()
                self._feed(self._connection.recv(CHUNK_BYTES))
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    self._flush()
                raise

    def peer(self) -> dict[str, Any]:
        """The other side's certificate (ssl.SSLSocket.getpeercert); empty when it showed none."""
        return self._tls.getpeercert() or {}

    def peer_der(self) -> bytes | None:
        """The same in DER."""
        return self._tls.getpeercert(binary_form=True)

    def receive(self) -> bytes:
        while True:
            with self._state:
                content = self._read()
            if content != b"" and self._outgoing.pending:
                self._flush()
            if content is not None:
                return content
            chunk = self._connection.recv(CHUNK_BYTES)
            with self._state:
                self._feed(chunk)

    def send(self, content: bytes) -> None:
        with self._state:
            self._tls.write(content)
        self._flush()

    def end(self) -> None:
        with self._state, contextlib.suppress(ssl.SSLError):
            # SSL_shutdown looks for the other side's alert and fails over data: take what there is first.
            while content := self._read(even_buffered=False):
                self._received += content
            self._tls.unwrap()
        with contextlib.suppress(OSError):
            self._flush()

    def close(self) -> None:
        self.end()
        _close(self._connection)

    def set_timeout(self, seconds: float | None) -> None:
        """How long one receive or send may take."""
        self._connection.settimeout(seconds)

    def _read(self, *, even_buffered: bool = True) -> bytes | None:
        """Decrypted bytes; empty at the end; None when more must be received first."""
        if even_buffered and self._received:
            content = bytes(self._received)
            self._received.clear()
            return content
        if self._has_ended:
            return b""
        try:
            content = self._tls.read(CHUNK_BYTES)
        except ssl.SSLWantReadError:
            return None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            content = b""
        self._has_ended = not content
        return content

    def _feed(self, chunk: bytes) -> None:
        if chunk:
            self._incoming.write(chunk)
        else:
            self._incoming.write_eof()

    def _flush(self) -> None:
        with self._sending:
            with self._state:
                content = self._outgoing.read()
            if content:
                self._connection.sendall(content)


class ReadableStream(io.RawIOBase):
    """A stream's receiving side as a file, for io.BufferedReader."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._rest or self._stream.receive()
        taken = content[: len(buffer)]
        self._rest = content[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)


def pump(one: Stream, other: Stream) -> None:
    """Carry bytes both ways until `other` has ended its side (the answer is over), then close both."""
    there = threading.Thread(target=_carry, args=(one, other), daemon=True)
    there.start()
    _carry(other, one)
    one.close()
    other.close()


def _carry(source: Stream, target: Stream) -> None:
    with contextlib.suppress(OSError, ValueError):
        while content := source.receive():
            target.send(content)
    with contextlib.suppress(OSError, ValueError):
        target.end()


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # A thread that waits in recv() is woken by this, not by close().
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
