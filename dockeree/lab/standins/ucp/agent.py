"""The role of the service ucp-agent's tasks: watch this node, and run ucp-reconcile when it is not as it should be."""

from __future__ import annotations

import signal
import threading

from dockeree.lab.standins.program.docker_api import ApiError, DockerApi, local_engine
from dockeree.lab.standins.program.log import Fatal, Log
from dockeree.lab.standins.ucp import components
from dockeree.lab.standins.ucp.layout import RECONCILE_CONTAINER
from dockeree.lab.standins.ucp.settings import Settings, ThisNode

INTERVAL_SECONDS = 3.0
LONGEST_INTERVAL_SECONDS = 15.0
"""After a failed reconcile the next one comes later and later."""
RECONCILE_TIMEOUT_SECONDS = 180.0


def run(log: Log) -> None:
    """Until SIGTERM. Raises Fatal when told to by the image's tag."""
    settings = Settings.from_environment()
    if settings.release.fails_at == "agents":
        raise Fatal("the agent fails, as the tag of this stand-in says")
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: ended.set())
    engine = local_engine()
    interval = INTERVAL_SECONDS
    while not ended.is_set():
        try:
            is_right = put_right(engine, settings, log)
        except ApiError as error:
            log.warning(f"{error}")
            is_right = False
        interval = INTERVAL_SECONDS if is_right else min(interval * 1.5, LONGEST_INTERVAL_SECONDS)
        ended.wait(interval)


def put_right(engine: DockerApi, settings: Settings, log: Log) -> bool:
    """Look at this node, reconcile it where needed. False when that failed. Raises ApiError."""
    node = ThisNode.of(engine)
    if not (why := what_is_wrong(engine, settings, node)):
        return True
    log.info(f"Reconciling {node.hostname}: {why}")
    engine.remove_container(RECONCILE_CONTAINER)
    engine.create_container(RECONCILE_CONTAINER, components.reconcile_body(settings, node))
    engine.start_container(RECONCILE_CONTAINER)
    code = engine.wait_for_container(RECONCILE_CONTAINER, RECONCILE_TIMEOUT_SECONDS)
    if code:
        log.error(f"reconcile exited with non-zero status: {code}")
    return code == 0


def what_is_wrong(engine: DockerApi, settings: Settings, node: ThisNode) -> str:
    """Why this node needs a reconcile; empty when it does not."""
    listed = engine.call("GET", "/containers/json", query={"all": "1"})
    found = {components.name_of(each): each for each in listed if components.is_component(each)}
    wanted = components.wanted(settings, node) | {RECONCILE_CONTAINER: components.reconcile_body(settings, node)}
    for name, body in wanted.items():
        if name not in found:
            return f"{name} is missing"
        if found[name]["Labels"].get(components.SPEC_LABEL) != body["Labels"][components.SPEC_LABEL]:
            return f"{name} is another one than wanted"
        if name == RECONCILE_CONTAINER:
            is_well = found[name]["Status"].startswith("Exited (0)")
        else:
            is_well = found[name]["State"] not in ("created", "exited", "dead")
        if not is_well:
            return f"{name} is {found[name]['Status']}"
    superfluous = sorted(set(found) - set(wanted))
    return f"{', '.join(superfluous)} does not belong here" if superfluous else ""
