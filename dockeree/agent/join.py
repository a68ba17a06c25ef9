#!/usr/bin/env python3
"""Joins a worker to its swarm, at every boot, by itself.

A worker may be started by its Auto Scaling group at three in the morning, with no operator in sight. So it asks the
parameter store for the worker token and the managers' addresses, afresh at every attempt (a token may be rotated, a
manager replaced), tries one manager after the other, and believes in a join only when its own engine says that it is
an active member. It never starts a swarm. When it does not get in before its deadline, it says why in the journal and
on the console and exits with 1; systemd starts it again.

This one file is all there is on the node: it needs Python 3.10, its standard library and boto3. Everything it touches
is handed to `main`, so that it also runs inside another process (a simulated node): see `main`.
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SETTINGS = "/opt/dockeree/agent.json"
DOCKER_SOCKET = "/var/run/docker.sock"
METADATA = "http://169.254.169.254/latest"
SWARM_PORT = 2377
FORMAT_VERSION = 1

DEADLINE_SECONDS = 600.0
INTERVAL_SECONDS = 5.0
CONFIRM_SECONDS = 30.0
"""The engine answers a join after 20 s at the latest, and may then still be at it in the background."""
ENGINE_CALL_SECONDS = 60.0

JOINED, NOT_JOINED, REFUSED = 0, 1, 3
"""Exit statuses. REFUSED is final: systemd does not start the agent again (RestartPreventExitStatus)."""

Engine = Callable[[str, str, "dict[str, Any] | None"], "tuple[int, Any]"]
"""(method, path, JSON body or None) -> (HTTP status, JSON answer). Raises OSError when the engine does not answer."""


@dataclass(frozen=True)
class Join:
    """What the join parameter says. `managers` are addresses with port, in the order to try them."""

    token: str
    managers: tuple[str, ...]


class NotYet(Exception):
    """This attempt did not get in, for a reason that may pass."""


class NeverSo(Exception):
    """This node must not join, and trying again will not change that."""


def main(
    *,
    engine: Engine,
    read_parameter: Callable[[], str],
    private_ip: Callable[[], str],
    is_reachable: Callable[[str], bool],
    log: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> int:
    """Join, and return the exit status: JOINED, NOT_JOINED (try again) or REFUSED (do not).

    engine          calls the node's engine: GET /info, POST /swarm/join, POST /swarm/leave?force=true
    read_parameter  gives the join parameter's value; any exception says why not
    private_ip      gives this instance's private address; OSError says why not
    is_reachable    whether something accepts TCP at `address:port`
    log             takes one line, for the journal and the console; the token never stands in one
    sleep, now      time, in seconds
    """
    deadline = now() + deadline_seconds
    said = ""
    while True:
        try:
            log(f"joined: {_attempt(engine, read_parameter, private_ip, is_reachable, log, sleep, now)}")
            return JOINED
        except NeverSo as reason:
            log(f"REFUSED: {reason}")
            return REFUSED
        except NotYet as reason:
            if str(reason) != said:
                log(f"not joined yet: {reason}")
                said = str(reason)
        if now() + INTERVAL_SECONDS > deadline:
            log(f"FAILED: not joined within {deadline_seconds:.0f} s: {said}")
            return NOT_JOINED
        sleep(INTERVAL_SECONDS)


def _attempt(
    engine: Engine,
    read_parameter: Callable[[], str],
    private_ip: Callable[[], str],
    is_reachable: Callable[[str], bool],
    log: Callable[[str], None],
    sleep: Callable[[float], None],
    now: Callable[[], float],
) -> str:
    """One attempt: how this node is a member. Raises NotYet or NeverSo."""
    swarm = _membership(engine)
    join = _join_settings(read_parameter)
    state = _state(swarm)
    if swarm.get("ControlAvailable") or state == "locked":
        raise NeverSo("this node is a manager of a swarm")
    if state == "active" and _is_member_of(swarm, join):
        return _describe(swarm)
    if state != "inactive":
        if state != "active":
            try:
                return _confirm(engine, join, sleep, now)
            except NotYet:
                pass  # half in: the membership is given up below, when there is a swarm to join instead
        _leave_stale(engine, swarm, join, is_reachable, log)
    try:
        address = private_ip()
    except OSError as error:
        raise NotYet(f"the instance metadata service does not answer: {error}") from error
    refusals = []
    for manager in join.managers:
        try:
            return _join_through(manager, engine, join, address, sleep, now)
        except NotYet as reason:
            refusals.append(f"{manager}: {reason}")
    raise NotYet("no manager let this node in: " + "; ".join(refusals))


def _join_through(
    manager: str, engine: Engine, join: Join, address: str, sleep: Callable[[float], None], now: Callable[[], float]
) -> str:
    """Join through one manager and confirm it; after a failure nothing is left of the attempt."""
    body = {
        "ListenAddr": f"0.0.0.0:{SWARM_PORT}",
        "AdvertiseAddr": f"{address}:{SWARM_PORT}",
        "RemoteAddrs": [manager],
        "JoinToken": join.token,
    }
    status, answer = _call(engine, "POST", "/swarm/join", body)
    refusal = "" if status == 200 else _message(status, answer, join.token)
    if refusal and _state(_membership(engine)) == "inactive":
        raise NotYet(refusal)
    try:
        # "Timeout was reached before node was joined" is an error, and yet the engine goes on: only its word counts.
        return _confirm(engine, join, sleep, now)
    except NotYet as reason:
        _call(engine, "POST", "/swarm/leave?force=true", None)
        raise NotYet(refusal or str(reason)) from reason


def _confirm(engine: Engine, join: Join, sleep: Callable[[float], None], now: Callable[[], float]) -> str:
    """Wait until the engine says that this node is an active member of the swarm of `join`."""
    deadline = now() + CONFIRM_SECONDS
    while True:
        swarm = _membership(engine)
        if _state(swarm) == "active" and _is_member_of(swarm, join):
            return _describe(swarm)
        if _state(swarm) in {"inactive", "error"} or now() + 1.0 > deadline:
            reason = f": {swarm['Error']}" if swarm.get("Error") else ""
            raise NotYet(f"the engine says {_state(swarm)}{reason}")
        sleep(1.0)


def _leave_stale(
    engine: Engine, swarm: dict[str, Any], join: Join, is_reachable: Callable[[str], bool], log: Callable[[str], None]
) -> None:
    """Give up another swarm's membership (an image made of a member has one), or one that never came about.

    A node whose managers are all out of reach looks the same as one that was left half in, and its membership is
    still good: so nothing is given up before a manager named in the parameter can be reached.
    """
    reachable = [manager for manager in join.managers if is_reachable(manager)]
    if not reachable:
        raise NotYet(f"the engine says {_state(swarm)}, and no manager can be reached: {', '.join(join.managers)}")
    log(f"leaving a stale membership ({_state(swarm)}, {_describe(swarm)})")
    status, answer = _call(engine, "POST", "/swarm/leave?force=true", None)
    if status not in (200, 503):  # 503: not part of a swarm any more
        raise NotYet(f"the stale membership cannot be given up: {_message(status, answer)}")


def _membership(engine: Engine) -> dict[str, Any]:
    status, answer = _call(engine, "GET", "/info", None)
    if status != 200:
        raise NotYet(f"the engine answers {_message(status, answer)}")
    return answer.get("Swarm") or {}


def _call(engine: Engine, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, Any]:
    try:
        return engine(method, path, body)
    except OSError as error:
        raise NotYet(f"the engine does not answer: {error}") from error


def _join_settings(read_parameter: Callable[[], str]) -> Join:
    try:
        text = read_parameter()
    except Exception as error:  # whatever keeps the parameter away, the loop says it and tries again
        raise NotYet(f"the join parameter cannot be read: {error}") from error
    try:
        values = json.loads(text)
        version, token, managers = values["format_version"], values["token"], values["managers"]
    except (ValueError, KeyError, TypeError) as error:
        raise NotYet(f"the join parameter is damaged: {type(error).__name__}") from error
    if version > FORMAT_VERSION:
        raise NeverSo(f"the join parameter has format {version}; this agent reads up to {FORMAT_VERSION}")
    if not managers:
        raise NotYet("the join parameter names no manager")
    return Join(token, tuple(managers))


def _is_member_of(swarm: dict[str, Any], join: Join) -> bool:
    """Whether the membership is in the swarm of `join`. A worker is told who its managers are, not its swarm's id."""
    known = {manager.get("Addr") for manager in swarm.get("RemoteManagers") or ()}
    return not known.isdisjoint(join.managers)


