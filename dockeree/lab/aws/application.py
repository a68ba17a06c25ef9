"""The one WSGI application behind the lab's endpoint: control endpoints, faults, moto, and the record of it all."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from dockeree.lab.aws.calls import CallLog, CallName, name_call
from dockeree.lab.aws.control_endpoints import ControlEndpoints
from dockeree.lab.aws.core import Lab
from dockeree.lab.aws.faults import Fault, Faults
from dockeree.lab.aws.http_server import ConnectionDropped
from dockeree.lab.aws.wire_errors import error_body, error_code

log = logging.getLogger("dockeree.lab.aws")

StartResponse = Callable[..., Any]


class Dispatcher(DomainDispatcherApplication):
    """moto's choice of a service for each request, remembered: it lists the folder of all services each time."""

    def __init__(self) -> None:
        super().__init__(create_backend_app)
        self._backends: dict[str | None, Any] = {}

    def get_backend_for_host(self, host: str | None) -> Any:
        """The service behind a host name like ec2.us-east-1.amazonaws.com."""
        if host not in self._backends:
            self._backends[host] = super().get_backend_for_host(host)
        return self._backends[host]


class Application:
    """Answers every request: `/lab/...` where it is unsigned, AWS's APIs otherwise."""

    def __init__(self, lab: Lab, calls: CallLog, control: ControlEndpoints) -> None:
        self._lab = lab
        self._calls = calls
        self._control = control
        self._faults = lab.part(Faults)
        self._moto = Dispatcher()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; see PEP 3333."""
        if environ["PATH_INFO"].startswith("/lab/") and "HTTP_AUTHORIZATION" not in environ:
            return self._control.answer(environ, start_response)
        started = time.monotonic()
        body = environ["lab.body"] = environ["wsgi.input"].read()
        environ["wsgi.input"].seek(0)
        name = name_call(environ, body)
        fault = self._faults.take(name)
        if fault is not None:
            if fault.carried_out:
                self._ask_moto(name, environ)
            return self._fail(name, fault, started, start_response)
        status, headers, content = self._ask_moto(name, environ)
        self._calls.record(name, int(status[:3]), error_code(content) if status[0] in "45" else "", started)
        start_response(status, headers)
        return [content]

    def _ask_moto(self, name: CallName, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
        answer: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> None:
            answer[:] = [(status, headers)]

        try:
            with self._lab.lock:
                content = b"".join(self._moto(environ, start_response))
        except NotImplementedError as error:
            # 501 is not among the codes that the SDKs try again.
            log.warning("%s %s: the lab has no such call or filter: %s", name.service, name.action, error)
            return _error(name, "NotImplemented", f"The lab does not know this: {error}", "501 Not Implemented")
        except Exception:
            log.exception("%s %s failed", name.service, name.action)
            return _error(name, "InternalFailure", "The lab failed; see its log.", "500 Internal Server Error")
        return (*answer[0], content)

    def _fail(self, name: CallName, fault: Fault, started: float, start_response: StartResponse) -> list[bytes]:
        time.sleep(fault.delay_seconds)
        if fault.drop:
            self._calls.record(name, 0, "ConnectionDropped", started)
            raise ConnectionDropped
        status, headers, content = _error(name, fault.code, fault.message, f"{fault.status} Fault")
        self._calls.record(name, fault.status, fault.code, started)
        start_response(status, headers)
        return [content]


def _error(name: CallName, code: str, message: str, status: str) -> tuple[str, list[tuple[str, str]], bytes]:
    body, content_type = error_body(name.service, code, message)
    return status, [("Content-Type", content_type)], body.encode()
