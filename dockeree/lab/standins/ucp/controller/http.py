"""Requests and answers over TLS, on the standard library's parser; a route may take the connection for itself."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from dockeree.lab.standins.program.docker_api import ApiError
from dockeree.lab.standins.program.log import Log
from dockeree.lab.standins.program.streams import ReadableStream, TlsStream
from dockeree.lab.standins.ucp.accounts import Account, AccountError

LARGEST_BODY_BYTES = 16 * 1024 * 1024
"""Of a body that is read whole; what is forwarded has no limit."""
Access = Literal["anyone", "user", "admin"]


class HttpError(Exception):
    """An answer that is not a success."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Answer:
    """`body` is JSON, or bytes or chunks of bytes as they are."""

    body: Any = None
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Request:
    """One request. `user` is None where nobody has to be known."""

    method: str
    target: str
    headers: Mapping[str, str]
    reader: io.BufferedReader
    stream: TlsStream
    user: Account | None = None

    @property
    def path(self) -> str:
        """Without the query, decoded."""
        return unquote(urlsplit(self.target).path)

    @property
    def query_text(self) -> str:
        """As it came."""
        return urlsplit(self.target).query

    @property
    def query(self) -> dict[str, str]:
        """Of names given twice the last."""
        return dict(parse_qsl(self.query_text, keep_blank_values=True))

    @property
    def has_body(self) -> bool:
        """Whether one follows the head."""
        return self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers

    def read_body(self) -> bytes:
        """The whole body. Raises HttpError when it is too long."""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            return self._read_chunks()
        length = int(self.headers.get("Content-Length") or 0)
        if length > LARGEST_BODY_BYTES:
            raise HttpError(413, "the body is too long")
        return self.reader.read(length)

    def read_json(self) -> Any:
        """The body. Raises HttpError when it is not JSON."""
        try:
            return json.loads(self.read_body() or b"null")
        except ValueError as error:
            raise HttpError(400, f"the body is not JSON: {error}") from error

    def _read_chunks(self) -> bytes:
        content = bytearray()
        while length := int(self.reader.readline().split(b";")[0], 16):
            content += self.reader.read(length)
            self.reader.readline()
            if len(content) > LARGEST_BODY_BYTES:
                raise HttpError(413, "the body is too long")
        while self.reader.readline().strip():
            pass
        return bytes(content)


Handle = Callable[[Request, Mapping[str, str]], Answer | None]
"""None: the connection was taken, the answer is given."""


@dataclass(frozen=True)
class Route:
    """What answers. `methods` is one or several, with spaces; `pattern` must match the whole path."""

    methods: str
    pattern: str
    handle: Handle
    access: Access = "admin"

    def match(self, method: str, path: str) -> Mapping[str, str] | None:
        """The pattern's groups; None when it is another route's."""
        found = re.fullmatch(self.pattern, path) if method in self.methods.split() else None
        return None if found is None else {name: value or "" for name, value in found.groupdict().items()}


Authenticate = Callable[[Request], Account | None]


class Application:
    """Routes, the first that matches answers."""

    def __init__(self, routes: Sequence[Route], authenticate: Authenticate, log: Log) -> None:
        self._routes, self._authenticate, self._log = routes, authenticate, log

    def serve(self, stream: TlsStream, client: str) -> None:
        """Every request of one connection."""
        _Handler(stream, (client, 0), self)

    def answer(self, request: Request) -> Answer | None:
        """One answer; never raises but for a broken connection."""
        try:
            return self._dispatch(request)
        except (HttpError, AccountError) as error:
            return Answer({"message": str(error)}, error.status)
        except ApiError as error:
            return Answer({"message": str(error)}, error.status or 500)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self._log.error(f"{request.method} {request.path}: {type(error).__name__}: {error}")
            return Answer({"message": f"{type(error).__name__}: {error}"}, 500)

    def _dispatch(self, request: Request) -> Answer | None:
        is_path_known = False
        for route in self._routes:
            groups = route.match(request.method, request.path)
            if groups is None:
                is_path_known |= re.fullmatch(route.pattern, request.path) is not None
                continue
            if route.access != "anyone":
                request.user = self._authenticate(request)
                if request.user is None:
                    raise HttpError(401, "unauthorized")
                if route.access == "admin" and not request.user.is_admin:
                    raise HttpError(403, "access denied: this needs an administrator")
            return route.handle(request, groups)
        raise HttpError(405 if is_path_known and request.method != "HEAD" else 404, "page not found")


class _Writer(io.RawIOBase):
    def __init__(self, stream: TlsStream) -> None:
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self._stream.send(bytes(content))
        return len(content)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "UCP-stand-in", ""

    def __init__(self, stream: TlsStream, client: tuple[str, int], application: Application) -> None:
        self._stream, self._application = stream, application
        super().__init__(stream, client, application)  # type: ignore[arg-type]

    def setup(self) -> None:
        self.rfile = io.BufferedReader(ReadableStream(self._stream))
        self.wfile = _Writer(self._stream)  # type: ignore[assignment]

    def finish(self) -> None:
        pass

    def log_message(self, *_: Any) -> None:
        pass

    def _serve(self) -> None:
        request = Request(self.command, self.path, self.headers, self.rfile, self._stream)  # type: ignore[arg-type]
        answer = self._application.answer(request)
        if answer is None:
            self.close_connection = True
            return
        if request.has_body and answer.status >= 400:
            # It may not have been read, and would be taken for the next request.
            self.close_connection = True
        self._write(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the parser's names

    def _write(self, answer: Answer) -> None:
        chunks = answer.body if isinstance(answer.body, Iterator) else None
        content = b"" if chunks else _bytes_of(answer.body)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", answer.content_type)
        self.send_header(*(("Transfer-Encoding", "chunked") if chunks else ("Content-Length", str(len(content)))))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "HEAD":
            return
        for chunk in chunks or ():
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n" if chunks else content)


def _bytes_of(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return b"" if body is None else json.dumps(body).encode() + b"\n"
