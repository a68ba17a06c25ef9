"""What DTR's installer is told, what is asked of DTR's API, and how the answers are read.

The command lines are those of DTR's documentation. The installer talks to UCP alone, and lands where it is told to.
Everything goes by flags, as its variables were renamed between releases; the password alone by its variable, which is
the same in all of them.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dockeree.node.engine import DOCKER
from dockeree.node.http import Request
from dockeree.node.installer import docker_run

ADMIN = "admin"
PASSWORD_VARIABLE = "UCP_PASSWORD"
INSTALLER = "dockeree-dtr"
PENDING_LABEL = "dockeree.dtr-pending"
"""On the node whose replica has begun to be made and was not seen to end well: it may be cleared away."""
CERTIFICATES_FOLDER = "/etc/docker/certs.d"

_REPLICA_CONTAINER = re.compile(r"dtr-(?P<part>[a-z-]+)-(?P<id>[0-9a-f]{12})")
_REPLICA_ID = re.compile(r"[0-9a-f]{12}")

INSTALLER_STATE = f"{DOCKER} ps --all --filter name=^{INSTALLER}$ --format '{{{{.State}}}}'"
FOLLOW_INSTALLER = f"{DOCKER} logs --follow {INSTALLER}"
REMOVE_INSTALLER = f"{DOCKER} container rm --force {INSTALLER}"
CONTAINERS = f"{DOCKER} ps --all --filter 'name=^dtr-' --format '{{{{json .}}}}'"


@dataclass(frozen=True)
class Ucp:
    """The UCP that DTR belongs to: its URL, and the authorities (PEM) that its certificate is verified against."""

    url: str
    authorities: str


@dataclass(frozen=True)
class Ports:
    """Where a replica listens on its node."""

    https: int
    http: int


@dataclass(frozen=True)
class Replica:
    """What a node has of a replica: docker's state by part (registry, api, rethinkdb, …)."""

    id: str
    states: Mapping[str, str]

    @property
    def is_running(self) -> bool:
        """Whether everything there runs."""
        return bool(self.states) and all(state == "running" for state in self.states.values())


def images_command(image: str) -> str:
    """Print the images that this release is made of."""
    return docker_run(image, ("images",))


def install_command(image: str, ucp: Ucp, *, node: str, external_url: str, replica_id: str, ports: Ports) -> str:
    """Install the first replica on the node with that hostname; the administrator's password on standard input."""
    arguments = [
        *("install", *_ucp(ucp), "--ucp-node", node),
        *("--dtr-external-url", external_url, "--replica-id", replica_id, *_ports(ports)),
    ]
    return _run(image, arguments)


def join_command(image: str, ucp: Ucp, *, node: str, existing_id: str, replica_id: str, ports: Ports) -> str:
    """Add a replica on the node with that hostname. One at a time."""
    arguments = [
        *("join", *_ucp(ucp), "--ucp-node", node),
        *("--existing-replica-id", existing_id, "--replica-id", replica_id, *_ports(ports)),
    ]
    return _run(image, arguments)


def remove_command(image: str, ucp: Ucp, *, existing_id: str, replica_id: str) -> str:
    """Take a replica out of the cluster, asked of another one."""
    arguments = ["remove", *_ucp(ucp), "--existing-replica-id", existing_id, "--replica-ids", replica_id]
    return _run(image, arguments)


def destroy_command(image: str, ucp: Ucp, *, replica_id: str) -> str:
    """Take away a replica's containers and volumes, whatever the cluster thinks of it."""
    return _run(image, ["destroy", *_ucp(ucp), "--replica-id", replica_id])


def _run(image: str, arguments: Sequence[str]) -> str:
    """The container has a name, so that a run that comes after a broken-off one sees it at work."""
    return docker_run(image, arguments, ("--name", INSTALLER), environment=PASSWORD_VARIABLE)


def _ucp(ucp: Ucp) -> tuple[str, ...]:
    return ("--ucp-url", ucp.url, "--ucp-username", ADMIN, "--ucp-ca", ucp.authorities)


def _ports(ports: Ports) -> tuple[str, ...]:
    return ("--replica-https-port", str(ports.https), "--replica-http-port", str(ports.http))


