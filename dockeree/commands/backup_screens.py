"""What `backup-ca` says: what was made, what there is, and what holds."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from dockeree.console import Screen

if TYPE_CHECKING:
    from dockeree.commands.session import Session
    from dockeree.context import Cluster
    from dockeree.steps.root_ca import Backup
    from dockeree.workflows.backup_ca import Entry, Listing, Verification

TRUST = {True: "same", False: "other", None: "-"}
SHORT_FINGERPRINT = 16


def show_made(session: Session, cluster: Cluster, made: Backup) -> None:
    """After a backup: its id, how it was proved, and how to open it."""
    screen = Screen(sys.stderr)
    record = made.record
    proof = "read back, opened and compared" if made.is_opened else "read back, its SHA-256 compared"
    screen.succeed(f"backup {record.id} of {cluster.name}: {proof}")
    fields = [("Roots", "\n".join(_roots(made)))]
    if not made.is_opened:
        fields.append(("Prove", f"DOCKEREE_BACKUP_IDENTITY=KEY {session.next_command('backup-ca verify')}"))
    fields.append(("Fetch", session.next_command(f"backup-ca fetch {record.id}")))
    screen.fields(fields)


def show_listing(cluster: Cluster, listing: Listing, stream: TextIO | None) -> None:
    """The table on `stream`, and what is to be said beside it on standard error."""
    beside = Screen(sys.stderr)
    if stream is not None and listing.entries:
        header = ["ID", "CREATED", "SIZE", "UCP", "CLUSTER ROOT", "TRUST"]
        Screen(stream).table(header, [_row(entry) for entry in listing.entries], _style)
    if not listing.entries:
        beside.line(f"there are no backups of {cluster.name} in {listing.bucket}")
    for backup_id in listing.catalogue.unfinished:
        _warn(beside, f"{backup_id} is half an upload, and no backup: its record was never written")
    for backup_id, reason in listing.catalogue.unreadable:
        _warn(beside, f"{backup_id} cannot be read: {reason}")
    if listing.silence:
        _warn(beside, f"whether the cluster has the same roots is not known: {listing.silence}")


def show_verified(verification: Verification) -> None:
    """What holds, a line a certificate."""
    screen = Screen(sys.stderr)
    record = verification.record
    screen.succeed(f"backup {record.id} is whole, and each key fits its certificate")
    for certificate in record.manifest.certificates:
        screen.line(f"  {certificate.subject}  until {certificate.not_after[:10]}  {certificate.fingerprint_sha256}")
    if not verification.signs_nodes:
        _warn(screen, "its cluster root did not sign the node's certificate in it: take another backup")


def _roots(made: Backup) -> list[str]:
    return [f"{name} {fingerprint}" for name, fingerprint in made.record.manifest.fingerprints.items()]


def _row(entry: Entry) -> list[str]:
    manifest = entry.record.manifest
    root = next(iter(manifest.fingerprints.values()), "-")
    return [
        manifest.id,
        manifest.created_at,
        f"{entry.record.size_bytes / 1024:.1f} KiB",
        manifest.versions.ucp or "-",
        root[:SHORT_FINGERPRINT],
        TRUST[entry.same_trust],
    ]


def _style(cell: str) -> str:
    return "done" if cell == TRUST[True] else "warning" if cell == TRUST[False] else "plain"


def _warn(screen: Screen, text: str) -> None:
    screen.line((screen.symbols.warning, "warning"), f" {text}")
