"""The Docker API: an engine over its Unix socket or over TLS, and UCP, which speaks the same.

Calls carry no API version: each engine then answers with its newest.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import socket
import ssl
import tarfile
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

SOCKET_PATH = "/var/run/docker.sock"
TIMEOUT_SECONDS = 60.0

Connect = Callable[[float], http.client.HTTPConnection]
"""Makes a connection whose every answer is awaited for at most so many seconds."""


class ApiError(Exception):
    """An answer that is not a success. `status` is its HTTP status, 0 when there was no answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_seconds: float) -> None:
        super().__init__("docker", timeout=timeout_seconds)
        self._path, self._timeout_seconds = path, timeout_seconds

    def connect(self) -> None:
        self.sock = connect_local(self._path, self._timeout_seconds)


def connect_local(path: str = SOCKET_PATH, timeout_seconds: float | None = None) -> socket.socket:
    """A connection to a Unix socket. Raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_seconds)
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


def local_engine(path: str = SOCKET_PATH) -> DockerApi:
    """The engine whose socket is mounted here."""
    return DockerApi(lambda timeout_seconds: _UnixConnection(path, timeout_seconds))


def remote(host: str, port: int, context: ssl.SSLContext, headers: Mapping[str, str] | None = None) -> DockerApi:
    """An engine's TLS proxy, or UCP. `headers` go with every call."""
    return DockerApi(
        lambda timeout_seconds: http.client.HTTPSConnection(host, port, timeout=timeout_seconds, context=context),
        headers,
    )


class DockerApi:
    """JSON calls, one connection each."""

    def __init__(self, connect: Connect, headers: Mapping[str, str] | None = None) -> None:
        self._connect = connect
        self._headers = dict(headers or {})

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One call: status, headers, body. Raises ApiError with status 0 when there is no answer."""
        connection = self._connect(timeout_seconds)
        try:
            connection.request(method, path, body, {**self._headers, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(0, f"{method} {path}: {error or type(error).__name__}") from error
        finally:
            connection.close()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> Any:
        """One call with JSON both ways; None for an empty answer. `query` values that are no text are sent as JSON.

        Raises ApiError.
        """
        if query:
            words = {name: value if isinstance(value, str) else json.dumps(value) for name, value in query.items()}
            path = f"{path}?{urlencode(words)}"
        content = None if body is None else json.dumps(body).encode()
        all_headers = {"Content-Type": "application/json", **(headers or {})}
        status, _, answer = self.request(method, path, content, all_headers, timeout_seconds)
        if status >= 400:
            raise ApiError(status, message_of(answer))
        try:
            return json.loads(answer) if answer.strip() else None
        except ValueError:
            return answer.decode(errors="replace")

    def create_container(self, name: str, spec: Mapping[str, Any]) -> str:
        """Create a container and return its id. Raises ApiError."""
        created = self.call("POST", "/containers/create", spec, {"name": name})
        container_id: str = created["Id"]
        return container_id

    def start_container(self, container: str) -> None:
        """Raises ApiError."""
        self.call("POST", f"/containers/{container}/start")

    def wait_for_container(self, container: str, timeout_seconds: float) -> int:
        """The exit code, when it has ended. Raises ApiError, with status 0 when it takes longer."""
        answer = self.call("POST", f"/containers/{container}/wait", timeout_seconds=timeout_seconds)
        code: int = answer["StatusCode"]
        return code

    def container_output(self, container: str, *, of_stderr: bool = False) -> bytes:
        """What a container without a terminal has written to one of its outputs so far."""
        which = "stderr" if of_stderr else "stdout"
        _, _, content = self.request("GET", f"/containers/{container}/logs?{which}=1")
        return b"".join(frames(content))

    def remove_container(self, container: str) -> None:
        """Remove it, running or not. Harmless when there is none."""
        with self.ignoring_absence():
            self.call("DELETE", f"/containers/{container}", query={"force": "1", "v": "1"})

    def get_files(self, container: str, folder: str) -> dict[str, bytes]:
        """The files directly in a folder of a container, which need not run."""
        status, _, content = self.request("GET", f"/containers/{container}/archive?path={quote(folder)}/.")
        if status >= 400:
            raise ApiError(status, message_of(content))
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            return {
                member.name.rpartition("/")[2]: opened.read()
                for member in tar
                if member.isfile() and (opened := tar.extractfile(member)) is not None
            }

    def put_files(self, container: str, folder: str, files: Mapping[str, bytes]) -> None:
        """Write files into a folder of a container, which need not run. Keys are 0600, what else 0644."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(content), 0o600 if name.startswith("key") else 0o644
                tar.addfile(entry, io.BytesIO(content))
        path = f"/containers/{container}/archive?path={quote(folder)}"
        status, _, answer = self.request("PUT", path, buffer.getvalue(), {"Content-Type": "application/x-tar"})
        if status >= 400:
            raise ApiError(status, message_of(answer))

    @staticmethod
    def ignoring_absence() -> contextlib.AbstractContextManager[None]:
        """What is not there needs no removing."""
        return _ignoring(404)


@contextlib.contextmanager
def _ignoring(status: int) -> Any:
    try:
        yield
    except ApiError as error:
        if error.status != status:
            raise


def message_of(answer: bytes) -> str:
    """The message of an error's body."""
    try:
        return str(json.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):
        return answer.decode(errors="replace").strip()[:500]


def frames(content: bytes) -> list[bytes]:
    """The payloads of the engine's multiplexed stream: stream type, three zeros, length (4 bytes, big endian)."""
    found, place = [], 0
    while place + 8 <= len(content):
        length = int.from_bytes(content[place + 4 : place + 8], "big")
        found.append(content[place + 8 : place + 8 + length])
        place += 8 + length
    return found
