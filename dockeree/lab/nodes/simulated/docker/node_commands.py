"""`docker node …`"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dockeree.lab.nodes.simulated.answer import Answer, said
from dockeree.lab.nodes.simulated.docker.documents import node_document
from dockeree.lab.nodes.simulated.docker.flags import UsageError
from dockeree.lab.nodes.simulated.docker.output import inspected, listing
from dockeree.lab.nodes.simulated.docker.registry import DAEMON, Invocation, command
from dockeree.lab.nodes.simulated.docker.task_rows import COLUMNS, task_rows
from dockeree.lab.nodes.simulated.swarm.changes import demote, find, promote, remove_member
from dockeree.lab.nodes.simulated.swarm.errors import SwarmError
from dockeree.lab.nodes.simulated.swarm.model import Member, SwarmState
from dockeree.lab.nodes.simulated.swarm.raft import is_reachable, settle


def _find(invocation: Invocation, swarm: SwarmState, reference: str) -> Member:
    membership = invocation.membership
    if reference == "self" and membership is not None:
        reference = membership.member_id
    return find(swarm.members, "node", reference)


def each(references: list[str], act: Callable[[str], str]) -> Answer:
    """Do something for each reference; what fails is told, the others are done all the same, exit 1."""
    stdout, stderr = "", ""
    for reference in references:
        try:
            stdout += act(reference)
        except SwarmError as error:
            stderr += f"{DAEMON}{error}\n"
    return Answer(1 if stderr else 0, stdout.encode(), stderr.encode())


@command("node ls", "filter/f:list format:text quiet/q")
def _ls(invocation: Invocation) -> Answer:
    swarm, options = invocation.managed_swarm(), invocation.options
    members = [member for member in swarm.members.values() if _passes(member, options.items("filter"))]
    own_id = invocation.membership.member_id if invocation.membership else ""
    rows = [_row(swarm, member, own_id) for member in sorted(members, key=lambda member: member.hostname)]
    columns = {
        "ID": "ID",
        "HOSTNAME": "Hostname",
        "STATUS": "Status",
        "AVAILABILITY": "Availability",
        "MANAGER STATUS": "ManagerStatus",
        "ENGINE VERSION": "EngineVersion",
    }
    if not options.text("format") and not options.is_set("quiet"):
        rows = [{**row, "ID": row["ID"] + (" *" if row["Self"] else "")} for row in rows]
    return said(listing(rows, columns, template=options.text("format"), quiet=options.is_set("quiet")))


def _row(swarm: SwarmState, member: Member, own_id: str) -> dict[str, Any]:
    manager_status = ""
    if member.is_manager:
        manager_status = "Reachable" if is_reachable(swarm, member) else "Unreachable"
        manager_status = "Leader" if swarm.leader_id == member.id else manager_status
    return {
        "ID": member.id,
        "Self": member.id == own_id,
        "Hostname": member.hostname,
        "Status": member.status.title(),
        "Availability": member.availability.title(),
        "ManagerStatus": manager_status,
        "EngineVersion": member.engine_version,
        "TLSStatus": "Ready",
    }


def _passes(member: Member, filters: list[str]) -> bool:
    """Filters of one kind are alternatives, kinds add up."""
    kinds: dict[str, list[str]] = {}
    for item in filters:
        key, _, value = item.partition("=")
        kinds.setdefault(key, []).append(value)
    tests: dict[str, Callable[[str], bool]] = {
        "id": member.id.startswith,
        "name": member.hostname.startswith,
        "role": lambda value: member.role == value,
        "membership": lambda value: value == "accepted",
        "node.label": lambda value: _has_label(member, value),
        "label": lambda value: _has_label(member, value),
    }
    for key, values in kinds.items():
        if key not in tests:
            raise SwarmError(f"invalid filter '{key}'")
        if not any(tests[key](value) for value in values):
            return False
    return True


def _has_label(member: Member, text: str) -> bool:
    key, equals, value = text.partition("=")
    return key in member.labels and (not equals or member.labels[key] == value)


@command("node inspect", "format/f:text pretty", usage="[OPTIONS] self|NODE [NODE...]", arguments=(1, None))
def _inspect(invocation: Invocation) -> Answer:
    swarm, options = invocation.managed_swarm(), invocation.options
    documents, stderr = [], ""
    for reference in options.arguments:
        try:
            documents.append(node_document(swarm, _find(invocation, swarm, reference)))
        except SwarmError as error:
            stderr += f"{DAEMON}{error}\n"
    template = options.text("format")
    if template == "json":
        template = "{{json .}}"
    return Answer(1 if stderr else 0, inspected(documents, template).encode(), stderr.encode())


@command(
    "node update",
    "availability:text label-add:list label-rm:list role:text",
    usage="[OPTIONS] NODE",
    arguments=(1, 1),
)
def _update(invocation: Invocation) -> Answer:
    swarm, options = invocation.managed_swarm(), invocation.options
    member = _find(invocation, swarm, options.arguments[0])
    availability = options.text("availability", member.availability)
    if availability not in ("active", "pause", "drain"):
        raise SwarmError(f'rpc error: code = InvalidArgument desc = invalid availability: "{availability}"')
    role = options.text("role", member.role)
    if role not in ("worker", "manager"):
        raise SwarmError(f'invalid role: "{role}"')
    for name in options.items("label-rm"):
        if name not in member.labels:
            raise UsageError(f"key {name} doesn't exist in node's labels", 1)
        del member.labels[name]
    for label in options.items("label-add"):
        name, _, value = label.partition("=")
        member.labels[name] = value
    member.availability = availability  # type: ignore[assignment]
    if role != member.role:
        (promote if role == "manager" else demote)(swarm, member)
    swarm.touch(member)
    settle(swarm)
    return said(f"{options.arguments[0]}\n")


@command("node promote", usage="NODE [NODE...]", arguments=(1, None))
def _promote(invocation: Invocation) -> Answer:
    swarm = invocation.managed_swarm()

    def act(reference: str) -> str:
        member = _find(invocation, swarm, reference)
        if member.is_manager:
            return f"Node {reference} is already a manager.\n"
        promote(swarm, member)
        return f"Node {reference} promoted to a manager in the swarm.\n"

    return each(invocation.options.arguments, act)


@command("node demote", usage="NODE [NODE...]", arguments=(1, None))
def _demote(invocation: Invocation) -> Answer:
    swarm = invocation.managed_swarm()

    def act(reference: str) -> str:
        member = _find(invocation, swarm, reference)
        if not member.is_manager:
            return f"Node {reference} is already a worker.\n"
        demote(swarm, member)
        return f"Manager {reference} demoted in the swarm.\n"

    return each(invocation.options.arguments, act)


@command("node rm", "force/f", usage="[OPTIONS] NODE [NODE...]", arguments=(1, None))
def _rm(invocation: Invocation) -> Answer:
    swarm = invocation.managed_swarm()

    def act(reference: str) -> str:
        member = _find(invocation, swarm, reference)
        remove_member(swarm, member, force=invocation.options.is_set("force"))
        return f"{reference}\n"

    return each(invocation.options.arguments, act)


@command(
    "node ps",
    "filter/f:list format:text no-resolve no-trunc quiet/q",
    usage="[OPTIONS] [NODE...]",
    arguments=(0, None),
)
def _ps(invocation: Invocation) -> Answer:
    swarm, options = invocation.managed_swarm(), invocation.options
    references = options.arguments or ["self"]
    ids = {_find(invocation, swarm, reference).id for reference in references}
    tasks = [task for task in swarm.tasks.values() if task.member_id in ids]
    rows = task_rows(swarm, tasks, options)
    return said(listing(rows, COLUMNS, template=options.text("format"), quiet=options.is_set("quiet")))
