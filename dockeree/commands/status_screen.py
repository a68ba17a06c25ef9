"""How `status` looks to people: the verdict, what is broken first, then a line a node and a line a balancer."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from dockeree.console import Screen

if TYPE_CHECKING:
    from dockeree.workflows.status_document import ManagerStatus, Status, SwarmMember, WorkerStatus

GOOD = frozenset({"leader", "ready", "healthy"})
BAD = frozenset({"unhealthy", "down", "missing", "unreachable", "unknown", "drain", "pause", "disconnected"})


def show_status(status: Status, output: str, stream: TextIO) -> None:
    """Print `status` as `table`, `wide` (with addresses and ids) or `name` (the nodes' names alone)."""
    if output == "name":
        names = [manager.name for manager in status.managers] + [worker.name for worker in status.workers]
        stream.writelines(f"{name}\n" for name in names)
        return
    screen = Screen(stream)
    _show_verdict(screen, status)
    nodes: list[ManagerStatus | WorkerStatus] = [*status.managers, *status.workers]
    nodes.sort(key=lambda node: node.is_healthy)
    if nodes:
        screen.line()
        header, rows = _node_table(nodes, is_wide=output == "wide")
        screen.table(header, rows, _style)
    if status.load_balancers:
        screen.line()
        rows = [[b.name, f"{b.healthy}/{b.total}", b.url] for b in status.load_balancers]
        screen.table(["BALANCER", "HEALTHY", "URL"], rows, lambda cell: "plain")
    _show_backup(screen, status)


def _show_verdict(screen: Screen, status: Status) -> None:
    counts = f"{len(status.managers)} managers, {len(status.workers)} workers, {status.region}"
    if status.healthy:
        screen.succeed(f"{status.cluster} is healthy: {counts}")
        return
    first, *others = status.problems
    stands = bool(status.managers or status.workers or status.load_balancers)
    screen.fail(f"{status.cluster} DEGRADED: {first}" if stands else first)
    for problem in others:
        screen.line(f"  {problem}")


def _show_backup(screen: Screen, status: Status) -> None:
    latest = status.latest_backup
    if latest is not None:
        trust = {True: "the root CAs of now", False: "other root CAs than now", None: "root CAs not compared"}
        screen.line()
        screen.line(f"CA backup {latest.id}: {trust[latest.same_trust]}")
    for warning in status.warnings:
        screen.line((screen.symbols.warning, "warning"), f" {warning}")


def _node_table(nodes: list[ManagerStatus | WorkerStatus], *, is_wide: bool) -> tuple[list[str], list[list[str]]]:
    header = ["NODE", "ZONE", "SWARM"]
    rows = [[node.name, node.availability_zone, _swarm_word(node.swarm)] for node in nodes]
    for title, key in (("UCP", "ucp"), ("DTR", "dtr")):
        parts = [getattr(node, key, None) for node in nodes]
        if any(parts):
            header.append(title)
            for row, part in zip(rows, parts, strict=True):
                row.append("-" if part is None else "healthy" if part.healthy else "unhealthy")
    if is_wide:
        header += ["AVAILABILITY", "INSTANCE", "PRIVATE IP", "PUBLIC IP"]
        for row, node in zip(rows, nodes, strict=True):
            public = getattr(node, "public_ip", None)
            row += [node.swarm.availability, node.instance_id, node.private_ip or "-", public or "-"]
    return header, rows


def _swarm_word(member: SwarmMember) -> str:
    """One word: what keeps the node from work, or that it leads, or that it is ready."""
    if member.state == "ready" and member.availability not in ("active", "-"):
        return member.availability
    return "leader" if member.leader and member.state == "ready" else member.state


def _style(cell: str) -> str:
    return "done" if cell in GOOD else "failed" if cell in BAD else "plain"
