"""What the lab answers beside AWS's APIs, below `/lab/`: how it stands, who called, and what is to go wrong.

    GET    /lab/status                     name, node_driver, endpoint_url, instances[], balancers[]
    GET    /lab/calls                      every API call since the start or the last DELETE
    DELETE /lab/calls
    GET    /lab/address                    the caller's address, as text (like checkip.amazonaws.com)
    POST   /lab/images                     publish newer images behind the public parameters; answers their ids
    POST   /lab/instances/ID/power-cut     cut a node's power; EC2 goes on saying `running`
    GET    /lab/faults                     what is still to go wrong
    POST   /lab/faults                     a Fault as JSON (faults.py), or {"eventual_consistency": true|false}
    DELETE /lab/faults
    ...    /lab/nodes/...                  nodes' credentials, processes and faults (node_endpoints.py)

Nodes may ask for their address and nothing else: the rest answers the lab's own machine only.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from dockeree.lab.aws.calls import CallLog
from dockeree.lab.aws.consistency import Consistency
from dockeree.lab.aws.core import Lab
from dockeree.lab.aws.faults import Faults, parse_fault
from dockeree.lab.aws.images import publish_images
from dockeree.lab.aws.node_endpoints import NodeEndpoints
from dockeree.lab.aws.status import lab_status
from dockeree.lab.world import LabError

_POWER_CUT = re.compile(r"^/lab/instances/(i-[0-9a-f]+)/power-cut$")


class ControlError(Exception):
    """A refused control request: HTTP status and reason."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class ControlEndpoints:
    """Answers what is below `/lab/`.

    `endpoint_url` is known once the server listens. `operator_address` is what a caller on the lab's own machine is
    told its address is: the one by which the nodes see it.
    """

    def __init__(
        self, lab: Lab, calls: CallLog, power_cut: Callable[[str], None], operator_address: str | None
    ) -> None:
        self._lab = lab
        self._calls = calls
        self._power_cut = power_cut
        self._operator_address = operator_address
        self._nodes = NodeEndpoints(lab)
        self.endpoint_url = ""

    def answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        """Answer one request; see PEP 3333."""
        try:
            status, content = "200 OK", self._route(environ)
        except ControlError as error:
            status, content = error.status, {"error": str(error)}
        text = content if isinstance(content, str) else json.dumps(content) + "\n"
        content_type = "text/plain" if isinstance(content, str) else "application/json"
        start_response(status, [("Content-Type", content_type)])
        return [text.encode()]

    def _route(self, environ: dict[str, Any]) -> Any:
        method, path, caller = environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["REMOTE_ADDR"]
        local = ipaddress.ip_address(caller).is_loopback
        if (method, path) == ("GET", "/lab/address"):
            return f"{self._operator_address or caller}\n" if local else f"{caller}\n"
        if not local:
            raise ControlError("403 Forbidden", "only the lab's own machine may ask this")
        routes: dict[tuple[str, str], Callable[[dict[str, Any]], Any]] = {
            ("GET", "/lab/status"): lambda _: lab_status(self._lab, self.endpoint_url),
            ("GET", "/lab/calls"): lambda _: [asdict(call) for call in self._calls.all()],
            ("DELETE", "/lab/calls"): lambda _: self._calls.clear() or {},  # type: ignore[func-returns-value]
            ("GET", "/lab/faults"): lambda _: self._lab.part(Faults).describe(),
            ("POST", "/lab/faults"): self._add_fault,
            ("POST", "/lab/images"): self._publish_images,
            ("DELETE", "/lab/faults"): lambda _: self._lab.part(Faults).clear() or {},  # type: ignore[func-returns-value]
        }
        if (method, path) in routes:
            return routes[method, path](environ)
        found = _POWER_CUT.match(path)
        if found and method == "POST":
            return self._cut_power(found.group(1))
        if path.startswith("/lab/nodes/"):
            return self._ask_nodes(method, path, environ)
        raise ControlError("404 Not Found", f"no {method} {path} here")

    def _add_fault(self, environ: dict[str, Any]) -> Any:
        try:
            data = _json_object(environ)
            if "eventual_consistency" in data:
                self._lab.part(Consistency).enabled = bool(data["eventual_consistency"])
                return {"eventual_consistency": self._lab.part(Consistency).enabled}
            self._lab.part(Faults).add(parse_fault(data))
        except (ValueError, TypeError) as error:
            raise ControlError("400 Bad Request", str(error)) from error
        return self._lab.part(Faults).describe()

    def _ask_nodes(self, method: str, path: str, environ: dict[str, Any]) -> Any:
        try:
            return self._nodes.answer(method, path, _json_object(environ))
        except (ValueError, LabError) as error:
            raise ControlError("400 Bad Request", str(error)) from error
        except LookupError as error:
            raise ControlError("404 Not Found", str(error)) from error

    def _publish_images(self, _environ: dict[str, Any]) -> Any:
        with self._lab.lock:
            return {"images": publish_images()}

    def _cut_power(self, instance_id: str) -> Any:
        try:
            self._power_cut(instance_id)
        except LabError as error:
            raise ControlError("409 Conflict", str(error)) from error
        return {}


def _json_object(environ: dict[str, Any]) -> dict[str, Any]:
    """The request's body. Raises ValueError when it is no JSON object."""
    data = json.loads(environ["wsgi.input"].read() or b"{}")
    if not isinstance(data, dict):
        raise ValueError("a JSON object is expected")
    return data
