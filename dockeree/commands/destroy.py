"""`dockeree destroy`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dockeree.commands.group import ClusterCommand
from dockeree.commands.session import Session
from dockeree.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from dockeree.config import Config
    from dockeree.context import Cluster
    from dockeree.workflows.destroy import DestroySummary, Inventory

FORMAT_VERSION = 1
EXIT_LEFTOVERS = 1


@click.command(
    cls=ClusterCommand,
    examples=[
        ("dockeree destroy", "shows what goes and what stays, then asks for the name"),
        ("dockeree destroy --confirm demo", "asks nothing"),
        ("dockeree destroy demo --region eu-west-1", "without configuration and state: by tags alone"),
        ("dockeree destroy --delete-backups --delete-images", "the buckets too, which are kept otherwise"),
        ("dockeree destroy --confirm demo -o json | jq .left", "[] when nothing is left"),
    ],
)
@click.argument("name", required=False)
@click.option("--confirm", metavar="NAME", help="The cluster's name, instead of typing it.")
@click.option("--delete-backups", is_flag=True, help="Delete the bucket of the CA backups too, with all of them.")
@click.option("--delete-images", is_flag=True, help="Delete the bucket of DTR's images too, with all of them.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json: what was removed, kept and left, on standard output.",
)
@click.pass_obj
def destroy(
    session: Session, name: str | None, confirm: str | None, delete_backups: bool, delete_images: bool, output: str
) -> int:
    """Delete the cluster and prove that nothing is left.

    Works from the tags in the account, with and without the state file, and with NAME without a configuration too.
    Ends with a search; what is still there is listed, and the exit code is then 1. Safe to repeat. The buckets of the
    CA backups and of the images are kept, with what is in them, unless told otherwise.
    """
    from dockeree.commands.common import (
        ask_for_name,
        check_confirmation,
        check_standard_output,
        opened,
        remember_duration,
    )
    from dockeree.commands.final_screens import show_destroyed, show_inventory, show_nothing_to_destroy
    from dockeree.commands.interruption import safe_interruption
    from dockeree.workflows.context import forget_contexts
    from dockeree.workflows.destroy import destroy as take_away
    from dockeree.workflows.destroy import inventory

    check_standard_output(session, output)
    session.continues = True
    config = config_to_destroy(session, name)
    check_confirmation(session, config.name, confirm)
    deletes = frozenset(kind for kind, is_meant in (("backups", delete_backups), ("images", delete_images)) if is_meant)
    with opened(session, config) as opened_cluster, opened_cluster.state.lock(session.command_line):
        cluster = replace(opened_cluster, deletes=deletes)
        found = inventory(cluster)
        if not found.removes and not found.is_claimed:
            if found.is_locked:
                take_away(cluster)  # the lock of a dead command; a living one is told from it
            cluster.state.remove()
            show_nothing_to_destroy(cluster, found)
            _print_document(output, cluster, found, None)
            return 0
        show_inventory(cluster, found)
        if confirm is None:
            ask_for_name(config.name)
        with safe_interruption(session):
            summary = take_away(cluster)
            remember_duration(session, cluster.name)
        if not summary.left:
            for context in forget_contexts(cluster):
                cluster.report.say(f"The docker context {context} is removed.")
        show_destroyed(session, cluster, summary)
        _print_document(output, cluster, found, summary)
        return EXIT_LEFTOVERS if summary.left else 0


def config_to_destroy(session: Session, name: str | None) -> Config:
    """The configuration; with `name`, a bare one where there is none, or it is of another cluster or broken.

    Raises ConfigError, and UsageError when -c and `name` contradict each other.
    """
    from dockeree.commands.common import config_location
    from dockeree.config_file import load_config

    location = config_location(session)
    if name is None:
        return load_config(location)
    if session.config_path is not None:
        config = load_config(location)
        if config.name != name:
            raise UsageError(f"{location} is of the cluster {config.name}, not of {name}", "Leave out -c, or the name.")
        return config
    if Path(location).exists():
        try:
            config = load_config(location)
        except ConfigError:
            return bare_config(name)  # a broken file must not keep a cluster from being taken away
        if config.name == name:
            return config
    return bare_config(name)


def bare_config(name: str) -> Config:
    """A configuration that holds nothing but the name. Raises UsageError when it cannot be a cluster's name."""
    from pydantic import ValidationError

    from dockeree.config import Config

    try:
        return Config(name=name, admin_cidrs=("auto",))
    except ValidationError as error:
        raise UsageError(f"{name} is no cluster's name: 2 to 12 of a-z, 0-9 and -") from error


def _print_document(output: str, cluster: Cluster, found: Inventory, summary: DestroySummary | None) -> None:
    if output != "json":
        return
    removed, left = (summary.removed, summary.left) if summary else ((), ())
    document = {
        "format_version": FORMAT_VERSION,
        "cluster": cluster.name,
        "region": cluster.aws.region,
        "removed": [{"kind": resource.kind, "id": resource.id} for resource in removed],
        "kept": list(summary.kept if summary else found.keeps),
        "left": [{"kind": resource.kind, "id": resource.id} for resource in left],
    }
    click.echo(json.dumps(document, indent=2))
