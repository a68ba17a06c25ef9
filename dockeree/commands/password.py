"""`dockeree password`."""

from __future__ import annotations

import click

from dockeree.commands.group import ClusterCommand
from dockeree.commands.session import Session


@click.command(
    cls=ClusterCommand,
    examples=[
        ("dockeree password ucp", "printed alone, for you to read"),
        ("dockeree password ucp | wl-copy", "without anybody reading it"),
    ],
)
@click.argument("whose", type=click.Choice(["ucp"]), metavar="ucp")
@click.pass_obj
def password(session: Session, whose: str) -> None:  # noqa: ARG001 - there is one password so far
    """Print the password of UCP's administrator, admin.

    It is kept in the account as a SecureString that no node can read. Nothing else ever shows it.
    """
    from dockeree.commands.common import looking
    from dockeree.workflows.passwords import ucp_password

    with looking(session) as cluster:
        click.echo(ucp_password(cluster))
