"""`dockeree status`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from dockeree.commands.durations import Duration
from dockeree.commands.group import ClusterCommand
from dockeree.commands.session import Session

if TYPE_CHECKING:
    from dockeree.context import Cluster
    from dockeree.workflows.status_document import Status

EXIT_NOT_HEALTHY = 3
WAIT_INTERVAL_SECONDS = 5.0


@click.command(
    cls=ClusterCommand,
    examples=[
        ("dockeree status", "what stands, what is broken first"),
        ("dockeree status --wait 10m", "returns as soon as the cluster is healthy"),
        ("dockeree status -o json | jq .healthy", "for programs"),
        ("dockeree status -o name", "the nodes' names, one a line"),
    ],
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "wide", "json", "name"]),
    default="table",
    show_default=True,
    help="What to print on standard output.",
)
@click.option("--wait", "wait_seconds", type=Duration(), metavar="DURATION", help="Wait so long for health: 90s, 10m.")
@click.pass_obj
def status(session: Session, output: str, wait_seconds: float | None) -> int:
    """Show the cluster as AWS and the swarm have it now.

    Exit 0: healthy. 3: not healthy. 1: it could not be told.
    """
    from dockeree.commands.common import check_standard_output, looking
    from dockeree.commands.status_screen import show_status

    check_standard_output(session, output)
    with looking(session) as cluster:
        answer = _gather(cluster, wait_seconds)
        if output == "json":
            click.echo(json.dumps(answer.to_json(), indent=2))
        else:
            show_status(answer, output, sys.stdout)
        return 0 if answer.healthy else EXIT_NOT_HEALTHY


def _gather(cluster: Cluster, wait_seconds: float | None) -> Status:
    """The cluster's status; with `wait_seconds`, as soon as it is healthy or when they have passed."""
    from dockeree.errors import TimedOut
    from dockeree.waiting import wait_until
    from dockeree.workflows.status import gather

    latest = [gather(cluster)]
    if wait_seconds is None or latest[0].healthy:
        return latest[0]
    cluster.report.say(f"waiting: {'; '.join(latest[0].problems)}")

    def probe() -> tuple[Status | None, str]:
        before, latest[0] = latest[0].problems, gather(cluster)
        if latest[0].problems and latest[0].problems != before:
            cluster.report.say(f"waiting: {'; '.join(latest[0].problems)}")
        return (latest[0] if latest[0].healthy else None), "; ".join(latest[0].problems)

    try:
        return wait_until(
            probe,
            awaited=f"{cluster.name} healthy",
            timeout_seconds=wait_seconds,
            interval_seconds=WAIT_INTERVAL_SECONDS,
            clock=cluster.clock,
        )
    except TimedOut as error:
        cluster.report.log(error.message)
        return latest[0]
