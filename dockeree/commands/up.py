"""`dockeree up`."""

from __future__ import annotations

import click

from dockeree.commands.group import ClusterCommand
from dockeree.commands.session import Session


@click.command(
    cls=ClusterCommand,
    examples=[
        ("dockeree up", "as config.yaml in this folder says"),
        ("dockeree up -c staging.yaml", "as another file says"),
        ("dockeree --lab up", "on this machine, without an account"),
        ("dockeree up --progress plain | tee up.txt", "a line an event"),
    ],
)
@click.pass_obj
def up(session: Session) -> None:
    """Create the cluster, or finish and mend it.

    Safe to repeat: what is there stays, what is missing is made, a run that was stopped goes on where it ended. When
    nothing is missing, nothing is changed.
    """
    from dockeree.commands.choosing_password import with_chosen_password
    from dockeree.commands.common import working
    from dockeree.commands.final_screens import show_up
    from dockeree.workflows.up import up as bring_up

    session.kept_note = "nothing removed"
    with working(session) as cluster:
        summary = bring_up(with_chosen_password(session, cluster))
        show_up(session, cluster, summary)