def replica_id(cluster_id: str, letter: str) -> str:
    """The id of the replica on the node with that letter: always the same, so a run that is repeated finds it."""
    found = f"{cluster_id}000{letter}"
    if not _REPLICA_ID.fullmatch(found):
        raise ValueError(f"{found} is no replica id: 12 hexadecimal digits")
    return found


def parse_replicas(stdout: str) -> dict[str, Replica]:
    """The replicas that a node has, by id (CONTAINERS)."""
    states: dict[str, dict[str, str]] = {}
    for line in filter(str.strip, stdout.splitlines()):
        item = json.loads(line)
        if found := _REPLICA_CONTAINER.fullmatch(item["Names"]):
            states.setdefault(found.group("id"), {})[found.group("part")] = item["State"]
    return {key: Replica(key, value) for key, value in states.items()}


def parse_helpers(stdout: str) -> tuple[str, ...]:
    """The installers' own containers that a node has (`dtr-phase2` …), of CONTAINERS."""
    names = [json.loads(line)["Names"] for line in stdout.splitlines() if line.strip()]
    return tuple(name for name in names if not _REPLICA_CONTAINER.fullmatch(name))


def trust_command(host: str) -> str:
    """Have the engine trust a registry: the authorities on standard input; the engine reads them at each pull."""
    folder = f"{CERTIFICATES_FOLDER}/{host}"
    script = f"mkdir -p {folder} && cat > {folder}/ca.crt.new && mv {folder}/ca.crt.new {folder}/ca.crt"
    return f"sudo -n sh -c {shlex.quote(script)}"


def read_trust_command(host: str) -> str:
    """Print what the engine trusts a registry by; fails without."""
    return f"sudo -n cat {CERTIFICATES_FOLDER}/{host}/ca.crt"


def get(address: str, path: str, password: str) -> Request:
    """Ask the replica at `address` (with its port), as the administrator."""
    return Request(f"https://{address}{path}", user=(ADMIN, password))


def put_storage(address: str, password: str, storage: Mapping[str, Any]) -> Request:
    """Where the images lie, from now on."""
    body = json.dumps({"storage": storage})
    return Request(f"https://{address}/api/v0/admin/settings/registry/simple", "PUT", body, user=(ADMIN, password))


def post_settings(address: str, password: str, settings: Mapping[str, Any]) -> Request:
    """Change some of DTR's settings; those that are not named stay."""
    url = f"https://{address}/api/v0/meta/settings"
    return Request(url, "POST", json.dumps(settings), user=(ADMIN, password))


def s3_storage(region: str, bucket: str, keys: tuple[str, str] | None = None) -> dict[str, Any]:
    """The registry's storage in a bucket: by the node's role, or by `keys` (id, secret)."""
    s3: dict[str, Any] = {
        "rootdirectory": "",
        "region": region,
        "regionendpoint": "",
        "bucket": bucket,
        "secure": True,
    }
    if keys is not None:
        s3 |= {"accesskey": keys[0], "secretkey": keys[1]}
    return {"delete": {"enabled": True}, "maintenance": {"readonly": {"enabled": False}}, "s3": s3}


def parse_storage(body: str) -> dict[str, Any]:
    """The `s3` part of the registry's storage; empty when it is elsewhere. Raises ValueError."""
    storage = json.loads(body).get("storage") or {}
    found: dict[str, Any] = storage.get("s3") or {}
    return found


def parse_health(body: str) -> dict[str, str]:
    """Replica id -> `OK`, or what is wrong (`GET /api/v0/meta/cluster_status`). Raises ValueError."""
    return {key: str(value) for key, value in (json.loads(body).get("replica_health") or {}).items()}


def is_healthy(body: str) -> bool:
    """What a replica says of itself (`GET /_ping`)."""
    try:
        return json.loads(body).get("Healthy") is True
    except (ValueError, AttributeError):
        return False


def replica_ids(replicas: Sequence[Replica]) -> tuple[str, ...]:
    """The ids, once each."""
    return tuple(dict.fromkeys(replica.id for replica in replicas))
