"""The role of ucp-reconcile: certificates and containers of one node. It ends, and stays there exited."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dockeree.lab.standins.program.certificates import KeyPair, alternative_names, common_name, issue
from dockeree.lab.standins.program.docker_api import ApiError, DockerApi, local_engine, remote
from dockeree.lab.standins.program.log import Fatal, Log
from dockeree.lab.standins.ucp import components
from dockeree.lab.standins.ucp.layout import (
    CLIENT_CERTS,
    CLIENT_ROOT,
    CLIENT_ROOT_NAME,
    CLIENT_ROOT_PORT,
    CLUSTER_ROOT,
    CLUSTER_ROOT_PORT,
    MANAGER_VOLUMES,
    NODE_CERTS,
    RECONCILE_CONTAINER,
    SERVER_CERTS,
)
from dockeree.lab.standins.ucp.node_identity import VOLUMES, NodeIdentity, write_whole
from dockeree.lab.standins.ucp.settings import Settings, ThisNode

ROOT_CA_TIMEOUT_SECONDS = 60.0
POLL_SECONDS = 1.0
STARTS_AT_ONCE = 4


def run(log: Log) -> None:
    """Put this node right. Raises Fatal, ApiError or OSError."""
    settings = Settings.from_environment()
    engine = local_engine()
    node = ThisNode.of(engine)
    if settings.release.fails_at == "reconcile":
        raise Fatal("reconcile fails, as the tag of this stand-in says")
    identity = NodeIdentity()
    identity.refresh()
    if node.is_manager:
        for name, port in ((CLUSTER_ROOT, CLUSTER_ROOT_PORT), (CLIENT_ROOT, CLIENT_ROOT_PORT)):
            _ensure_root(engine, identity, node, name, port, log)
        for name in ("ca.pem", "cert.pem", "key.pem"):
            write_whole(VOLUMES / CLIENT_CERTS / name, (VOLUMES / NODE_CERTS / name).read_bytes())
        ensure_server_certificate(VOLUMES, settings, node, log)
    _ensure_containers(engine, settings, node, log)


def ensure_server_certificate(volumes: Path, settings: Settings, node: ThisNode, log: Log) -> None:
    """The controller's certificate: the operator's own, or one of UCP's for exactly the names that are its due.

    Raises Fatal for an operator's own whose key does not fit.
    """
    root, folder = read_pair(volumes / CLIENT_ROOT), volumes / SERVER_CERTS
    names = server_names(node)
    if (folder / "cert.pem").exists() and (folder / "key.pem").exists():
        there = read_pair(folder)
        is_own = common_name(there.certificate.issuer) == CLIENT_ROOT_NAME
        if settings.external_server_cert and not is_own:
            if not there.fits:
                raise Fatal(f"the key in {SERVER_CERTS} is not its certificate's")
            return
        is_current = (folder / "ca.pem").exists() and (folder / "ca.pem").read_bytes() == root.certificate_pem
        if is_own and is_current and there.fits and alternative_names(there.certificate) == set(names):
            return
    log.info(f"Generating the controller's certificate for {', '.join(names)}")
    pair = issue(root, node.hostname, server_names=names)
    for name, content in (("key", pair.key_pem), ("cert", pair.certificate_pem), ("ca", root.certificate_pem)):
        write_whole(folder / f"{name}.pem", content)


def server_names(node: ThisNode) -> list[str]:
    """What a controller answers to: its node's address and name, loopback, the labelled names, and nothing else."""
    return list(dict.fromkeys([node.address, "127.0.0.1", node.hostname, *node.sans]))


def read_pair(folder: Path) -> KeyPair:
    """cert.pem and key.pem of a folder. Raises FileNotFoundError."""
    return KeyPair((folder / "cert.pem").read_bytes(), (folder / "key.pem").read_bytes())


def _ensure_root(engine: DockerApi, identity: NodeIdentity, node: ThisNode, name: str, port: int, log: Log) -> None:
    """An authority's certificate and key; a manager that joined later asks the others for them."""
    folder = VOLUMES / name
    if (folder / "cert.pem").exists() and (folder / "key.pem").exists():
        return
    deadline = time.monotonic() + ROOT_CA_TIMEOUT_SECONDS
    while True:
        problems = []
        for address in _other_managers(engine, node):
            try:
                files = remote(address, port, identity.client_context()).call("GET", "/", timeout_seconds=5.0)
            except ApiError as error:
                problems.append(f"{address}: {error}")
                continue
            log.info(f"The {name} comes from {address}")
            for file, content in files.items():
                write_whole(folder / file, content.encode())
            return
        if time.monotonic() > deadline:
            raise Fatal(f"no manager hands out the {name}: {'; '.join(problems) or 'there is no other manager'}")
        time.sleep(POLL_SECONDS)


def _other_managers(engine: DockerApi, node: ThisNode) -> list[str]:
    managers = engine.call("GET", "/nodes", query={"filters": {"role": ["manager"]}})
    return [
        manager["ManagerStatus"]["Addr"].rpartition(":")[0]
        for manager in managers
        if manager["ID"] != node.node_id and manager.get("ManagerStatus")
    ]


def _ensure_containers(engine: DockerApi, settings: Settings, node: ThisNode, log: Log) -> None:
    """Remove what does not belong here or is another one, volumes of a former manager too; start what is missing."""
    wanted = components.wanted(settings, node)
    listed = engine.call("GET", "/containers/json", query={"all": "1"})
    found = {components.name_of(each): each for each in listed if components.is_component(each)}
    found.pop(RECONCILE_CONTAINER, None)
    for name, container in found.items():
        spec = wanted.get(name, {}).get("Labels", {}).get(components.SPEC_LABEL)
        is_right = container["Labels"].get(components.SPEC_LABEL) == spec and container["State"] == "running"
        if is_right:
            wanted.pop(name)
        else:
            log.info(f"Removing {name}")
            engine.remove_container(name)
    if not node.is_manager:
        for volume in set(MANAGER_VOLUMES) - set(components.volumes_of(node)):
            with engine.ignoring_absence():
                engine.call("DELETE", f"/volumes/{volume}")

    def start(name: str) -> None:
        engine.create_container(name, wanted[name])
        engine.start_container(name)

    with ThreadPoolExecutor(STARTS_AT_ONCE) as pool:
        list(pool.map(start, wanted))
    log.info(f"Started {', '.join(wanted) or 'nothing'}")
