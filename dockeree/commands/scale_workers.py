"""`dockeree scale-workers`."""

from __future__ import annotations

import click

from dockeree.commands.durations import Duration
from dockeree.commands.group import ClusterCommand
from dockeree.commands.session import Session


@click.command(
    "scale-workers",
    cls=ClusterCommand,
    examples=[
        ("dockeree scale-workers 5", "returns when exactly five are Ready"),
        ("dockeree scale-workers 2", "drains the others first, then terminates them"),
    ],
)
@click.argument("count", type=click.IntRange(0, 1000))
@click.option(
    "--drain-timeout",
    "drain_seconds",
    type=Duration(),
    metavar="DURATION",
    help="How long tasks of workers that go may take to end: 90s, 10m.",
)
@click.option("--leave-tasks", is_flag=True, help="Terminate workers whose tasks have not ended by then all the same.")
@click.pass_obj
def scale_workers(session: Session, count: int, drain_seconds: float | None, leave_tasks: bool) -> None:
    """Change the number of workers to COUNT.

    On the way up, new workers join by themselves; on the way down, workers are chosen, drained, terminated and taken
    out of the swarm, so that none is left Down. COUNT must lie between workers.min and workers.max.
    """
    from dockeree.commands.common import working
    from dockeree.commands.final_screens import show_scaled
    from dockeree.steps.worker_departures import DRAIN_SECONDS
    from dockeree.workflows.scale_workers import scale_workers as scale

    seconds = DRAIN_SECONDS if drain_seconds is None else drain_seconds
    with working(session) as cluster:
        summary = scale(cluster, count, drain_seconds=seconds, leave_tasks=leave_tasks)
        show_scaled(session, cluster, summary)
