"""A TCP relay in front of a server that breaks connections off in the middle of what they carry."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class CuttingProxy:
    """Relays to `target`. While `cuts_left` > 0, a connection is cut after so many bytes in the chosen direction."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.cuts_left = 0
        self.after_bytes = 0
        self.cuts_answers = True
        self.marker = b""
        """Only what comes after this counts: what makes a connection worth cutting."""
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._ends: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def cut(self, times: int, *, marker: bytes, after_bytes: int, answers: bool) -> None:
        """Cut the next `times` connections whose request holds `marker`, after so many bytes of request or answer."""
        with self._lock:
            self.cuts_left, self.marker, self.after_bytes, self.cuts_answers = times, marker, after_bytes, answers

    def close(self) -> None:
        _shut(self._listening)  # wakes the thread that accepts; closing alone would leave it there
        self._listening.close()
        self._thread.join(5)
        for end in self._ends:
            _shut(end)
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self.target) as server:
            self._ends += [client, server]
            armed = threading.Event()
            answers = threading.Thread(target=self._relay, args=(server, client, armed, False), daemon=True)
            answers.start()
            self._relay(client, server, armed, True)
            answers.join(10)

    def _relay(self, source: socket.socket, sink: socket.socket, armed: threading.Event, is_request: bool) -> None:
        passed, was_armed = 0, False
        try:
            while data := source.recv(4096):
                if is_request and self._takes(data):
                    armed.set()
                if armed.is_set() and is_request != self.cuts_answers:
                    passed = passed if was_armed else 0  # what came before on a connection that is used again
                    was_armed = True
                    if passed + len(data) > self.after_bytes:
                        sink.sendall(data[: self.after_bytes - passed])
                        break
                    passed += len(data)
                sink.sendall(data)
        except OSError:
            pass
        _shut(source)
        _shut(sink)

    def _takes(self, data: bytes) -> bool:
        with self._lock:
            if self.cuts_left > 0 and self.marker in data:
                self.cuts_left -= 1
                return True
        return False


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@contextmanager
def cutting_proxy(url: str) -> Iterator[CuttingProxy]:
    """A relay in front of `http://HOST:PORT`."""
    host, _, port = url.removeprefix("http://").partition(":")
    proxy = CuttingProxy((host, int(port)))
    try:
        yield proxy
    finally:
        proxy.close()
