"""The commands that only tell something."""

# ruff: noqa: ARG001 - every command takes what the bootstrapper has

from __future__ import annotations

import contextlib
import socket
import sys

from dockeree.lab.standins.program.command_line import Values, parse
from dockeree.lab.standins.program.docker_api import DockerApi
from dockeree.lab.standins.program.log import Fatal, Log
from dockeree.lab.standins.program.release import Release
from dockeree.lab.standins.ucp import configuration
from dockeree.lab.standins.ucp.command_table import commands_of
from dockeree.lab.standins.ucp.layout import CLUSTER_ROOT, SERVER_CERTS
from dockeree.lab.standins.ucp.volume_files import mounted


def cluster_id(engine: DockerApi) -> str:
    """The swarm's id, which is UCP's. Raises Fatal on a node that does not know it."""
    cluster = engine.call("GET", "/info")["Swarm"].get("Cluster") or {}
    if not cluster.get("ID"):
        raise Fatal("this node is not a manager of a swarm")
    found: str = cluster["ID"]
    return found


def show_id(engine: DockerApi, image: str, values: Values, log: Log) -> None:
    """`id`, on standard output."""
    _write(cluster_id(engine) + "\n")


def images(engine: DockerApi, image: str, values: Values, log: Log) -> None:
    """`images`: this stand-in's only image, listed or pulled."""
    if values.switch("list"):
        _write(image + "\n")
        return
    release = Release(image)
    query = {"fromImage": release.repository, "tag": release.tag}
    if values.text("pull") == "always":
        log.info(f"Pulling {image}")
        engine.call("POST", "/images/create", query=query, timeout_seconds=600.0)
    log.info("All required images are now downloaded successfully")


def dump_certs(engine: DockerApi, image: str, values: Values, log: Log) -> None:
    """`dump-certs`: PEM on standard output; --ca the authority alone, --cluster the nodes', not the controller's."""
    volume, name = (CLUSTER_ROOT, "cert.pem") if values.switch("cluster") else (SERVER_CERTS, "ca.pem")
    with mounted(engine, image, (volume, SERVER_CERTS)) as files:
        there = files.read(volume)
    if name not in there:
        raise Fatal("UCP is not installed on this node")
    content = there[name]
    if not values.switch("ca") and not values.switch("cluster"):
        content = there["cert.pem"] + content
    _write(content.decode())


def example_config(engine: DockerApi, image: str, values: Values, log: Log) -> None:
    """`example-config`: the default configuration."""
    defaults = parse(commands_of(Release(image))["install"], (), {})
    _write(configuration.default_of(defaults))


def port_check_server(engine: DockerApi, image: str, values: Values, log: Log) -> None:
    """`port-check-server`: take connections, to see from elsewhere that they come through. Runs until killed."""
    address, _, port = values.text("listen-address").rpartition(":")
    try:
        with socket.create_server((address, int(port))) as server:
            log.info(f"Listening on {address}:{port}")
            while True:
                with contextlib.suppress(ConnectionError):
                    connection, _ = server.accept()
                    connection.close()
    except (OSError, ValueError) as error:
        raise Fatal(f"unable to listen on {address}:{port}: {error}") from error


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
