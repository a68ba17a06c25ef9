"""Tasks as `docker service ps` and `docker node ps` list them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dockeree.lab.nodes.simulated.docker.flags import Options
from dockeree.lab.nodes.simulated.pace import go_duration, utc_now
from dockeree.lab.nodes.simulated.swarm.errors import SwarmError
from dockeree.lab.nodes.simulated.swarm.model import SwarmState, Task

COLUMNS = {
    "ID": "ID",
    "NAME": "Name",
    "IMAGE": "Image",
    "NODE": "Node",
    "DESIRED STATE": "DesiredState",
    "CURRENT STATE": "CurrentState",
    "ERROR": "Error",
    "PORTS": "Ports",
}


def task_name(swarm: SwarmState, task: Task) -> str:
    """`web.1`, or `web.NODE-ID` for a task of a global service."""
    service = swarm.services.get(task.service_id)
    return f"{service.name if service else task.service_id}.{task.slot or task.member_id}"


def task_rows(swarm: SwarmState, tasks: Iterable[Task], options: Options) -> list[dict[str, Any]]:
    """Rows, the newest task of each slot first, its predecessors below it."""
    tasks = [task for task in tasks if _passes(swarm, task, options.items("filter"))]
    ordered = sorted(tasks, key=lambda task: task.created_at, reverse=True)
    ordered.sort(key=lambda task: task_name(swarm, task))
    rows: list[dict[str, Any]] = []
    previous = ""
    for task in ordered:
        name = task_name(swarm, task)
        is_table = not options.text("format") and not options.is_set("quiet")
        rows.append(_row(swarm, task, f" \\_ {name}" if is_table and name == previous else name, options))
        previous = name
    return rows


def _row(swarm: SwarmState, task: Task, name: str, options: Options) -> dict[str, Any]:
    member = swarm.members.get(task.member_id or "")
    service = swarm.services.get(task.service_id)
    node = (member.hostname if member else "") if not options.is_set("no-resolve") else (task.member_id or "")
    is_whole = options.is_set("no-trunc")
    error = f'"{task.error}"' if task.error else ""
    ports = [
        f"*:{port.published}->{port.target}/{port.protocol}"
        for port in (service.ports if service else ())
        if port.mode == "host" and task.is_running
    ]
    return {
        "ID": task.id if is_whole else task.id[:12],
        "Name": name,
        "Image": task.image,
        "Node": node,
        "DesiredState": task.desired.title(),
        "CurrentState": f"{task.state.title()} {_ago(task)} ago",
        "Error": error if is_whole or len(error) <= 30 else f'{error[:29]}…"',
        "Ports": ",".join(ports),
    }


def _ago(task: Task) -> str:
    age = go_duration(utc_now() - task.state_at)
    return age[0].lower() + age[1:]


def _passes(swarm: SwarmState, task: Task, filters: list[str]) -> bool:
    member = swarm.members.get(task.member_id or "")
    for item in filters:
        key, _, value = item.partition("=")
        if key == "desired-state":
            passes = task.desired == value
        elif key == "node":
            passes = member is not None and value in (member.id, member.hostname)
        elif key == "name":
            passes = task_name(swarm, task).startswith(value)
        elif key == "id":
            passes = task.id.startswith(value)
        else:
            raise SwarmError(f"invalid filter '{key}'")
        if not passes:
            return False
    return True
