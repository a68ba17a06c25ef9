"""`dockeree context`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from dockeree.commands.group import ClusterCommand
from dockeree.commands.session import Session
from dockeree.console import Screen


@click.command(
    cls=ClusterCommand,
    examples=[
        ("dockeree context", "a docker context called as the cluster"),
        ("docker --context demo node ls", "through UCP's balancer, as its administrator"),
        ("dockeree context --name staging", "under another name"),
    ],
)
@click.option("--name", metavar="NAME", help="The context's name.  [default: the cluster's]")
@click.pass_obj
def context(session: Session, name: str | None) -> None:
    """Make a docker context of this machine that goes through UCP.

    UCP makes a client certificate of its administrator's for it, anew each time. Where there is no docker client, the
    context is written to a file, for `docker context import` elsewhere. `dockeree destroy` removes it.
    """
    from dockeree.commands.common import looking
    from dockeree.workflows.context import make_context

    with looking(session) as cluster:
        made = make_context(cluster, name or cluster.name, Path.cwd())
    screen = Screen(sys.stderr)
    if made.file is None:
        screen.succeed(f"docker context {made.name} goes to {made.host}")
        screen.fields([("Next", f"docker --context {shlex.quote(made.name)} node ls")])
    else:
        screen.succeed(f"{made.file} is written, as there is no docker client here; it holds a private key")
        screen.fields([("Next", shlex.join(["docker", "context", "import", made.name, made.file.name]))])
