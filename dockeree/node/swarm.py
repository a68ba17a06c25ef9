"""What is asked of the swarm on a manager, what changes it, and how the answers are read.

A join token must not stand in any process's arguments, where every user of the node can read it, so a node joins
through the engine's own API: `curl` sends the request's body from standard input to the engine's socket.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dockeree.errors import CommandFailed
from dockeree.node.engine import DOCKER
from dockeree.ssh.remote import Remote

SWARM_PORT = 2377
JOIN_SECONDS = 90.0
"""The engine itself gives up waiting for a join after 20 s and goes on in the background."""

NODE_LS = f"{DOCKER} node ls --format '{{{{json .}}}}'"
JOIN = (
    "sudo -n curl --silent --show-error --max-time 60 --unix-socket /var/run/docker.sock "
    "--header 'Content-Type: application/json' --data-binary @- --write-out '\\n%{http_code}' "
    "http://localhost/swarm/join"
)
"""Body on standard input (`join_body`); answers the engine's JSON, a line end and the HTTP status (`parse_join`)."""

RETIRED_LABEL = "dockeree.retired"
"""Node label of a worker that `scale-workers` has chosen to go."""

LIVE_TASK_STATES = frozenset(
    {"new", "allocated", "pending", "assigned", "accepted", "preparing", "ready", "starting", "running"}
)
"""Swarm's task states before the final ones (complete, shutdown, failed, rejected, remove, orphaned)."""


@dataclass(frozen=True)
class SwarmNode:
    """A node as the managers see it (`docker node inspect`).

    `state`: ready, down, unknown, disconnected. `availability`: active, pause, drain. `address` is private, without
    port. `reachability` is a manager's: reachable, unreachable, unknown; empty for workers.
    """

    id: str
    hostname: str
    state: str
    availability: str
    address: str
    role: str
    reachability: str = ""
    is_leader: bool = False
    engine_version: str = ""
    created_at: str = ""
    is_retired: bool = False
    """Chosen to go (`retire_command`)."""

    @property
    def is_manager(self) -> bool:
        """Whether it is one of the managers."""
        return self.role == "manager"

    @property
    def is_ready(self) -> bool:
        """Whether the managers hear from it; a manager must be reachable to the other managers too."""
        return self.state == "ready" and (not self.is_manager or self.reachability == "reachable")


@dataclass(frozen=True)
class Task:
    """A service's task on a node (`docker node ps`). `state` is the first word of docker's CurrentState."""

    id: str
    name: str
    state: str

    @property
    def is_gone(self) -> bool:
        """Whether it has ended."""
        return self.state not in LIVE_TASK_STATES


def init_command(private_ip: str, default_addr_pool: str) -> str:
    """Start a swarm whose overlay networks are cut from `default_addr_pool`.

    It prints a worker's token: the connection blots out swarm tokens wherever it logs.
    """
    return f"{DOCKER} swarm init --advertise-addr {private_ip}:{SWARM_PORT} --default-addr-pool {default_addr_pool}"


def leave_command() -> str:
    """Give up a membership that never came about. For a node that the managers do not know, or not any more."""
    return f"{DOCKER} swarm leave --force"


def join_body(token: str, private_ip: str, managers: Sequence[str]) -> bytes:
    """The body for `JOIN`: `managers` are addresses with port."""
    body = {
        "ListenAddr": f"0.0.0.0:{SWARM_PORT}",
        "AdvertiseAddr": f"{private_ip}:{SWARM_PORT}",
        "RemoteAddrs": list(managers),
        "JoinToken": token,
    }
    return json.dumps(body).encode()


def parse_join(stdout: str) -> tuple[int, str]:
    """The HTTP status and the engine's message (empty when it is 200) of `JOIN`. Raises ValueError on anything else."""
    body, _, status = stdout.strip().rpartition("\n")
    try:
        answer = json.loads(body) if body.strip() else None
    except ValueError:
        answer = {"message": body.strip()}
    return int(status), str(answer.get("message", "")) if isinstance(answer, dict) else ""


def join_token_command(role: str) -> str:
    """Print the token of `worker` or `manager`, alone."""
    return f"{DOCKER} swarm join-token --quiet {role}"


