"""Calls to UCP's and DTR's APIs, made by `curl` on a node, and how the answers are read.

The operator's machine may reach neither the managers' ports nor resolve the consoles' names; a node does. Whatever
must not be seen in a process's arguments (passwords, tokens, bodies) goes to curl's standard input as its
configuration (`--config -`).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dockeree.errors import CommandFailed, DockereeError, TimedOut
from dockeree.ssh.remote import Remote

CALL_SECONDS = 30
"""What one call may take; curl gives up by itself then."""
CURL = "curl --silent --show-error --insecure --max-time {seconds} --config - --write-out '\\n%{{http_code}}'"
"""Without a check of the certificate: these calls go from a node to its own address, and nobody stands between. Names
and certificates are verified by `verified_command`."""
UNREACHABLE = 0
"""The status of an answer that never came."""


@dataclass(frozen=True)
class Request:
    """One call. `user` is (name, password) for basic authentication, `token` a bearer token."""

    url: str
    method: str = "GET"
    body: str | None = None
    content_type: str = "application/json"
    token: str = ""
    user: tuple[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    connect_to: str = ""
    """HOST:PORT:ADDRESS:PORT: dial the address instead of the host (curl's --connect-to)."""
    with_headers: bool = False
    """Have the answer's body begin with its headers."""
    follow: bool = False
    """Go where the answer sends one: a registry gives blobs by an address of S3. curl sends no password along."""

    @property
    def changes(self) -> bool:
        """Whether the call may change something."""
        return self.method not in ("GET", "HEAD")


@dataclass(frozen=True)
class Answer:
    """The HTTP status and the body as text. `status` is UNREACHABLE when none came; `body` is then curl's reason."""

    status: int
    body: str

    @property
    def is_ok(self) -> bool:
        """Whether the call succeeded."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON. Raises ValueError."""
        return json.loads(self.body)

    def __str__(self) -> str:
        words = " ".join(_message(self.body).split())[:200]
        status = "no answer" if self.status == UNREACHABLE else f"HTTP {self.status}"
        return f"{status}: {words}" if words else status


def curl_config(request: Request) -> bytes:
    """The call as curl's configuration: one option a line, values quoted."""
    lines = [("url", request.url), ("request", request.method)]
    if request.token:
        lines.append(("header", f"Authorization: Bearer {request.token}"))
    if request.user:
        lines.append(("user", ":".join(request.user)))
    if request.connect_to:
        lines.append(("connect-to", request.connect_to))
    lines += [("header", f"{name}: {value}") for name, value in request.headers.items()]
    switches = [name for name, is_on in (("include", request.with_headers), ("location", request.follow)) if is_on]
    if request.body is not None:
        lines.append(("header", f"Content-Type: {request.content_type}"))
        lines.append(("data-raw", request.body))  # `data` would take a leading @ for the name of a file
    return "".join(
        [f"{option} = {_quoted(value)}\n" for option, value in lines] + [f"{s}\n" for s in switches]
    ).encode()


def parse_answer(stdout: str) -> Answer:
    """The body, a line end, and the status, as CURL writes them. Raises ValueError on anything else."""
    body, _, status = stdout.rpartition("\n")
    return Answer(int(status), body)


def call(remote: Remote, request: Request, *, seconds: int = CALL_SECONDS, changes: bool | None = None) -> Answer:
    """Make a call on a node; what comes back is in no log but for its status.

    `changes` says whether anything may be changed, where the method does not tell (a login changes nothing). Raises
    SshError; a console that does not answer is an Answer.
    """
    command = CURL.format(seconds=seconds)
    try:
        if request.changes if changes is None else changes:
            secrets = tuple(filter(None, (request.token, request.user[1] if request.user else "", request.body)))
            stdout = remote.run(
                command, stdin=curl_config(request), secrets=secrets, timeout_seconds=seconds + CALL_SECONDS
            ).stdout
        else:
            data = remote.read_bytes(command, stdin=curl_config(request), timeout_seconds=seconds + CALL_SECONDS)
            stdout = data.decode("utf-8", errors="replace")
        return parse_answer(stdout)
    except CommandFailed as failed:
        return Answer(UNREACHABLE, failed.stderr.strip())
    except TimedOut as late:
        return Answer(UNREACHABLE, late.message)


def download(remote: Remote, request: Request, *, seconds: int = CALL_SECONDS) -> bytearray:
    """The body of an answer, byte by byte, in no log. Raises CommandFailed when the status is 400 or above."""
    command = f"curl --silent --show-error --insecure --fail --max-time {seconds} --config -"
    return remote.read_bytes(command, stdin=curl_config(request), timeout_seconds=seconds + CALL_SECONDS)


def verified_command(url: str, *, connect_to: str = "", seconds: int = 10) -> str:
    """Get `url`, the certificate verified for its name against the authorities on standard input; prints the status.

    `connect_to` is the address, with its port, that is dialled instead of the name's. `cat` makes standard input a
    pipe: sshd hands over a socket, which cannot be opened by its name.
    """
    host = url.split("/")[2]
    port = host.partition(":")[2] or "443"
    words = ["curl", "--silent", "--show-error", "--max-time", str(seconds), "--cacert", "/dev/stdin"]
    if connect_to:
        words += ["--connect-to", f"{host.partition(':')[0]}:{port}:{connect_to}"]
    words += ["--output", "/dev/null", "--write-out", "%{http_code}", url]
    return f"cat | {shlex.join(words)}"


def verify(remote: Remote, url: str, authorities: str, *, connect_to: str = "") -> Answer:
    """Whether `url` answers with a certificate that is good for its name; the answer's body says why not."""
    command = verified_command(url, connect_to=connect_to)
    result = remote.run(command, stdin=authorities.encode(), check=False, changes=False)
    if result.exit_status != 0:
        return Answer(UNREACHABLE, result.stderr.strip())
    return Answer(int(result.stdout.strip() or 0), "")


def refuse(answer: Answer, what: str, hint: str = "") -> DockereeError:
    """The error for an answer that is not what was asked for."""
    return DockereeError(f"{what}: {answer}", hint)


def _message(body: str) -> str:
    """What an error's body says: UCP and the engine answer `message`, DTR a list of `errors`."""
    try:
        parsed = json.loads(body)
    except ValueError:
        return body
    if isinstance(parsed, dict) and isinstance(parsed.get("errors"), list) and parsed["errors"]:
        first = parsed["errors"][0]
        return f"{first.get('message', '')} {first.get('detail') or ''}".strip() if isinstance(first, dict) else body
    return str(parsed.get("message") or body) if isinstance(parsed, dict) else body


def _quoted(value: str) -> str:
    """As curl's configuration takes text: these escapes and no others."""
    for raw, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"), ("\v", "\\v")):
        value = value.replace(raw, escaped)
    return f'"{value}"'
