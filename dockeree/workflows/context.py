"""`dockeree context`: a docker context that goes through UCP, as its administrator, from this machine.

The bundle's private key passes through this process's memory into docker's own store, and no file of dockeree's holds
it, unless there is no docker client here.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dockeree.aws.clusters import find_claim
from dockeree.aws.instances import MANAGER_ROLES, find_managers
from dockeree.aws.tags import Owner
from dockeree.errors import DockereeError
from dockeree.node import client_bundle, http, ucp
from dockeree.node.http import Request
from dockeree.private_files import write_private_file
from dockeree.redaction import register_secret
from dockeree.steps.consoles import Manager, host_of, read_file
from dockeree.steps.reaching import find_swarm_manager
from dockeree.steps.ucp_controllers import log_in
from dockeree.steps.ucp_password import password_of

if TYPE_CHECKING:
    from dockeree.context import Cluster

DOCKER_SECONDS = 60.0


@dataclass(frozen=True)
class MadeContext:
    """What was made: a context of the docker client's, or, without a client, the file to import by hand."""

    name: str
    host: str
    file: Path | None = None
    """None where the docker client has it."""


def make_context(cluster: Cluster, name: str, folder: Path) -> MadeContext:
    """Make the context `name`, or make it anew; without a docker client, write its archive into `folder`.

    Raises DockereeError, also when there is a context of that name which is not this cluster's.
    """
    docker = shutil.which("docker")
    if docker is not None:
        _check_ours(docker, cluster, name)
    host = host_of(cluster, "ucp")
    files = client_bundle.context_files(name, describe(cluster), f"{host}:{ucp.PORT}", _keys(cluster, host))
    if docker is None:
        path = folder / f"{name}-context.zip"
        write_private_file(path, client_bundle.as_zip(files))
        return MadeContext(name, host, path)
    _remove(docker, name)
    _run(docker, "context", "import", name, "-", stdin=client_bundle.as_tar(files))
    return MadeContext(name, host)


def forget_contexts(cluster: Cluster) -> list[str]:
    """Remove the docker contexts that were made for a cluster that is gone; their names.

    Trouble of docker's own is a warning: what is left then leads nowhere.
    """
    docker = shutil.which("docker")
    if docker is None:
        return []
    try:
        ours = [found for found, words in _contexts(docker).items() if words == describe(cluster)]
        for name in ours:
            _remove(docker, name)
    except DockereeError as error:
        cluster.report.warn(f"docker contexts could not be looked through: {error.message}")
        return []
    return ours


def describe(cluster: Cluster) -> str:
    """The description by which a context is known as this cluster's."""
    return f"UCP of the dockeree cluster {cluster.name}, {cluster.aws.region}, {cluster.aws.identity().account}"


def _keys(cluster: Cluster, host: str) -> dict[str, bytes]:
    """A fresh client bundle's files, asked of a manager that answers. Raises DockereeError."""
    manager = _manager(cluster)
    password = password_of(cluster)
    token = log_in(manager, password)
    register_secret(token)
    request = Request(
        ucp.url(host, "/api/clientbundle"), token=token, connect_to=f"{host}::{manager.address}:{ucp.PORT}"
    )
    bundle = http.download(manager.remote, request)
    try:
        keys = client_bundle.read_bundle(bundle)
    except ValueError as error:
        raise DockereeError(f"{manager.name} gave no client bundle: {error}", "See `dockeree status`.") from error
    own = cluster.config.ucp.certificate
    if own is not None:  # the server's certificate is then not one of the bundle's authority
        keys["ca.pem"] += b"\n" + read_file(own.ca, "ucp.certificate.ca").encode()
    register_secret(keys["key.pem"].decode(errors="replace").strip())
    return keys


def _manager(cluster: Cluster) -> Manager:
    """A manager that answers and takes orders."""
    if not cluster.config.ucp.enabled:
        raise DockereeError("there is no UCP to go through: ucp.enabled is false")
    claim = find_claim(cluster.aws, cluster.name)
    if claim is None:
        raise DockereeError(f"there is no cluster {cluster.name} in {cluster.aws.region}", "Create it: dockeree up")
    found = find_managers(cluster.aws, Owner(cluster.name, claim.id))
    candidates = [found[role] for role in MANAGER_ROLES if role in found]
    remote, info = find_swarm_manager(cluster, candidates)
    instance = next(item for item in candidates if item.name == remote.name)
    return Manager(instance, remote, info.swarm.node_id, info.hostname)


def _check_ours(docker: str, cluster: Cluster, name: str) -> None:
    words = _contexts(docker).get(name)
    if words is not None and words != describe(cluster):
        raise DockereeError(
            f"there is a docker context {name} already, and it is not this cluster's ({words or 'no description'})",
            "Give this one another name: dockeree context --name OTHER",
        )


def _contexts(docker: str) -> dict[str, str]:
    """Name -> description of every context."""
    output = _run(docker, "context", "ls", "--format", "{{json .}}")
    found = [json.loads(line) for line in output.splitlines() if line.strip()]
    return {item["Name"]: item.get("Description", "") for item in found}


def _remove(docker: str, name: str) -> None:
    if name in _contexts(docker):
        _run(docker, "context", "rm", "--force", name)


def _run(docker: str, *arguments: str, stdin: bytes = b"") -> str:
    """Run the docker client on this machine. Raises DockereeError."""
    try:
        ended = subprocess.run(
            [docker, *arguments], input=stdin, capture_output=True, timeout=DOCKER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DockereeError(f"docker on this machine does not answer: {error}") from error
    if ended.returncode != 0:
        words = ended.stderr.decode(errors="replace").strip()
        raise DockereeError(f"docker {' '.join(arguments[:2])}: {words or f'exit {ended.returncode}'}")
    return ended.stdout.decode(errors="replace")
