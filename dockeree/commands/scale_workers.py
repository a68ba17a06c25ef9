"""`dockeree scale-workers`."""

from __future__ import annotations

import click

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
@click.pass_obj
def scale_workers(session: Session, count: int) -> None:
    """Change the number of workers to COUNT.

    On the way up, new workers join by themselves; on the way down, workers are chosen, drained, terminated and taken
    out of the swarm, so that none is left Down. COUNT must lie between workers.min and workers.max.
    """
    from dockeree.commands.common import working
    from dockeree.commands.final_screens import show_scaled
    from dockeree.workflows.scale_workers import scale_workers as scale

    with working(session) as cluster:
        summary = scale(cluster, count)
        show_scaled(session, cluster, count, summary)
