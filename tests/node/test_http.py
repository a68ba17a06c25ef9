"""Calls to consoles by a real curl: what stands in its arguments, what it sends, how answers are read."""

from __future__ import annotations

import json
import shlex
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from support.here import Here

from dockeree.errors import CommandFailed
from dockeree.node import http
from dockeree.node.http import Answer, Request

AWKWARD = 'a "quoted" \\ back\\nslash\nline two\twith tab\r\n@begins with at ä'


class Echo(BaseHTTPRequestHandler):
    """Answers with what came; /refuse answers 409, /away sends elsewhere."""

    def do_GET(self) -> None:
        if self.path == "/bytes":
            self._answer(200, bytes(range(256)))
            return
        if self.path == "/away":
            self.send_response(307)
            self.send_header("Location", "/there")
            self.end_headers()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        document = {"method": self.command, "path": self.path, "body": body.decode(), "headers": dict(self.headers)}
        self._answer(409 if self.path == "/refuse" else 200, json.dumps(document).encode())

    do_POST = do_PUT = do_GET  # noqa: N815 - names of the library

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return None


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def here() -> Here:
    return Here()


@pytest.mark.parametrize("body", [AWKWARD, '{"a": "b"}', "", "@/etc/passwd"])
def test_bodies_arrive_as_they_are(url: str, here: Here, body: str) -> None:
    answer = http.call(here, Request(f"{url}/x", "PUT", body, "application/toml"))
    assert answer.status == 200
    seen = answer.json()
    assert (seen["method"], seen["body"]) == ("PUT", body)
    assert seen["headers"]["Content-Type"] == "application/toml"


def test_secrets_are_in_no_argument(url: str, here: Here) -> None:
    http.call(here, Request(f"{url}/x", "POST", '{"password": "hidden-body"}', token="hidden-token"))
    http.call(here, Request(f"{url}/x", user=("admin", 'hidden:pass"word')))
    assert here.commands
    assert not any("hidden" in command or url in command for command in here.commands)


def test_tokens_and_passwords_go_as_headers(url: str, here: Here) -> None:
    seen = http.call(here, Request(f"{url}/x", token="t0ken", headers={"Accept": "a/b"})).json()["headers"]
    assert (seen["Authorization"], seen["Accept"]) == ("Bearer t0ken", "a/b")
    basic = http.call(here, Request(f"{url}/x", user=("admin", 'p"w'))).json()["headers"]["Authorization"]
    assert basic == "Basic YWRtaW46cCJ3"


def test_a_refusal_is_an_answer(url: str, here: Here) -> None:
    answer = http.call(here, Request(f"{url}/refuse", "POST", "{}"))
    assert answer.status == 409
    assert not answer.is_ok


def test_nobody_there_is_an_answer_with_curl_s_reason(here: Here) -> None:
    answer = http.call(here, Request("http://127.0.0.1:9/x"))
    assert answer.status == http.UNREACHABLE
    assert "127.0.0.1" in answer.body
    assert str(answer).startswith("no answer: curl: (7)")


def test_headers_redirects_and_another_address(url: str, here: Here) -> None:
    port = url.rpartition(":")[2]
    assert "\nLocation: /there" in http.call(here, Request(f"{url}/away", with_headers=True)).body
    assert http.call(here, Request(f"{url}/away", follow=True)).json()["path"] == "/there"
    named = Request("http://ucp.example.com/x", connect_to=f"ucp.example.com:80:127.0.0.1:{port}")
    assert http.call(here, named).json()["headers"]["Host"] == "ucp.example.com"


def test_downloads_are_byte_for_byte(url: str, here: Here) -> None:
    assert http.download(here, Request(f"{url}/bytes")) == bytes(range(256))
    with pytest.raises(CommandFailed, match="409"):
        http.download(here, Request(f"{url}/refuse"))


def test_names_are_verified_against_what_is_on_standard_input() -> None:
    command = http.verified_command("https://ucp.example.com/_ping", connect_to="10.32.0.5:443")
    piped, curl = command.split(" | ")
    words = shlex.split(curl)
    assert piped == "cat", "a socket cannot be opened as /dev/stdin"
    assert words[words.index("--connect-to") + 1] == "ucp.example.com:443:10.32.0.5:443"
    assert words[words.index("--cacert") + 1] == "/dev/stdin"
    assert "--insecure" not in words


def test_errors_are_said_in_the_console_s_own_words() -> None:
    assert str(Answer(500, '{"message": "no\\nspace"}')) == "HTTP 500: no space"
    assert str(Answer(401, '{"errors": [{"code": "X", "message": "bad", "detail": "more"}]}')) == "HTTP 401: bad more"
    assert str(Answer(502, "<html>")) == "HTTP 502: <html>"
    assert str(Answer(204, "")) == "HTTP 204"
