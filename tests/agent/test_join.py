"""The agent against an engine in memory, by the engine's own API; and its HTTP over a real socket."""

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from dockeree.agent import join as agent

TOKEN = "SWMTKN-1-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-wwwwwwwwwwwwwwwwwwwwwwwww"
MANAGERS = ("10.32.0.5:2377", "10.32.64.4:2377", "10.32.128.6:2377")
TIMED_OUT = "Timeout was reached before node was joined. The attempt to join the swarm will continue in the background."


class Worker:
    """A worker: its engine, its clock, and what surrounds it. `managers` are those that let it in."""

    def __init__(self) -> None:
        self.time = 0.0
        self.lines: list[str] = []
        self.calls: list[tuple[str, str, Any]] = []
        self.swarm: dict[str, Any] = {"LocalNodeState": "inactive"}
        self.managers = set(MANAGERS)
        self.refusals: dict[str, tuple[int, str]] = {}
        self.engine_from = 0.0
        self.active_after = 0.0
        self.address: Callable[[], str] = lambda: "10.32.0.9"
        self.parameter: Callable[[], str] = lambda: parameter()
        self._pending_until: float | None = None

    def engine(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, Any]:
        if self.time < self.engine_from:
            raise ConnectionRefusedError("no engine yet")
        self.calls.append((method, path, body))
        if (method, path) == ("GET", "/info"):
            if self._pending_until is not None and self.time >= self._pending_until:
                self.swarm["LocalNodeState"], self._pending_until = "active", None
            return 200, {"Swarm": dict(self.swarm)}
        if (method, path) == ("POST", "/swarm/leave?force=true"):
            if self.swarm["LocalNodeState"] == "inactive":
                return 503, {"message": "This node is not part of a swarm"}
            self.swarm = {"LocalNodeState": "inactive"}
            self._pending_until = None
            return 200, {}
        assert (method, path) == ("POST", "/swarm/join"), f"{method} {path}"
        return self._join(body or {})

    def _join(self, body: dict[str, Any]) -> tuple[int, Any]:
        assert self.swarm["LocalNodeState"] == "inactive"
        (manager,) = body["RemoteAddrs"]
        if manager in self.refusals:
            return self.refusals[manager][0], {"message": self.refusals[manager][1]}
        if manager not in self.managers:
            return 503, {"message": "rpc error: code = Unavailable desc = connection refused"}
        self.swarm = member_of(manager, state="pending" if self.active_after else "active")
        if self.active_after:
            self._pending_until = self.time + self.active_after
            return 503, {"message": TIMED_OUT}
        return 200, {}

    def run(self, **options: Any) -> int:
        return agent.main(
            engine=self.engine,
            read_parameter=lambda: self.parameter(),
            private_ip=lambda: self.address(),
            is_reachable=lambda manager: manager in self.managers,
            log=self.lines.append,
            sleep=self.sleep,
            now=lambda: self.time,
            **options,
        )

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    @property
    def joins(self) -> list[str]:
        return [body["RemoteAddrs"][0] for _, path, body in self.calls if path == "/swarm/join"]

    @property
    def leaves(self) -> int:
        return sum("/swarm/leave" in path for _, path, _ in self.calls)


def member_of(*managers: str, state: str = "active", **more: Any) -> dict[str, Any]:
    return {
        "LocalNodeState": state,
        "NodeID": "w1ww",
        "RemoteManagers": [{"NodeID": "m", "Addr": manager} for manager in managers],
        **more,
    }


def parameter(**changes: Any) -> str:
    return json.dumps(
        {"format_version": 1, "token": TOKEN, "managers": MANAGERS, "cluster_id": "c", "id": "0123abcd"} | changes
    )


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    assert not any(TOKEN in line for line in worker.lines)
    assert not any("init" in path for _, path, _ in worker.calls)


def test_a_new_worker_joins_through_the_first_manager_and_confirms_it(worker: Worker) -> None:
    assert worker.run() == agent.JOINED
    assert worker.joins == [MANAGERS[0]]
    assert worker.calls[-1][:2] == ("GET", "/info")
    body = next(body for _, path, body in worker.calls if path == "/swarm/join")
    assert body == {
        "ListenAddr": "0.0.0.0:2377",
        "AdvertiseAddr": "10.32.0.9:2377",
        "RemoteAddrs": [MANAGERS[0]],
        "JoinToken": TOKEN,
    }
    assert worker.lines[-1].startswith("joined: node w1ww")


def test_a_member_has_nothing_to_do(worker: Worker) -> None:
    worker.swarm = member_of(MANAGERS[1], "10.32.200.1:2377")
    assert worker.run() == agent.JOINED
    assert {path for _, path, _ in worker.calls} == {"/info"}


def test_managers_are_tried_in_turn(worker: Worker) -> None:
    worker.managers = {MANAGERS[2]}
    assert worker.run() == agent.JOINED
    assert worker.joins == list(MANAGERS)


def test_the_parameter_is_read_afresh_at_each_attempt(worker: Worker) -> None:
    worker.parameter = lambda: parameter(managers=["10.32.9.9:2377"]) if worker.time < 20 else parameter()
    assert worker.run() == agent.JOINED
    assert worker.joins[-1] == MANAGERS[0]


def test_what_is_not_there_yet_is_awaited(worker: Worker) -> None:
    worker.engine_from = 30.0

    def read() -> str:
        if worker.time < 60:
            raise RuntimeError("ParameterNotFound")
        return parameter()

    worker.parameter = read
    assert worker.run() == agent.JOINED
    assert worker.lines[:2] == [
        "not joined yet: the engine does not answer: no engine yet",
        "not joined yet: the join parameter cannot be read: ParameterNotFound",
    ]
    assert len(worker.lines) == 3, "each reason is said once"


