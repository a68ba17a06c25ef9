"""`docker service …`"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from dockeree.lab.nodes.simulated import catalogue
from dockeree.lab.nodes.simulated.answer import Answer, said
from dockeree.lab.nodes.simulated.docker.documents import service_document
from dockeree.lab.nodes.simulated.docker.flags import Options, UsageError
from dockeree.lab.nodes.simulated.docker.node_commands import each
from dockeree.lab.nodes.simulated.docker.output import inspected, listing
from dockeree.lab.nodes.simulated.docker.ports import parse_publish
from dockeree.lab.nodes.simulated.docker.registry import DAEMON, Invocation, command
from dockeree.lab.nodes.simulated.docker.task_rows import COLUMNS, task_rows
from dockeree.lab.nodes.simulated.pace import TASK_START_SECONDS
from dockeree.lab.nodes.simulated.swarm.changes import add_service, check_ports, find, remove_service
from dockeree.lab.nodes.simulated.swarm.errors import SwarmError, not_found, rpc
from dockeree.lab.nodes.simulated.swarm.identity import new_id
from dockeree.lab.nodes.simulated.swarm.model import PublishedPort, Service, SwarmState
from dockeree.lab.nodes.simulated.swarm.raft import settle
from dockeree.lab.nodes.simulated.swarm.scheduler import CONSTRAINT

NAME = re.compile(r"[a-zA-Z0-9]+(?:[a-zA-Z0-9-_]*?[a-zA-Z0-9]+)?")
CREATE_FLAGS = (
    "constraint:list container-label:list detach/d endpoint-mode:text entrypoint:text env/e:list health-cmd:text "
    "hostname:text label/l:list limit-cpu:text limit-memory:text mode:text mount:list name:text network:list "
    "no-resolve-image publish/p:list quiet/q replicas:number reserve-cpu:text reserve-memory:text "
    "restart-condition:text stop-grace-period:text update-delay:text update-order:text update-parallelism:number "
    "user/u:text with-registry-auth"
)
UPDATE_FLAGS = (
    "args:text constraint-add:list constraint-rm:list detach/d env-add:list env-rm:list force image:text "
    "label-add:list label-rm:list no-resolve-image publish-add:list publish-rm:list quiet/q replicas:number "
    "update-delay:text update-order:text update-parallelism:number with-registry-auth"
)
FIRST_INGRESS_PORT = 30000


@command(
    "service create",
    CREATE_FLAGS,
    usage="[OPTIONS] IMAGE [COMMAND] [ARG...]",
    arguments=(1, None),
    is_slow=True,
    interspersed=False,
)
def _create(invocation: Invocation) -> Answer:
    with invocation.machine.site.lock:
        swarm, options = invocation.managed_swarm(), invocation.options
        service = _service_of(swarm, options)
        check_image(service.image)
        add_service(swarm, service)
    return _converge(invocation, swarm, service)


def _service_of(swarm: SwarmState, options: Options) -> Service:
    mode = options.text("mode", "replicated")
    if mode not in ("replicated", "global"):
        raise UsageError(f"Unknown mode: {mode}, only replicated and global supported", 1)
    if mode == "global" and "replicas" in options.values:
        raise UsageError("replicas can only be used with replicated or replicated-job mode", 1)
    name = options.text("name") or f"service_{new_id()[:8]}"
    if not NAME.fullmatch(name):
        raise rpc("InvalidArgument", f"name must be valid as a DNS name component, found: {name!r}")
    _check_constraints(options.items("constraint"))
    ports = tuple(port for text in options.items("publish") for port in parse_publish(text))
    return Service(
        id=new_id(),
        name=name,
        image=_tagged(options.arguments[0]),
        replicas=None if mode == "global" else options.number("replicas", 1),
        constraints=tuple(options.items("constraint")),
        ports=_with_chosen_ports(swarm, ports),
        labels=dict(_pair(label) for label in options.items("label")),
        networks=tuple(find(swarm.networks, "network", name).id for name in options.items("network")),
        environment=tuple(options.items("env")),
        arguments=tuple(options.arguments[1:]),
    )


def _check_constraints(constraints: list[str]) -> None:
    for constraint in constraints:
        if CONSTRAINT.fullmatch(constraint) is None:
            raise rpc("InvalidArgument", f"constraint expected one operator from ==, !=: {constraint}")


def _with_chosen_ports(swarm: SwarmState, ports: tuple[PublishedPort, ...]) -> tuple[PublishedPort, ...]:
    taken = {port.published for service in swarm.services.values() for port in service.ports}
    chosen = []
    for port in ports:
        if port.published == 0 and port.mode == "ingress":
            published = next(number for number in range(FIRST_INGRESS_PORT, 32768) if number not in taken)
            taken.add(published)
            port = replace(port, published=published)
        chosen.append(port)
    return tuple(chosen)


def check_image(reference: str) -> None:
    """Refuse an image that the simulated registry does not hold, as Docker Hub does. Raises SwarmError."""
    parsed = catalogue.parse(reference)
    if parsed is None:
        raise SwarmError("invalid reference format")
    if not catalogue.exists(parsed[0]):
        raise SwarmError(
            f"pull access denied for {parsed[0]}, repository does not exist or may require 'docker login': denied: "
            "requested access to the resource is denied"
        )


def _tagged(reference: str) -> str:
    last = reference.rpartition("/")[2]
    return reference if ":" in last or "@" in last else f"{reference}:latest"


def _pair(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key, value


def _converge(invocation: Invocation, swarm: SwarmState, service: Service) -> Answer:
    """Without --detach the client waits until every task runs: for ever on a real node, for a while here."""
    machine = invocation.machine
    if invocation.options.is_set("detach"):
        return said(f"{service.id}\n")
    patience = 30 * TASK_START_SECONDS
    while patience > 0 and machine.pause(0.5):
        patience -= 0.5
        with machine.site.lock:
            settle(swarm)
            wanted = [task for task in swarm.tasks.values() if task.service_id == service.id and task.is_wanted]
            if all(task.is_running for task in wanted) and len(wanted) >= (service.replicas or 0):
                progress = f"overall progress: {len(wanted)} out of {len(wanted)} tasks\n"
                verify = f"verify: Service {service.id} converged\n"
                return said(f"{service.id}\n" + ("" if invocation.options.is_set("quiet") else progress + verify))
    return Answer(1, f"{service.id}\n".encode(), b"context canceled\n")


@command("service ls", "filter/f:list format:text quiet/q")
def _ls(invocation: Invocation) -> Answer:
    swarm, options = invocation.managed_swarm(), invocation.options
    services = [service for service in swarm.services.values() if _passes(service, options.items("filter"))]
    rows = [_row(swarm, service) for service in sorted(services, key=lambda service: service.name)]
    columns = {"ID": "ID", "NAME": "Name", "MODE": "Mode", "REPLICAS": "Replicas", "IMAGE": "Image", "PORTS": "Ports"}
    return said(listing(rows, columns, template=options.text("format"), quiet=options.is_set("quiet")))


def _passes(service: Service, filters: list[str]) -> bool:
    for item in filters:
        key, _, value = item.partition("=")
        label, equals, wanted = value.partition("=")
        tests = {
            "id": service.id.startswith(value),
            "name": service.name.startswith(value),
            "mode": value == ("global" if service.is_global else "replicated"),
            "label": label in service.labels and (not equals or service.labels[label] == wanted),
        }
        if key not in tests:
            raise SwarmError(f"invalid filter '{key}'")
        if not tests[key]:
            return False
    return True


def _row(swarm: SwarmState, service: Service) -> dict[str, Any]:
    wanted = [task for task in swarm.tasks.values() if task.service_id == service.id and task.is_wanted]
    running = sum(task.is_running for task in wanted)
    total = len(wanted) if service.replicas is None else service.replicas
    ports = [f"*:{port.published}->{port.target}/{port.protocol}" for port in service.ports if port.mode == "ingress"]
    return {
        "ID": service.id[:12],
        "Name": service.name,
        "Mode": "global" if service.is_global else "replicated",
        "Replicas": f"{running}/{total}",
        "Image": service.image,
        "Ports": ", ".join(ports),
    }


@command(
    "service ps",
    "filter/f:list format:text no-resolve no-trunc quiet/q",
    usage="[OPTIONS] SERVICE [SERVICE...]",
    arguments=(1, None),
)
def _ps(invocation: Invocation) -> Answer:
    swarm, options = invocation.managed_swarm(), invocation.options
    ids, missing = set(), []
    for reference in options.arguments:
        try:
            ids.add(find(swarm.services, "service", reference).id)
        except SwarmError:
            missing.append(f"no such service: {reference}")
    if not ids:
        raise UsageError("\n".join(missing), 1)
    rows = task_rows(swarm, [task for task in swarm.tasks.values() if task.service_id in ids], options)
    text = listing(rows, COLUMNS, template=options.text("format"), quiet=options.is_set("quiet"))
    return Answer(1 if missing else 0, text.encode(), "".join(f"{line}\n" for line in missing).encode())


@command("service inspect", "format/f:text pretty", usage="[OPTIONS] SERVICE [SERVICE...]", arguments=(1, None))
def _inspect(invocation: Invocation) -> Answer:
    swarm, options = invocation.managed_swarm(), invocation.options
    documents, stderr = [], ""
    for reference in options.arguments:
        try:
            documents.append(service_document(find(swarm.services, "service", reference)))
        except SwarmError:
            stderr += f"{DAEMON}service {reference} not found\n"
    return Answer(1 if stderr else 0, inspected(documents, options.text("format")).encode(), stderr.encode())


@command("service rm", usage="SERVICE [SERVICE...]", arguments=(1, None))
def _rm(invocation: Invocation) -> Answer:
    swarm = invocation.managed_swarm()

    def act(reference: str) -> str:
        remove_service(swarm, find(swarm.services, "service", reference))
        return f"{reference}\n"

    return each(invocation.options.arguments, act)


@command("service scale", "detach/d", usage="SERVICE=REPLICAS [SERVICE=REPLICAS...]", arguments=(1, None), is_slow=True)
def _scale(invocation: Invocation) -> Answer:
    text = ""
    for argument in invocation.options.arguments:
        name, _, count = argument.partition("=")
        if not count.isdigit():
            raise UsageError(
                f"invalid scale specifier '{argument}'.\nSee 'docker service scale --help'.\n\n"
                "Usage:  docker service scale SERVICE=REPLICAS [SERVICE=REPLICAS...]",
                1,
            )
        with invocation.machine.site.lock:
            swarm = invocation.managed_swarm()
            service = find(swarm.services, "service", name)
            if service.is_global:
                raise UsageError(f"{name}: scale can only be used with replicated or replicated-job mode", 1)
            service.replicas = int(count)
            swarm.touch(service)
            settle(swarm)
        text += f"{name} scaled to {count}\n"
        if not invocation.options.is_set("detach"):
            _converge(invocation, swarm, service)
    return said(text)


@command("service update", UPDATE_FLAGS, usage="[OPTIONS] SERVICE", arguments=(1, 1), is_slow=True)
def _update(invocation: Invocation) -> Answer:
    with invocation.machine.site.lock:
        swarm, options = invocation.managed_swarm(), invocation.options
        service = find(swarm.services, "service", options.arguments[0])
        changed = _changed(swarm, service, options)
        check_image(changed.image)
        check_ports(swarm, changed)
        swarm.services[service.id] = changed
        swarm.touch(changed)
        settle(swarm)
    answer = _converge(invocation, swarm, changed)
    name = options.arguments[0].encode()
    return replace(answer, stdout=answer.stdout.replace(changed.id.encode(), name, 1))


def _changed(swarm: SwarmState, service: Service, options: Options) -> Service:
    if "replicas" in options.values and service.is_global:
        raise UsageError("replicas can only be used with replicated or replicated-job mode", 1)
    _check_constraints(options.items("constraint-add"))
    gone = {int(text.split(":")[-1].split("/")[0]) for text in options.items("publish-rm")}
    missing = [number for number in gone if number not in {port.target for port in service.ports}]
    if missing:
        raise not_found("published port", str(missing[0]))
    added = tuple(port for text in options.items("publish-add") for port in parse_publish(text))
    labels = {key: value for key, value in service.labels.items() if key not in options.items("label-rm")}
    environment = [item for item in service.environment if item.partition("=")[0] not in options.items("env-rm")]
    kept = [item for item in service.constraints if item not in options.items("constraint-rm")]
    changed = replace(
        service,
        image=_tagged(options.text("image", service.image)),
        replicas=options.number("replicas", service.replicas) if service.replicas is not None else None,
        constraints=(*kept, *options.items("constraint-add")),
        ports=_with_chosen_ports(swarm, (*(p for p in service.ports if p.target not in gone), *added)),
        labels={**labels, **dict(_pair(label) for label in options.items("label-add"))},
        environment=(*environment, *options.items("env-add")),
    )
    parts = ("image", "ports", "environment", "constraints")
    if options.is_set("force") or any(getattr(changed, part) != getattr(service, part) for part in parts):
        changed.generation += 1
    return changed
