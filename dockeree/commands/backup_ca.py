"""`dockeree backup-ca` and its `list`, `verify` and `fetch`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dockeree.commands.group import ClusterCommand, ClusterGroup, begin
from dockeree.commands.session import Session
from dockeree.errors import UsageError

if TYPE_CHECKING:
    from dockeree.backup.encryption import Keys
    from dockeree.context import Cluster


@click.group(
    "backup-ca",
    cls=ClusterGroup,
    invoke_without_command=True,
    examples=[
        ("dockeree backup-ca", "a backup now, read back and proved"),
        ("dockeree backup-ca list", "what there is, newest first"),
        ("dockeree backup-ca verify", "open the newest; each key must fit its certificate"),
        ("dockeree backup-ca fetch ID", "writes ID.age here"),
        ("age --decrypt -i key.txt ID.age | tar tv", "opens it without dockeree"),
    ],
)
@click.pass_context
def backup_ca(context: click.Context) -> None:
    """Back up the root CAs to S3, encrypted.

    UCP's two root certificate authorities, with their keys, and the swarm's certificates: what a new cluster needs to
    be trusted by whoever trusted this one. They go from a manager to S3 through this process's memory, and to no disk
    here. They are locked in the age format: to `backup.recipients` of the configuration, else with
    DOCKEREE_BACKUP_PASSPHRASE, else with a passphrase that is asked for. The upload is read back and compared, and
    opened too where the passphrase, or a private key in the file that DOCKEREE_BACKUP_IDENTITY names, is at hand.
    """
    if context.invoked_subcommand is None:
        begin(context)
        _make(context.ensure_object(Session))


@backup_ca.command(
    "list",
    cls=ClusterCommand,
    short_help="List the backups, newest first.",
    examples=[("dockeree backup-ca list -o json | jq -r '.[0].id'", "the newest")],
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="json: a list of {id, created_at, size_bytes, fingerprints, versions, same_trust}, newest first.",
)
@click.pass_obj
def list_command(session: Session, output: str) -> None:
    """List the backups, newest first.

    TRUST says whether a backup's root CAs are those that the cluster has now; `-` (null) where no cluster answers.
    """
    from dockeree.commands.backup_screens import show_listing
    from dockeree.commands.common import check_standard_output, looking
    from dockeree.workflows.backup_ca import list_backups

    check_standard_output(session, output)
    with looking(session) as cluster:
        listing = list_backups(cluster)
        if output == "json":
            click.echo(json.dumps([entry.to_json() for entry in listing.entries], indent=2))
        show_listing(cluster, listing, sys.stdout if output == "table" else None)


@backup_ca.command(
    "verify",
    cls=ClusterCommand,
    short_help="Open a backup and compare its parts.",
    examples=[
        ("dockeree backup-ca verify", "the newest"),
        ("DOCKEREE_BACKUP_IDENTITY=key.txt dockeree backup-ca verify ID", "with a recipient's private key"),
    ],
)
@click.argument("backup_id", metavar="[ID]", required=False)
@click.pass_obj
def verify_command(session: Session, backup_id: str | None) -> None:
    """Verify a backup: download it, open it, and compare every part with every other.

    Its SHA-256, its manifest, and that each key fits its certificate. It is opened with DOCKEREE_BACKUP_PASSPHRASE (or
    a passphrase that is asked for) or the private key in the file that DOCKEREE_BACKUP_IDENTITY names.
    """
    from dockeree.commands.backup_screens import show_verified
    from dockeree.commands.common import looking
    from dockeree.workflows.backup_ca import find, verify

    with looking(session) as cluster:
        found = find(cluster, backup_id)
        show_verified(verify(found, _keys_to_open(session, cluster, found.locked)))


@backup_ca.command(
    "fetch",
    cls=ClusterCommand,
    short_help="Write ID.age into the current folder.",
    examples=[("dockeree backup-ca fetch ID && age -d -i key.txt ID.age | tar tv", "")],
)
@click.argument("backup_id", metavar="ID")
@click.pass_obj
def fetch_command(session: Session, backup_id: str) -> None:
    """Fetch a backup: write ID.age, locked as it is, into the current folder.

    Whole or not at all, for you alone (0600), and never over a file that is there. Its path is printed.
    """
    from dockeree.commands.common import looking
    from dockeree.workflows.backup_ca import fetch

    with looking(session) as cluster:
        click.echo(str(fetch(cluster, backup_id, Path.cwd()).name))


def _make(session: Session) -> None:
    from dockeree.commands.backup_screens import show_made
    from dockeree.commands.common import working
    from dockeree.workflows.backup_ca import make_backup

    session.kept_note = "no backup was made"
    with working(session) as cluster:
        keys = _keys_to_lock(session, cluster)
        show_made(session, cluster, make_backup(cluster, keys))


def _keys_to_lock(session: Session, cluster: Cluster) -> Keys:
    """What is configured or in the environment, else a passphrase typed twice. Raises UsageError, BackupError."""
    from dockeree.backup.encryption import SET_ONE
    from dockeree.steps.root_ca import keys_of

    keys = keys_of(cluster)
    if keys.can_lock or not cluster.config.ucp.enabled:
        return keys
    _check_somebody_can_be_asked(session, SET_ONE)
    return _with_passphrase(keys, "Passphrase for the backup", confirmation_prompt="The same again")


def _keys_to_open(session: Session, cluster: Cluster, locked: bytes) -> Keys:
    from dockeree.backup.encryption import PASSPHRASE_VARIABLE, has_passphrase
    from dockeree.steps.root_ca import keys_of

    keys = keys_of(cluster)
    if keys.can_open(locked) or not has_passphrase(locked):
        return keys
    _check_somebody_can_be_asked(session, f"Set {PASSPHRASE_VARIABLE}.")
    return _with_passphrase(keys, "Passphrase of the backup")


def _check_somebody_can_be_asked(session: Session, hint: str) -> None:
    if session.no_input or not sys.stdin.isatty():
        raise UsageError("a passphrase is needed, and nobody can be asked here", hint)


def _with_passphrase(keys: Keys, question: str, **settings: Any) -> Keys:
    from dataclasses import replace

    from dockeree.backup.encryption import check_passphrase
    from dockeree.redaction import register_secret

    passphrase: str = click.prompt(question, hide_input=True, err=True, **settings)
    register_secret(passphrase)
    if settings:
        check_passphrase(passphrase, "the passphrase")
    return replace(keys, passphrase=passphrase)