def test_a_timeout_is_not_a_failure_and_not_a_success(worker: Worker) -> None:
    worker.active_after = 12.0
    assert worker.run() == agent.JOINED
    assert worker.joins == [MANAGERS[0]]
    assert worker.time >= 12.0


def test_a_join_that_never_becomes_active_is_taken_back(worker: Worker) -> None:
    worker.active_after = 1e9
    assert worker.run(deadline_seconds=1.0) == agent.NOT_JOINED
    assert worker.joins == list(MANAGERS)
    assert worker.swarm == {"LocalNodeState": "inactive"}
    assert worker.lines[-1].startswith("FAILED: not joined within 1 s: no manager let this node in")
    assert TIMED_OUT in worker.lines[-1]


def test_a_token_that_is_refused_is_said_for_each_manager_and_never_shown(worker: Worker) -> None:
    worker.refusals = dict.fromkeys(MANAGERS, (400, f"invalid join token {TOKEN}"))
    assert worker.run(deadline_seconds=20.0) == agent.NOT_JOINED
    assert f"{MANAGERS[2]}: 400: invalid join token ***" in worker.lines[-1]


def test_the_deadline_ends_it_with_the_reason(worker: Worker) -> None:
    worker.managers = set()
    assert worker.run() == agent.NOT_JOINED
    assert worker.time <= agent.DEADLINE_SECONDS
    assert worker.lines[-1].startswith(
        "FAILED: not joined within 600 s: no manager let this node in: 10.32.0.5:2377: 503"
    )


@pytest.mark.parametrize("state", ["pending", "error"])
def test_a_half_joined_state_is_left_cleanly(worker: Worker, state: str) -> None:
    worker.swarm = member_of(state=state, Error="x509: certificate has expired")
    assert worker.run() == agent.JOINED
    assert worker.leaves == 1
    assert any(f"leaving a stale membership ({state}" in line for line in worker.lines)


def test_a_membership_that_only_waits_for_its_managers_is_kept(worker: Worker) -> None:
    worker.swarm = member_of(*MANAGERS, state="pending")
    worker.managers = set()
    assert worker.run(deadline_seconds=60.0) == agent.NOT_JOINED
    assert worker.leaves == 0
    assert "no manager can be reached" in worker.lines[-1]


def test_a_member_of_another_swarm_moves_only_when_there_is_one_to_move_to(worker: Worker) -> None:
    worker.swarm = member_of("10.99.0.1:2377")
    worker.managers = set()
    assert worker.run(deadline_seconds=30.0) == agent.NOT_JOINED
    assert worker.leaves == 0
    worker.managers = set(MANAGERS)
    assert worker.run() == agent.JOINED
    assert worker.leaves == 1


def test_a_manager_is_never_touched(worker: Worker) -> None:
    worker.swarm = member_of(MANAGERS[0], ControlAvailable=True)
    assert worker.run() == agent.REFUSED
    worker.swarm = {"LocalNodeState": "locked"}
    assert worker.run() == agent.REFUSED
    assert {path for _, path, _ in worker.calls} == {"/info"}


def test_a_newer_parameter_is_refused_and_a_damaged_one_awaited(worker: Worker) -> None:
    worker.parameter = lambda: parameter(format_version=2)
    assert worker.run() == agent.REFUSED
    worker.parameter = lambda: f"not json {TOKEN}" if worker.time < 50 else parameter()
    assert worker.run() == agent.JOINED
    assert "not joined yet: the join parameter is damaged: JSONDecodeError" in worker.lines


def test_a_silent_metadata_service_is_a_reason(worker: Worker) -> None:
    def silent() -> str:
        raise OSError("timed out")

    worker.address = silent
    assert worker.run(deadline_seconds=6.0) == agent.NOT_JOINED
    assert worker.joins == []
    assert "the instance metadata service does not answer: timed out" in worker.lines[-1]


class _EngineHandler(BaseHTTPRequestHandler):
    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        self._send(200, b'{"Swarm":{"LocalNodeState":"inactive"}}')

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._send(400, json.dumps({"message": f"got {body.decode()}"}).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_the_engine_s_api_over_its_socket(tmp_path: Path) -> None:
    class Server(socketserver.ThreadingUnixStreamServer):
        def get_request(self) -> Any:
            connection, _ = super().get_request()
            return connection, ("local", 0)

    path = str(tmp_path / "docker.sock")
    engine = agent.engine_at(path)
    with pytest.raises(OSError, match="No such file"):
        engine("GET", "/info", None)
    with Server(path, _EngineHandler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            assert engine("GET", "/info", None) == (200, {"Swarm": {"LocalNodeState": "inactive"}})
            assert engine("POST", "/swarm/join", {"a": 1}) == (400, {"message": 'got {"a": 1}'})
        finally:
            server.shutdown()
            thread.join()
    os.unlink(path)


def test_the_file_stands_alone(tmp_path: Path) -> None:
    """It runs on a node where nothing of the tool is installed; without its settings it says which file it misses."""
    copy = tmp_path / "agent.py"
    copy.write_text(Path(agent.__file__).read_text())
    result = subprocess.run(
        [sys.executable, "-I", str(copy)], capture_output=True, text=True, timeout=30, check=False, cwd=tmp_path
    )
    assert result.returncode == 1
    assert "/opt/dockeree/agent.json" in result.stderr
