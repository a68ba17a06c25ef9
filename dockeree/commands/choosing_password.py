"""UCP's password asked for, before `up` makes a cluster that has none yet."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from dockeree.console import Screen

if TYPE_CHECKING:
    from dockeree.commands.session import Session
    from dockeree.context import Cluster

QUESTION = "Password for UCP's administrator (at least 8 characters; Enter alone has one made)"


def with_chosen_password(session: Session, cluster: Cluster) -> Cluster:
    """The cluster with the password that is typed; as it is where none is needed, or nobody can be asked.

    In the lab nobody is asked: a password of a cluster that nobody else reaches need not be remembered.
    """
    from dockeree.redaction import register_secret
    from dockeree.secrets import password_problem
    from dockeree.workflows.passwords import needs_password

    if session.no_input or session.in_lab or not sys.stdin.isatty() or not needs_password(cluster):
        return cluster
    screen = Screen(sys.stderr)
    while True:
        typed: str = click.prompt(QUESTION, hide_input=True, default="", show_default=False, err=True)
        if not typed:
            screen.line("One will be made; `dockeree password ucp` shows it.")
            return cluster
        register_secret(typed)
        if problem := password_problem(typed):
            screen.line(problem)
        elif click.prompt("The same again", hide_input=True, default="", show_default=False, err=True) != typed:
            screen.line("They differ.")
        else:
            return replace(cluster, chosen_password=typed)
