"""What services publish: which ports a balancer's targets should answer on."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

from dockeree.node.engine import DOCKER
from dockeree.ssh.remote import Remote

SERVICE_IDS = f"{DOCKER} service ls --quiet"


@dataclass(frozen=True)
class PublishedPort:
    """A TCP port that a service publishes on nodes.

    `on_every_node`: by the routing mesh (mode ingress), or by a global service in mode host. A replicated service in
    mode host answers only where a task of it runs.
    """

    service: str
    port: int
    on_every_node: bool


def read_published_ports(manager: Remote) -> tuple[PublishedPort, ...]:
    """Every published TCP port of every service, asked of one manager. Raises CommandFailed without a quorum.

    `docker service ls` shows no ports of mode host, so the services are inspected.
    """
    ids = manager.run(SERVICE_IDS, changes=False).stdout.split()
    if not ids:
        return ()
    words = " ".join(shlex.quote(service_id) for service_id in ids)
    command = f"{DOCKER} service inspect --format '{{{{json .}}}}' {words}"
    # A service removed since the listing makes docker answer 1, after having printed the others.
    return parse_published_ports(manager.run(command, changes=False, check=False).stdout)


def parse_published_ports(stdout: str) -> tuple[PublishedPort, ...]:
    """Read the JSON lines of `docker service inspect`."""
    published = []
    for line in filter(None, map(str.strip, stdout.splitlines())):
        spec = json.loads(line)["Spec"]
        is_global = "Global" in spec.get("Mode", {})
        for port in (spec.get("EndpointSpec") or {}).get("Ports") or ():
            if port.get("Protocol", "tcp") == "tcp" and port.get("PublishedPort"):
                on_every_node = is_global or port.get("PublishMode", "ingress") == "ingress"
                published.append(PublishedPort(spec["Name"], port["PublishedPort"], on_every_node))
    return tuple(published)