def node_inspect_command(node_ids: Iterable[str]) -> str:
    """Print one JSON document a line, for each node."""
    return f"{DOCKER} node inspect --format '{{{{json .}}}}' {_words(node_ids)}"


def retire_command(node_id: str) -> str:
    """Drain a node (its tasks move elsewhere, it gets no more) and mark it as chosen to go.

    The mark tells it from a node that somebody drained for other reasons, when the one who chose it is killed.
    """
    return f"{DOCKER} node update --availability drain --label-add {RETIRED_LABEL}=true {shlex.quote(node_id)}"


def promote_command(node_id: str) -> str:
    """Make a worker a manager."""
    return f"{DOCKER} node promote {shlex.quote(node_id)}"


def demote_command(node_id: str) -> str:
    """Make a manager a worker: also one that is gone, so that it can be removed and counts no more for the quorum."""
    return f"{DOCKER} node demote {shlex.quote(node_id)}"


def node_ps_command(node_id: str) -> str:
    """List a node's tasks, one JSON document a line, the ended ones too."""
    return f"{DOCKER} node ps --no-trunc --format '{{{{json .}}}}' {shlex.quote(node_id)}"


def node_rm_command(node_ids: Iterable[str]) -> str:
    """Remove nodes whose machines are gone. By force, as it takes the managers a while to see a node as Down."""
    return f"{DOCKER} node rm --force {_words(node_ids)}"


def parse_node_ids(stdout: str) -> tuple[str, ...]:
    """The ids in `NODE_LS`."""
    return tuple(document["ID"] for document in _json_lines(stdout))


def parse_nodes(stdout: str) -> tuple[SwarmNode, ...]:
    """Read the lines of `node_inspect_command`."""
    return tuple(_node(document) for document in _json_lines(stdout))


def parse_tasks(stdout: str) -> tuple[Task, ...]:
    """Read the lines of `node_ps_command`."""
    return tuple(
        Task(document["ID"], document["Name"], document["CurrentState"].partition(" ")[0].lower())
        for document in _json_lines(stdout)
    )


def read_nodes(manager: Remote) -> tuple[SwarmNode, ...]:
    """Every node of the swarm, asked of one manager.

    Raises CommandFailed when the node is no manager, or the swarm has lost its quorum. `docker node ls` gives no
    addresses, so its ids are inspected; a node that is removed between the two commands is left out.
    """
    ids = parse_node_ids(manager.run(NODE_LS, changes=False).stdout)
    if not ids:
        return ()
    command = node_inspect_command(ids)
    inspected = manager.run(command, changes=False, check=False)
    if inspected.exit_status != 0 and "no such node" not in inspected.stderr.lower():
        raise CommandFailed(manager.name, command, inspected.exit_status, inspected.stderr)
    return parse_nodes(inspected.stdout)


def read_tasks(manager: Remote, node_id: str) -> tuple[Task, ...]:
    """Every task that the swarm remembers of a node."""
    return parse_tasks(manager.run(node_ps_command(node_id), changes=False).stdout)


def _node(document: dict[str, Any]) -> SwarmNode:
    status: dict[str, Any] = document.get("Status") or {}
    manager: dict[str, Any] = document.get("ManagerStatus") or {}
    description: dict[str, Any] = document.get("Description") or {}
    spec: dict[str, Any] = document.get("Spec") or {}
    # The leader's own Status.Addr may be 0.0.0.0 or 127.0.0.1: for managers, ManagerStatus has the true one.
    address = manager["Addr"].rpartition(":")[0] if manager.get("Addr") else status.get("Addr", "")
    return SwarmNode(
        id=document["ID"],
        hostname=description.get("Hostname", ""),
        state=status.get("State", "unknown"),
        availability=spec.get("Availability", "active"),
        address=address,
        role=spec.get("Role", "worker"),
        reachability=manager.get("Reachability", ""),
        is_leader=bool(manager.get("Leader")),
        engine_version=(description.get("Engine") or {}).get("EngineVersion", ""),
        created_at=document.get("CreatedAt", ""),
        is_retired=(spec.get("Labels") or {}).get(RETIRED_LABEL) == "true",
    )


def _json_lines(stdout: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stdout.splitlines() if line.strip()]


def _words(words: Iterable[str]) -> str:
    return " ".join(shlex.quote(word) for word in words)
