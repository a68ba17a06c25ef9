"""Tasks: where they run, when they move."""

from __future__ import annotations

import re

from dockeree.lab.nodes.simulated.pace import TASK_START_SECONDS, TASK_STOP_SECONDS
from dockeree.lab.nodes.simulated.swarm.identity import new_id
from dockeree.lab.nodes.simulated.swarm.model import Member, Service, SwarmState, Task

ENDED = ("shutdown", "failed", "rejected", "complete", "orphaned")
CONSTRAINT = re.compile(r"\s*([a-z_.A-Z0-9-]+)\s*(==|!=)\s*(.+?)\s*")


def let_time_pass(swarm: SwarmState, now: float) -> None:
    """Let tasks reach the state that they were told to reach, on nodes whose engines run."""
    for task in swarm.tasks.values():
        member = swarm.members.get(task.member_id or "")
        if task.state in ENDED or member is None or now < task.due_at:
            continue
        if not swarm.fabric.engine_runs(member.instance_id):
            continue
        if task.desired == "running" and task.state == "preparing":
            task.move("running")
        elif task.desired == "shutdown":
            task.move("shutdown")


def reconcile(swarm: SwarmState, now: float) -> None:
    """Stop what shall not run, start what is missing; the leader does this at every change."""
    for task in [task for task in swarm.tasks.values() if task.is_wanted]:
        if not _may_go_on(swarm, task):
            stop(swarm, task, now)
    for service in swarm.services.values():
        _fill_global(swarm, service, now) if service.is_global else _fill_replicated(swarm, service, now)
    _forget_old(swarm)


def _may_go_on(swarm: SwarmState, task: Task) -> bool:
    service = swarm.services.get(task.service_id)
    if service is None or task.generation != service.generation:
        return False
    if task.member_id is None:
        return True
    member = swarm.members.get(task.member_id)
    if member is None or member.availability == "drain" or member.status == "down":
        return False
    return fits(service, member)


def stop(swarm: SwarmState, task: Task, now: float) -> None:
    """Tell a task to end. One whose node is gone is orphaned in time; here it stays as it was last seen."""
    task.desired = "shutdown"
    task.due_at = now + swarm.fabric.pace.scaled(TASK_STOP_SECONDS)
    if task.member_id is None or task.member_id not in swarm.members:
        task.move("orphaned")


def fits(service: Service, member: Member) -> bool:
    """Whether every placement constraint of the service holds on the node."""
    facts = {
        "node.id": member.id,
        "node.hostname": member.hostname,
        "node.role": member.role,
        "node.platform.os": "linux",
        "node.platform.arch": "x86_64",
        **{f"node.labels.{key}": value for key, value in member.labels.items()},
    }
    for constraint in service.constraints:
        match = CONSTRAINT.fullmatch(constraint)
        if match is None:
            return False
        equal = facts.get(match[1], "").lower() == match[3].lower()
        if equal != (match[2] == "=="):
            return False
    return True


def _is_eligible(service: Service, member: Member) -> bool:
    return member.status == "ready" and member.availability == "active" and fits(service, member)


def _host_ports_are_free(swarm: SwarmState, service: Service, member: Member) -> bool:
    wanted = {(port.published, port.protocol) for port in service.ports if port.mode == "host"}
    if not wanted:
        return True
    for task in swarm.tasks.values():
        other = swarm.services.get(task.service_id)
        if task.member_id != member.id or task.state in ENDED or other is None:
            continue
        if wanted & {(port.published, port.protocol) for port in other.ports if port.mode == "host"}:
            return False
    return True


def _place(swarm: SwarmState, task: Task, member: Member | None, now: float, error: str = "") -> None:
    """Give a task a node, or the reason why none will have it."""
    task.member_id, task.error = (member.id if member else None), error
    if member is not None:
        task.due_at = now + swarm.fabric.pace.scaled(TASK_START_SECONDS)
        task.move("preparing")


def _add(swarm: SwarmState, service: Service, slot: int) -> Task:
    task = Task(
        id=new_id(),
        service_id=service.id,
        slot=slot,
        member_id=None,
        image=service.image,
        generation=service.generation,
        due_at=0.0,
        state="pending",
    )
    swarm.tasks[task.id] = task
    return task


def _fill_global(swarm: SwarmState, service: Service, now: float) -> None:
    served = {task.member_id for task in swarm.tasks.values() if task.service_id == service.id and task.is_wanted}
    for member in swarm.members.values():
        if member.id in served or not _is_eligible(service, member):
            continue
        if _host_ports_are_free(swarm, service, member):
            _place(swarm, _add(swarm, service, 0), member, now)


def _fill_replicated(swarm: SwarmState, service: Service, now: float) -> None:
    wanted = [task for task in swarm.tasks.values() if task.service_id == service.id and task.is_wanted]
    replicas = service.replicas or 0
    for task in sorted(wanted, key=lambda task: task.slot)[replicas:]:
        stop(swarm, task, now)
    taken = {task.slot for task in wanted}
    missing = [_add(swarm, service, slot) for slot in range(1, replicas + 1) if slot not in taken]
    for task in [task for task in wanted if task.is_wanted and task.member_id is None] + missing:
        _place_replica(swarm, service, task, now)


def _place_replica(swarm: SwarmState, service: Service, task: Task, now: float) -> None:
    eligible = [member for member in swarm.members.values() if _is_eligible(service, member)]
    free = [member for member in eligible if _host_ports_are_free(swarm, service, member)]
    if not free:
        reason = "host-mode port already in use" if eligible else "scheduling constraints not satisfied"
        count = len(eligible) or len(swarm.members)
        plural = "s" if count != 1 else ""
        _place(swarm, task, None, now, f"no suitable node ({reason} on {count} node{plural})")
        return

    def load(member: Member) -> tuple[int, int]:
        here = [other for other in swarm.tasks.values() if other.member_id == member.id and other.is_wanted]
        return sum(other.service_id == service.id for other in here), len(here)

    _place(swarm, task, min(free, key=load), now)


def _forget_old(swarm: SwarmState) -> None:
    """Keep the ended tasks of a slot up to the history limit, and none of a service that is gone."""
    ended: dict[tuple[str, int, str | None], list[Task]] = {}
    for task in list(swarm.tasks.values()):
        if task.service_id not in swarm.services and (task.state in ENDED or task.member_id not in swarm.members):
            del swarm.tasks[task.id]
        elif not task.is_wanted:
            ended.setdefault((task.service_id, task.slot, None if task.slot else task.member_id), []).append(task)
    for tasks in ended.values():
        for task in sorted(tasks, key=lambda task: task.created_at)[: -swarm.task_history_limit]:
            if task.state in ENDED:
                del swarm.tasks[task.id]
