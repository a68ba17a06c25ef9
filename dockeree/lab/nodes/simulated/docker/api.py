"""The engine's own HTTP API on its socket, as far as `curl --unix-socket /var/run/docker.sock` is used on a node."""

from __future__ import annotations

import json
import re
from typing import Any

from dockeree.lab.nodes.simulated.docker.documents import info_document, version_document
from dockeree.lab.nodes.simulated.docker.go_template import compact_json
from dockeree.lab.nodes.simulated.engine import PendingJoin
from dockeree.lab.nodes.simulated.machine import Machine
from dockeree.lab.nodes.simulated.swarm import errors
from dockeree.lab.nodes.simulated.swarm.errors import SwarmError
from dockeree.lab.nodes.simulated.swarm.membership import join, leave

UNAVAILABLE = (errors.ALREADY, errors.NOT_IN_SWARM, errors.JOIN_TIMEOUT, errors.NO_SWARM, errors.NOT_A_MANAGER)


def answer(machine: Machine, method: str, path: str, body: bytes) -> tuple[int, str]:
    """The status and body that the engine answers; a path that the model does not know is noted, and 404."""
    path = re.sub(r"^/v1\.\d+", "", path)
    route = f"{method} {path.partition('?')[0]}"
    try:
        if route == "GET /_ping":
            return 200, "OK"
        if route == "GET /info":
            with machine.site.lock:
                machine.site.settle()
                return 200, compact_json(info_document(machine)) + "\n"
        if route == "GET /version":
            return 200, compact_json(version_document(machine)["Server"]) + "\n"
        if route == "POST /swarm/join":
            return _join(machine, body)
        if route == "POST /swarm/leave":
            leave(machine, force="force=true" in path or "force=1" in path)
            return 200, ""
    except SwarmError as error:
        return _status(str(error)), _message(str(error))
    machine.site.note_unknown(machine, f"docker API: {route}")
    return 404, _message("page not found")


def _join(machine: Machine, body: bytes) -> tuple[int, str]:
    try:
        wanted: Any = json.loads(body)
    except ValueError as error:
        return 400, _message(f"invalid JSON: {error}")
    if not isinstance(wanted, dict) or not wanted.get("RemoteAddrs"):
        return 400, _message("at least 1 RemoteAddr is required to join")
    request = PendingJoin(
        token=str(wanted.get("JoinToken", "")),
        remote_addresses=tuple(wanted["RemoteAddrs"]),
        advertise_address=str(wanted.get("AdvertiseAddr", "")),
        availability=wanted.get("Availability") or "active",
    )
    join(machine, request)
    return 200, ""


def _status(message: str) -> int:
    if message in UNAVAILABLE or message.startswith("You are attempting to leave"):
        return 503
    is_wrong = message.startswith(("invalid", "advertise address")) or "code = InvalidArgument" in message
    return 400 if is_wrong else 503 if "code = Unavailable" in message else 500


def _message(text: str) -> str:
    return compact_json({"message": text}) + "\n"
