"""What an installation does to the swarm: begin one, give it UCP's root CA, label its own node."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from dockeree.lab.standins.program.certificates import KeyPair
from dockeree.lab.standins.program.docker_api import ApiError, DockerApi
from dockeree.lab.standins.program.log import Fatal
from dockeree.lab.standins.ucp.layout import SANS_LABEL
from dockeree.lab.standins.ucp.settings import split_sans

ROTATION_TIMEOUT_SECONDS = 180.0
POLL_SECONDS = 0.5
ATTEMPTS = 10


def begin(engine: DockerApi, address: str, port: int, data_path_address: str) -> None:
    """`docker swarm init` on this node. Raises Fatal."""
    body = {"ListenAddr": f"0.0.0.0:{port}", "AdvertiseAddr": f"{address}:{port}", "DataPathAddr": data_path_address}
    try:
        engine.call("POST", "/swarm/init", body)
    except ApiError as error:
        raise Fatal(f"unable to initialize a swarm: {error}") from error


def trust(engine: DockerApi, root: KeyPair) -> None:
    """Make `root` the swarm's authority and wait until every node has a certificate of it. Raises Fatal.

    The swarm's join tokens carry the digest of its root: those made before are of no use afterwards.
    """
    if _trusts(engine.call("GET", "/swarm"), root):
        return

    def change(swarm: dict[str, Any]) -> None:
        spec = swarm["Spec"]
        authority = {"SigningCACert": root.certificate_pem.decode(), "SigningCAKey": root.key_pem.decode()}
        spec["CAConfig"] = {**(spec.get("CAConfig") or {}), **authority}
        engine.call("POST", "/swarm/update", spec, {"version": str(swarm["Version"]["Index"])})

    _in_sequence(lambda: change(engine.call("GET", "/swarm")))
    deadline = time.monotonic() + ROTATION_TIMEOUT_SECONDS
    while not _trusts(engine.call("GET", "/swarm"), root):
        if time.monotonic() > deadline:
            nodes = engine.call("GET", "/nodes")
            away = [each["Description"]["Hostname"] for each in nodes if each["Status"]["State"] != "ready"]
            raise Fatal(f"not every node took a certificate of the new root CA; not ready: {', '.join(away) or 'none'}")
        time.sleep(POLL_SECONDS)


def _trusts(swarm: dict[str, Any], root: KeyPair) -> bool:
    is_it = swarm["TLSInfo"]["TrustRoot"].strip() == root.certificate_pem.decode().strip()
    return is_it and not swarm.get("RootRotationInProgress")


def add_sans(engine: DockerApi, node_id: str, names: list[str]) -> None:
    """Add names to the label of a node. Raises Fatal."""

    def change() -> None:
        node = engine.call("GET", f"/nodes/{node_id}")
        spec = node["Spec"]
        labels = spec.get("Labels") or {}
        there = split_sans(labels.get(SANS_LABEL, ""))
        text = ",".join(dict.fromkeys([*there, *names]))
        if text != labels.get(SANS_LABEL, ""):
            spec["Labels"] = {**labels, SANS_LABEL: text}
            engine.call("POST", f"/nodes/{node_id}/update", spec, {"version": str(node["Version"]["Index"])})

    _in_sequence(change)


def _in_sequence(change: Callable[[], None]) -> None:
    """Retry a change that somebody else's came before ("update out of sequence")."""
    for attempt in range(ATTEMPTS):
        try:
            change()
            return
        except ApiError as error:
            if "out of sequence" not in str(error) or attempt == ATTEMPTS - 1:
                raise Fatal(f"the swarm refused: {error}") from error
            time.sleep(POLL_SECONDS)
