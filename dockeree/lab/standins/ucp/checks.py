"""What an installation looks at before it changes anything. Each failure is a Fatal with the documented words."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dockeree.lab.standins.program.command_line import Values
from dockeree.lab.standins.program.docker_api import SOCKET_PATH, ApiError, DockerApi
from dockeree.lab.standins.program.log import Fatal, Log
from dockeree.lab.standins.program.release import Release
from dockeree.lab.standins.ucp.components import ROLE_PROGRAM
from dockeree.lab.standins.ucp.layout import AGENT_SERVICE, SWARM_PORTS, required_ports

PHASE2_CONTAINER = "ucp-phase2"
PHASE2_TIMEOUT_SECONDS = 60.0
GIGABYTE = 1000**3
MINIMUM_CPUS = 2


@dataclass(frozen=True)
class Host:
    """What the checks found out."""

    info: dict[str, Any]
    addresses: dict[str, str]
    """Interface: address."""

    @property
    def has_swarm(self) -> bool:
        """Whether this node is in a swarm."""
        return bool(self.info["Swarm"]["LocalNodeState"] != "inactive")


def check_socket(engine: DockerApi) -> None:
    """The engine's socket must be mounted and answer."""
    try:
        engine.call("GET", "/_ping")
    except ApiError as error:
        reason = str(error) if Path(SOCKET_PATH).exists() else f"{SOCKET_PATH} is not mounted into this container"
        raise Fatal(
            f"unable to get valid Docker client: unable to ping Docker daemon: {reason} - If SELinux is enabled "
            "on the host, run this container with --security-opt label=disable"
        ) from error


def check_name(engine: DockerApi, release: Release) -> None:
    """Releases before 3.3 insist on the container's name."""
    if release.is_at_least(3, 3):
        return
    own = engine.call("GET", f"/containers/{os.uname().nodename}/json")
    if own["Name"] != "/ucp":
        raise Fatal(f"this container must be run with --name ucp, and is named {own['Name'].lstrip('/')}")


def check_not_installed(engine: DockerApi, info: dict[str, Any]) -> None:
    """No part of an installation, whole or half, may be there."""
    names = [name for each in engine.call("GET", "/containers/json", query={"all": "1"}) for name in each["Names"]]
    there = [name.lstrip("/") for name in names if name in ("/ucp-controller", "/ucp-proxy", "/ucp-reconcile")]
    if info["Swarm"].get("ControlAvailable"):
        services = engine.call("GET", "/services", query={"filters": {"name": [AGENT_SERVICE]}})
        there += [service["Spec"]["Name"] for service in services if service["Spec"]["Name"] == AGENT_SERVICE]
    if there:
        raise Fatal(
            f"UCP is already installed on this cluster ({', '.join(sorted(there))}). Run the 'uninstall-ucp' command "
            "to remove it before you install again"
        )


def check_swarm(info: dict[str, Any]) -> None:
    """A node of a swarm must be one of its managers."""
    swarm = info["Swarm"]
    if swarm["LocalNodeState"] == "locked":
        raise Fatal("this node's swarm is locked: unlock it first, or hand its key over with --unlock-key")
    if swarm["LocalNodeState"] != "inactive" and not swarm["ControlAvailable"]:
        raise Fatal("this node is a worker of its swarm: UCP is installed on a manager")


def check_minimums(info: dict[str, Any], values: Values, release: Release, log: Log) -> None:
    """Memory and processors as the engine reports them; --force-minimums goes on with less."""
    problems = shortfalls(info["MemTotal"], info["NCPU"], release)
    for problem in problems:
        log.warning(problem) if values.switch("force-minimums") else log.error(problem)
    if problems and not values.switch("force-minimums"):
        raise Fatal("your system does not meet the minimum requirements: --force-minimums installs nevertheless")


def shortfalls(memory_bytes: int, cpus: int, release: Release) -> list[str]:
    """What a manager has too little of."""
    least = 8 if release.is_at_least(3, 3) else 4
    found = []
    if memory_bytes < least * GIGABYTE:
        found.append(f"this host has {memory_bytes / GIGABYTE:.1f} GB of memory, and managers need {least} GB")
    if cpus < MINIMUM_CPUS:
        found.append(f"this host has {cpus} vCPU, and managers need {MINIMUM_CPUS}")
    return found


def check_host(engine: DockerApi, info: dict[str, Any], values: Values, image: str) -> Host:
    """Look from the host's network, in a container: are the ports free, and is the host's address one of its own?"""
    has_swarm = info["Swarm"]["LocalNodeState"] != "inactive"
    ports = _ports(values, Release(image), has_swarm=has_swarm)
    answer = json.loads(run_phase2(engine, image, ["host-check", *map(str, ports)]))
    if answer["busy"]:
        raise Fatal(busy_ports_message(answer["busy"], values.number("swarm-port")))
    host = Host(info, answer["addresses"])
    wanted = values.text("host-address")
    if wanted and wanted not in (*host.addresses, *host.addresses.values()):
        raise Fatal(f"the host address {wanted} is neither an address nor an interface of this host")
    return host


def busy_ports_message(busy: Sequence[int], swarm_port: int) -> str:
    """The documented words."""
    ports = ", ".join(map(str, busy))
    return (
        f"The following required ports are already in use on your host - {ports}.  You may specify an alternative port "
        f"number to {swarm_port} with the --swarm-port argument."
    )


def run_phase2(
    engine: DockerApi, image: str, role: Sequence[str], binds: Sequence[str] = (), *, network: str = "host"
) -> bytes:
    """Run a role of the image in a container of its own, and return its standard output. Raises Fatal."""
    engine.remove_container(PHASE2_CONTAINER)
    body = {
        "Image": image,
        "Entrypoint": [ROLE_PROGRAM, *role],
        "Cmd": [],
        "HostConfig": {"NetworkMode": network, "Binds": list(binds)},
    }
    try:
        engine.create_container(PHASE2_CONTAINER, body)
        engine.start_container(PHASE2_CONTAINER)
        code = engine.wait_for_container(PHASE2_CONTAINER, PHASE2_TIMEOUT_SECONDS)
        output = engine.container_output(PHASE2_CONTAINER)
        if code:
            errors = engine.container_output(PHASE2_CONTAINER, of_stderr=True).decode(errors="replace")
            raise Fatal(f"{PHASE2_CONTAINER} exited with non-zero status: {code}: {errors.strip()[-500:]}")
        return output
    except ApiError as error:
        raise Fatal(f"unable to run {PHASE2_CONTAINER}: {error}") from error
    finally:
        engine.remove_container(PHASE2_CONTAINER)


def _ports(values: Values, release: Release, *, has_swarm: bool) -> list[int]:
    number: Callable[[str], int] = values.number
    ports = required_ports(release, number("controller-port"), number("kube-apiserver-port"), number("swarm-port"))
    return sorted({*ports, *(() if has_swarm else SWARM_PORTS)})
