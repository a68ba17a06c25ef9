"""`uninstall-ucp`: a task on each node takes UCP's containers and volumes away; the swarm and its root CA stay.

The volume ucp-controller-server-certs stays too: it may hold a certificate of the operator's.
"""

from __future__ import annotations

import signal
import time

from dockeree.lab.standins.program.command_line import Values
from dockeree.lab.standins.program.docker_api import ApiError, DockerApi, local_engine
from dockeree.lab.standins.program.log import Fatal, Log
from dockeree.lab.standins.ucp import components
from dockeree.lab.standins.ucp.layout import (
    ACCOUNTS_PREFIX,
    AGENT_SERVICE,
    CONFIG_PREFIX,
    LICENSE_PREFIX,
    MANAGER_VOLUMES,
    SERVER_CERTS,
    UNINSTALL_SERVICE,
)
from dockeree.lab.standins.ucp.services import registry_headers, uninstall_service
from dockeree.lab.standins.ucp.settings import Settings
from dockeree.lab.standins.ucp.small_commands import cluster_id
from dockeree.lab.standins.ucp.swarm_store import SwarmStore

TIMEOUT_SECONDS = 120.0
AGENT_GONE_TIMEOUT_SECONDS = 30.0
POLL_SECONDS = 0.5


def uninstall(engine: DockerApi, image: str, values: Values, log: Log) -> None:
    """Raises Fatal for another swarm's id, and when a node does not get done."""
    _check_id(cluster_id(engine), values.text("id"))
    log.info("Uninstalling UCP on each node...")
    _remove_services(engine)
    headers = registry_headers(values.text("registry-username"), values.text("registry-password"))
    body = uninstall_service(Settings(image=image, instance_id="uninstall"))
    engine.call("POST", "/services/create", body, headers=headers)
    _await_tasks(engine)
    log.info("UCP has been removed from this cluster successfully.")
    log.info("Removing UCP Services")
    _remove_services(engine)
    store = SwarmStore(engine)
    store.remove(ACCOUNTS_PREFIX)
    if values.switch("purge-config"):
        store.remove(CONFIG_PREFIX)
        store.remove(LICENSE_PREFIX)


def run_agent(log: Log) -> None:
    """The role of the service's tasks: what is UCP's on this node goes. Raises ApiError."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    engine = local_engine()
    deadline = time.monotonic() + AGENT_GONE_TIMEOUT_SECONDS
    filters = {"label": [f"com.docker.swarm.service.name={AGENT_SERVICE}"]}
    while engine.call("GET", "/containers/json", query={"filters": filters}):
        # An agent that still runs would make again what is taken away.
        if time.monotonic() > deadline:
            raise Fatal("the task of ucp-agent does not end on this node")
        time.sleep(POLL_SECONDS)
    for container in engine.call("GET", "/containers/json", query={"all": "1"}):
        if components.is_component(container):
            log.info(f"Removing {components.name_of(container)}")
            engine.remove_container(container["Id"])
    for volume in MANAGER_VOLUMES:
        if volume != SERVER_CERTS:
            with engine.ignoring_absence():
                engine.call("DELETE", f"/volumes/{volume}")


def _check_id(actual: str, given: str) -> None:
    if not given:
        raise Fatal(f"--id is required: the id of this cluster is {actual}")
    if given != actual:
        raise Fatal(f"the id {given} is not this cluster's, which is {actual}")


def _remove_services(engine: DockerApi) -> None:
    for name in (AGENT_SERVICE, UNINSTALL_SERVICE):
        with engine.ignoring_absence():
            engine.call("DELETE", f"/services/{name}")


def _await_tasks(engine: DockerApi) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while missing := _unfinished(engine):
        if time.monotonic() > deadline:
            raise Fatal(f"Uninstalling UCP took too long: {', '.join(missing)}")
        time.sleep(POLL_SECONDS)


def _unfinished(engine: DockerApi) -> list[str]:
    """Names of the reachable nodes whose task has not ended well. Raises Fatal when one has failed."""
    ready = {
        node["ID"]: node["Description"]["Hostname"]
        for node in engine.call("GET", "/nodes")
        if node["Status"]["State"] == "ready" and node["Spec"]["Availability"] != "drain"
    }
    try:
        tasks = engine.call("GET", "/tasks", query={"filters": {"service": [UNINSTALL_SERVICE]}})
    except ApiError as error:
        raise Fatal(f"the tasks of {UNINSTALL_SERVICE} cannot be read: {error}") from error
    states = {task.get("NodeID", ""): task["Status"] for task in tasks}
    for node_id, status in states.items():
        if status["State"] in ("failed", "rejected"):
            raise Fatal(f"Uninstalling UCP failed on {ready.get(node_id, node_id)}: {status.get('Err', '')}")
    return [name for node_id, name in ready.items() if states.get(node_id, {}).get("State") != "complete"]
