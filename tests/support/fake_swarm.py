"""Docker and swarm in memory, on the far side of a fake Remote. A command that it does not know fails with 127."""

from __future__ import annotations

import itertools
import json
import shlex
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dockeree.errors import CommandFailed
from dockeree.ssh.failures import NobodyAnswers
from dockeree.ssh.remote import Result

WORKER_TOKEN = "SWMTKN-1-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-wwwwwwwwwwwwwwwwwwwwwwwww"
MANAGER_TOKEN = "SWMTKN-1-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-mmmmmmmmmmmmmmmmmmmmmmmmm"
NO_MANAGER = 'Error response from daemon: This node is not a swarm manager. Use "docker swarm init" …'


@dataclass
class Engine:
    """One machine's engine. `state` is its LocalNodeState; `swarm` the swarm that it is in."""

    address: str
    version: str | None = "24.0.7"
    cloud_init: tuple[int, str] = (0, "status: done\n")
    boot_log: str = ""
    journal: str = ""
    state: str = "inactive"
    node_id: str = ""
    error: str = ""
    swarm: Swarm | None = None
    is_dark: bool = False
    """Nobody answers any more."""

    @property
    def hostname(self) -> str:
        return "ip-" + self.address.replace(".", "-")

    @property
    def is_manager(self) -> bool:
        node = self.swarm.nodes.get(self.node_id) if self.swarm else None
        return bool(node) and node["Spec"]["Role"] == "manager"  # type: ignore[index]


@dataclass
class Swarm:
    """A swarm: its id and its nodes as `docker node inspect` shows them. `tasks`: node id -> task states."""

    id: str
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    tasks: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class FakeMachines:
    """Every machine by its private address. `commands` holds what was typed: (machine, command, changes)."""

    engines: dict[str, Engine] = field(default_factory=dict)
    commands: list[tuple[str, str, bool]] = field(default_factory=list)
    before_answer: Callable[[], None] = lambda: None
    """Called before each command: the tests' place to let workers arrive and go."""
    drain_seconds_tasks_take: int = 0
    """How many looks at a drained node's tasks it takes until they are gone."""
    _numbers: Any = field(default_factory=lambda: itertools.count(1))
    _lock: Any = field(default_factory=threading.RLock)

    def engine(self, address: str) -> Engine:
        return self.engines.setdefault(address, Engine(address))

    def remote(self, name: str, address: str) -> FakeRemote:
        return FakeRemote(self, name, self.engine(address))

    @property
    def changing(self) -> list[str]:
        return [command for _, command, changes in self.commands if changes]

    def join(self, engine: Engine, swarm: Swarm, role: str) -> None:
        number = next(self._numbers)
        node_id = f"node{number:021d}"
        leads = role == "manager" and not swarm.nodes
        swarm.nodes[node_id] = {
            "ID": node_id,
            "CreatedAt": f"2026-11-24T03:00:00.{number:09d}Z",
            "Spec": {"Labels": {}, "Role": role, "Availability": "active"},
            "Description": {"Hostname": engine.hostname, "Engine": {"EngineVersion": engine.version}},
            "Status": {"State": "ready", "Addr": engine.address},
        }
        if role == "manager":
            swarm.nodes[node_id]["ManagerStatus"] = {
                **({"Leader": True} if leads else {}),
                "Reachability": "reachable",
                "Addr": f"{engine.address}:2377",
            }
        engine.state, engine.node_id, engine.swarm, engine.error = "active", node_id, swarm, ""

    def init(self, engine: Engine) -> None:
        self.join(engine, Swarm(f"cluster{next(self._numbers):018d}"), "manager")

    def power_off(self, address: str) -> None:
        """The managers see it as Down at once, and keep it."""
        engine = self.engines[address]
        engine.is_dark = True
        if engine.swarm and engine.node_id in engine.swarm.nodes:
            node = engine.swarm.nodes[engine.node_id]
            node["Status"]["State"] = "down"
            if "ManagerStatus" in node:
                node["ManagerStatus"]["Reachability"] = "unreachable"


