"""What is asked of Docker Engine on a node, and how its answers are read. Nothing here changes a node."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from dockeree.ssh.remote import Remote

DOCKER = "sudo -n docker"
"""The login user is not in the group `docker` (which is root by another name); Ubuntu's image gives it sudo."""

CLOUD_INIT_STATUS = "cloud-init status"
"""Exit 0: running or done, 1: failed, 2: done with recoverable errors (23.4 and newer). Says `status: WORD`."""
BOOT_LOG_TAIL = "sudo -n tail --lines=30 /var/log/cloud-init-output.log"
"""What cloud-init and its commands printed. The boot script is a service's: its words are in the journal."""
JOURNAL = "sudo -n journalctl --unit dockeree-agent --unit dockeree-engine --lines 50 --output cat --no-pager"
"""What the boot script and the agent said, and what systemd says of them between."""
VERSION = f"{DOCKER} version --format '{{{{json .}}}}'"
INFO = f"{DOCKER} info --format '{{{{json .}}}}'"

_OUR_LINES = re.compile(r"dockeree-(?:boot|agent): .*")


@dataclass(frozen=True)
class SwarmState:
    """A node's own word on its membership (`docker info`, .Swarm).

    `state` is docker's LocalNodeState: inactive, pending, active, error or locked. `cluster_id` is empty on workers,
    which are not told it. `managers` are addresses with port, as the node knows them now.
    """

    state: str
    node_id: str
    address: str
    is_manager: bool
    cluster_id: str
    managers: tuple[str, ...]
    error: str

    @property
    def is_member(self) -> bool:
        """Whether the node holds a membership, working or not."""
        return self.state != "inactive"


@dataclass(frozen=True)
class EngineInfo:
    """What `docker info` says of an engine."""

    hostname: str
    version: str
    swarm: SwarmState


def parse_version(stdout: str) -> str | None:
    """The engine's version from `docker version`, None while the engine itself does not answer.

    The client answers alone then: `Server` is null, and the exit status is 1.
    """
    try:
        server = json.loads(stdout).get("Server")
    except (ValueError, AttributeError):
        return None
    return str(server["Version"]) if server and server.get("Version") else None


def parse_info(stdout: str) -> EngineInfo:
    """Read `docker info`. Raises ValueError when it is not docker's JSON.

    When the engine does not answer, docker still prints JSON, with `ServerErrors` and no `Swarm.LocalNodeState`.
    """
    info: dict[str, Any] = json.loads(stdout)
    if info.get("ServerErrors"):
        raise ValueError("; ".join(info["ServerErrors"]))
    swarm: dict[str, Any] = info.get("Swarm") or {}
    cluster: dict[str, Any] = swarm.get("Cluster") or {}
    return EngineInfo(
        hostname=info.get("Name", ""),
        version=info.get("ServerVersion", ""),
        swarm=SwarmState(
            state=swarm.get("LocalNodeState") or "inactive",
            node_id=swarm.get("NodeID", ""),
            address=swarm.get("NodeAddr", ""),
            is_manager=bool(swarm.get("ControlAvailable")),
            cluster_id=cluster.get("ID", ""),
            managers=tuple(manager["Addr"] for manager in swarm.get("RemoteManagers") or ()),
            error=swarm.get("Error", ""),
        ),
    )


def read_info(remote: Remote) -> EngineInfo:
    """Ask a node's engine for itself. Raises CommandFailed when the engine does not answer."""
    return parse_info(remote.run(INFO, changes=False).stdout)


def parse_cloud_init_status(stdout: str) -> str:
    """The word after `status:`: not started, running, done, error, disabled; empty when there is none."""
    for line in stdout.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "status":
            return value.strip()
    return ""


def parse_own_lines(text: str) -> list[str]:
    """What the boot script and the agent said themselves, of `JOURNAL` or a console's output; oldest first."""
    return [line.strip() for line in _OUR_LINES.findall(text)]
