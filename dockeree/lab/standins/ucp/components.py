"""The containers of UCP on a node, by their documented names, as bodies of the engine's create call."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from dockeree.lab.standins.program.docker_api import SOCKET_PATH
from dockeree.lab.standins.ucp.layout import (
    CLIENT_CERTS,
    CLIENT_ROOT,
    CLIENT_ROOT_PORT,
    CLUSTER_ROOT,
    CLUSTER_ROOT_PORT,
    INSTANCE_LABEL,
    MANAGER_VOLUMES,
    NODE_CERTS,
    SERVER_CERTS,
    VERSION_LABEL,
    WORKER_VOLUMES,
)
from dockeree.lab.standins.ucp.node_identity import SWARM_CERTIFICATES, VOLUMES
from dockeree.lab.standins.ucp.settings import Settings, ThisNode

SPEC_LABEL = "dockeree.stand-in.spec"
"""What a container was made from, as a hash: another one is made when it differs."""
ROLE_PROGRAM, SLEEP = "/bin/ucp-role", ("/bin/busybox", "sleep", "2147483647")

EVERYWHERE_ASLEEP: dict[str, tuple[str, ...]] = {"ucp-dsinfo": (), "ucp-kubelet": (), "ucp-kube-proxy": ()}
MANAGERS_ASLEEP: dict[str, tuple[str, ...]] = {
    "ucp-kv": ("ucp-kv", "ucp-kv-certs"),
    "ucp-auth-api": ("ucp-auth-api-certs",),
    "ucp-auth-store": ("ucp-auth-store-certs", "ucp-auth-store-data"),
    "ucp-auth-worker": ("ucp-auth-worker-certs", "ucp-auth-worker-data"),
    "ucp-swarm-manager": (),
    "ucp-metrics": ("ucp-metrics-data", "ucp-metrics-inventory"),
    "ucp-kube-apiserver": (),
    "ucp-kube-controller-manager": (),
    "ucp-kube-scheduler": (),
}
"""Containers that only have to be there, with the volumes they hold."""


def wanted(settings: Settings, node: ThisNode) -> dict[str, dict[str, Any]]:
    """Name and create body of each container that must run on this node, in the order to start them."""
    bodies = {"ucp-proxy": _role(settings, node, "proxy", (NODE_CERTS,))}
    asleep = dict(EVERYWHERE_ASLEEP)
    if node.is_manager:
        for name, port in ((CLUSTER_ROOT, CLUSTER_ROOT_PORT), (CLIENT_ROOT, CLIENT_ROOT_PORT)):
            bodies[name] = _role(settings, node, f"root-ca {name} {port}", (NODE_CERTS, name))
        volumes = (NODE_CERTS, CLUSTER_ROOT, CLIENT_ROOT, SERVER_CERTS, CLIENT_CERTS)
        bodies["ucp-controller"] = _role(settings, node, "controller", volumes)
        asleep |= MANAGERS_ASLEEP
    bodies |= {name: _asleep(settings, volumes) for name, volumes in asleep.items()}
    for name, body in bodies.items():
        body["Labels"][SPEC_LABEL] = _hash(name, body)
    return bodies


def reconcile_body(settings: Settings, node: ThisNode) -> dict[str, Any]:
    """The container that puts a node right and ends."""
    volumes = MANAGER_VOLUMES if node.is_manager else WORKER_VOLUMES
    body = _role(settings, node, "reconcile", volumes)
    body["HostConfig"]["RestartPolicy"] = {"Name": "no"}
    # What it made has to be made anew when the node's address or names are others.
    body["Labels"][SPEC_LABEL] = _hash(node.address, node.hostname, node.sans, body)
    return body


def volumes_of(node: ThisNode) -> tuple[str, ...]:
    """The volumes that belong on this node."""
    return MANAGER_VOLUMES if node.is_manager else WORKER_VOLUMES


def labels(settings: Settings) -> dict[str, str]:
    """On everything that belongs to an installation."""
    return {INSTANCE_LABEL: settings.instance_id, VERSION_LABEL: settings.release.version}


def is_component(container: dict[str, Any]) -> bool:
    """Whether an entry of the engine's list is one of UCP's own containers, tasks of the services left aside."""
    found = container.get("Labels") or {}
    return INSTANCE_LABEL in found and "com.docker.swarm.service.name" not in found


def name_of(container: dict[str, Any]) -> str:
    """The name of an entry of the engine's list."""
    names: list[str] = container["Names"] or [""]
    return names[0].lstrip("/")


def _hash(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _role(settings: Settings, node: ThisNode, role: str, volumes: tuple[str, ...]) -> dict[str, Any]:
    binds = [
        f"{SOCKET_PATH}:{SOCKET_PATH}",
        f"{node.docker_root}/swarm/certificates:{SWARM_CERTIFICATES}:ro",
        *(f"{name}:{VOLUMES}/{name}" for name in volumes),
    ]
    return _body(settings, (ROLE_PROGRAM, *role.split()), binds, settings.environment())


def _asleep(settings: Settings, volumes: tuple[str, ...]) -> dict[str, Any]:
    body = _body(settings, SLEEP, [f"{name}:{VOLUMES}/{name}" for name in volumes], [])
    # As process 1 of its container it has no handler for SIGTERM and would be waited for in vain.
    body["StopSignal"] = "SIGKILL"
    return body


def _body(settings: Settings, entrypoint: tuple[str, ...], binds: list[str], environment: list[str]) -> dict[str, Any]:
    return {
        "Image": settings.image,
        "Entrypoint": list(entrypoint),
        "Cmd": [],
        "Env": environment,
        "Labels": labels(settings),
        "HostConfig": {
            "Binds": binds,
            "NetworkMode": "host",
            "RestartPolicy": {"Name": "always"},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "5m"}},
        },
    }