def _state(swarm: dict[str, Any]) -> str:
    return str(swarm.get("LocalNodeState") or "inactive")


def _describe(swarm: dict[str, Any]) -> str:
    managers = ", ".join(str(manager.get("Addr")) for manager in swarm.get("RemoteManagers") or ())
    return f"node {swarm.get('NodeID') or '(none)'}, managers {managers or '(none)'}"


def _message(status: int, answer: Any, token: str = "") -> str:
    message = answer.get("message") if isinstance(answer, dict) else answer
    text = f"{status}: {message}"
    return text.replace(token, "***") if token else text


class _EngineConnection(http.client.HTTPConnection):
    """HTTP over the engine's socket: there a token stands in no process's arguments."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=ENGINE_CALL_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def engine_at(path: str = DOCKER_SOCKET) -> Engine:
    """The engine behind a socket."""

    def call(method: str, url: str, body: dict[str, Any] | None) -> tuple[int, Any]:
        connection = _EngineConnection(path)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(method, url, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            text = response.read().decode("utf-8", errors="replace")
            return response.status, _json_or_text(text)
        except http.client.HTTPException as error:
            raise OSError(f"no HTTP: {error!r}") from error
        finally:
            connection.close()

    return call


def metadata(path: str) -> str:
    """Read the instance metadata service, version 2: a token first, then the value. Raises OSError."""
    ask = urllib.request.Request(
        f"{METADATA}/api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    )
    with urllib.request.urlopen(ask, timeout=5) as answer:
        token = answer.read().decode()
    ask = urllib.request.Request(f"{METADATA}/meta-data/{path}", headers={"X-aws-ec2-metadata-token": token})
    with urllib.request.urlopen(ask, timeout=5) as answer:
        return str(answer.read().decode())


def parameter_of(name: str, region: str) -> Callable[[], str]:
    """A reader of a SecureString, with the instance's role."""

    def read() -> str:
        import boto3

        client = boto3.client("ssm", region_name=region)
        return str(client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])

    return read


def accepts_tcp(address: str) -> bool:
    """Whether something listens at `host:port`."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=3):
            return True
    except OSError:
        return False


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text) if text else {}
    except ValueError:
        return text.strip()


def _run() -> int:
    with open(SETTINGS, encoding="utf-8") as file:
        settings = json.load(file)
    return main(
        engine=engine_at(),
        read_parameter=parameter_of(settings["join_parameter"], settings["region"]),
        private_ip=lambda: metadata("local-ipv4"),
        is_reachable=accepts_tcp,
        log=lambda line: print(f"dockeree-agent: {line}", flush=True),
    )


if __name__ == "__main__":
    sys.exit(_run())