@dataclass
class FakeRemote:
    """A connection to one machine."""

    machines: FakeMachines
    name: str
    engine: Engine

    def run(
        self,
        command: str,
        *,
        timeout_seconds: float = 60.0,
        stdin: bytes | None = None,
        check: bool = True,
        changes: bool = True,
        secrets: tuple[str, ...] = (),
    ) -> Result:
        assert "SWMTKN" not in command, "a token stands in a command's arguments"
        with self.machines._lock:
            self.machines.commands.append((self.name, command, changes))
            self.machines.before_answer()
            if self.engine.is_dark:
                raise NobodyAnswers(f"{self.name} does not answer")
            result = self._answer(shlex.split(command), stdin)
        if check and result.exit_status != 0:
            raise CommandFailed(self.name, command, result.exit_status, result.stderr)
        return result

    def close(self) -> None:
        return None

    def _answer(self, words: list[str], stdin: bytes | None) -> Result:
        engine = self.engine
        match words:
            case ["cloud-init", "status"]:
                return Result(*engine.cloud_init, "")
            case ["sudo", "-n", "tail", "--lines=30", "/var/log/cloud-init-output.log"]:
                return Result(0, engine.boot_log, "")
            case ["sudo", "-n", "journalctl", *_]:
                return Result(0, engine.journal, "")
            case ["sudo", "-n", "curl", *_, "http://localhost/swarm/join"]:
                status, body = self._join(json.loads(stdin or b""))
                return Result(0, f"{json.dumps(body) if body else ''}\n{status}", "")
            case ["sudo", "-n", "docker", *rest]:
                if engine.version is None:
                    return Result(1, '{"Client":{"Version":"24"},"Server":null}', "Cannot connect to the Docker daemon")
                return self._docker(rest)
        return Result(127, "", f"sh: {words[0]}: not found")

    def _docker(self, words: list[str]) -> Result:
        match words:
            case ["version", "--format", "{{json .}}"]:
                return _json({"Client": {"Version": "24.0.7"}, "Server": {"Version": self.engine.version}})
            case ["info", "--format", "{{json .}}"]:
                return _json(self._info())
            case ["swarm", "init", "--advertise-addr", _, "--default-addr-pool", _] if self.engine.state == "inactive":
                self.machines.init(self.engine)
                return Result(0, f"Swarm initialized\n\n    docker swarm join --token {WORKER_TOKEN} …\n", "")
            case ["swarm", "leave", "--force"]:
                self.engine.state, self.engine.swarm, self.engine.node_id = "inactive", None, ""
                return Result(0, "Node left the swarm.\n", "")
        swarm = self.engine.swarm
        if swarm is None or not self.engine.is_manager:
            return Result(1, "", NO_MANAGER)
        return self._manage(words, swarm)

    def _manage(self, words: list[str], swarm: Swarm) -> Result:
        match words:
            case ["swarm", "join-token", "--quiet", role]:
                return Result(0, (WORKER_TOKEN if role == "worker" else MANAGER_TOKEN) + "\n", "")
            case ["node", "ls", "--format", "{{json .}}"]:
                return _json(*({"ID": node_id} for node_id in swarm.nodes))
            case ["node", "inspect", "--format", "{{json .}}", *ids]:
                known = [swarm.nodes[node_id] for node_id in ids if node_id in swarm.nodes]
                listed = _json(*known)
                unknown = [node_id for node_id in ids if node_id not in swarm.nodes]
                return Result(1, listed.stdout, f"Error: No such node: {unknown[0]}") if unknown else listed
            case ["node", "ps", "--no-trunc", "--format", "{{json .}}", node_id]:
                return self._tasks(swarm, node_id)
            case ["node", "update", "--availability", "drain", "--label-add", label, node_id]:
                key, _, value = label.partition("=")
                swarm.nodes[node_id]["Spec"]["Availability"] = "drain"
                swarm.nodes[node_id]["Spec"]["Labels"][key] = value
                return Result(0, node_id + "\n", "")
            case ["node", "rm", "--force", *ids]:
                for node_id in ids:
                    if swarm.nodes[node_id]["Spec"]["Role"] == "manager":
                        return Result(1, "", "is a cluster manager and is a member of the raft cluster")
                    del swarm.nodes[node_id]
                return Result(0, "\n".join(ids) + "\n", "")
            case ["node", "demote", node_id]:
                swarm.nodes[node_id]["Spec"]["Role"] = "worker"
                swarm.nodes[node_id].pop("ManagerStatus")
                return Result(0, "", "")
            case ["node", "promote", node_id]:
                address = swarm.nodes[node_id]["Status"]["Addr"]
                swarm.nodes[node_id]["Spec"]["Role"] = "manager"
                swarm.nodes[node_id]["ManagerStatus"] = {"Reachability": "reachable", "Addr": f"{address}:2377"}
                return Result(0, "", "")
        return Result(127, "", f"docker: {shlex.join(words)}: not known to this fake")

    def _info(self) -> dict[str, Any]:
        engine = self.engine
        managers = [
            {"NodeID": node["ID"], "Addr": node["ManagerStatus"]["Addr"]}
            for node in (engine.swarm.nodes.values() if engine.swarm else ())
            if "ManagerStatus" in node
        ]
        return {
            "Name": engine.hostname,
            "ServerVersion": engine.version,
            "Swarm": {
                "NodeID": engine.node_id,
                "NodeAddr": engine.address if engine.swarm else "",
                "LocalNodeState": engine.state,
                "ControlAvailable": engine.is_manager and engine.state == "active",
                "Error": engine.error,
                "RemoteManagers": managers or None,
                **({"Cluster": {"ID": engine.swarm.id}} if engine.swarm and engine.is_manager else {}),
            },
        }

    def _join(self, body: dict[str, Any]) -> tuple[int, dict[str, str] | None]:
        if self.engine.state != "inactive":
            return 503, {"message": "This node is already part of a swarm."}
        leader = self.machines.engines.get(body["RemoteAddrs"][0].partition(":")[0])
        if leader is None or leader.swarm is None or leader.is_dark:
            return 503, {"message": "rpc error: connection refused"}
        assert body["AdvertiseAddr"] == f"{self.engine.address}:2377"
        role = {MANAGER_TOKEN: "manager", WORKER_TOKEN: "worker"}[body["JoinToken"]]
        self.machines.join(self.engine, leader.swarm, role)
        return 200, None

    def _tasks(self, swarm: Swarm, node_id: str) -> Result:
        states = swarm.tasks.get(node_id, [])
        if swarm.nodes[node_id]["Spec"]["Availability"] == "drain":
            self.machines.drain_seconds_tasks_take -= 1
            if self.machines.drain_seconds_tasks_take < 0:
                swarm.tasks[node_id] = states = ["Shutdown 1 second ago"] * len(states)
        rows = ({"ID": f"t{n}", "Name": f"web.{n}", "CurrentState": state} for n, state in enumerate(states))
        return _json(*rows)


def _json(*documents: Any) -> Result:
    return Result(0, "".join(json.dumps(document) + "\n" for document in documents), "")
