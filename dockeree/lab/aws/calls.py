"""Who called what: each API call named by service and action, and kept for `/lab/calls`."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from moto.core.request import Request
from moto.core.routing import get_service_router
from werkzeug.exceptions import NotFound

_CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
_ACTION = re.compile(rb"(?:^|&)Action=([A-Za-z0-9]+)")
_REST_SERVICES = frozenset({"s3", "route53"})
_KEPT = 200_000


@dataclass(frozen=True)
class CallName:
    """What a request asks for. `service` is the signing name (elasticloadbalancing, ec2, ...); empty where unsigned."""

    service: str
    region: str
    action: str
    access_key_id: str


@dataclass(frozen=True)
class ApiCall:
    """One answered call. `time` in seconds of the epoch, `error_code` empty where the call succeeded."""

    time: float
    service: str
    region: str
    action: str
    status: int
    error_code: str
    access_key_id: str
    duration_ms: float


def name_call(environ: dict[str, Any], body: bytes) -> CallName:
    """Read service, region, caller and action off a request: signature, body or path, as its protocol has it."""
    access_key_id, region, service = _credential(environ)
    target = environ.get("HTTP_X_AMZ_TARGET")
    if target:
        action = target.rpartition(".")[2]
    elif service in _REST_SERVICES:
        action = _rest_action(service, environ)
    else:
        found = _ACTION.search(body) or _ACTION.search(environ.get("QUERY_STRING", "").encode())
        action = found.group(1).decode() if found else ""
    return CallName(service, region, action, access_key_id)


def _credential(environ: dict[str, Any]) -> tuple[str, str, str]:
    signed = environ.get("HTTP_AUTHORIZATION", "")
    if not signed and "X-Amz-Credential" in environ.get("QUERY_STRING", ""):
        signed = "Credential=" + parse_qs(environ["QUERY_STRING"])["X-Amz-Credential"][0]
    found = _CREDENTIAL.search(signed)
    return (found.group(1), found.group(2), found.group(3)) if found else ("", "", "")


def _rest_action(service: str, environ: dict[str, Any]) -> str:
    try:
        operation, _ = get_service_router(service).match(Request(environ.copy()))
    except (NotFound, NotImplementedError):
        return ""
    return str(operation.name)


class CallLog:
    """The calls so far, oldest first. Safe to use from every thread."""

    def __init__(self) -> None:
        self._calls: list[ApiCall] = []
        self._lock = threading.Lock()

    def record(self, name: CallName, status: int, error_code: str, started: float) -> None:
        """Keep one call; `started` is time.monotonic() at its beginning."""
        duration_ms = round((time.monotonic() - started) * 1000, 2)
        call = ApiCall(
            time.time(), name.service, name.region, name.action, status, error_code, name.access_key_id, duration_ms
        )
        with self._lock:
            self._calls.append(call)
            del self._calls[:-_KEPT]

    def all(self) -> list[ApiCall]:
        """A copy of what is kept."""
        with self._lock:
            return list(self._calls)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._calls.clear()
