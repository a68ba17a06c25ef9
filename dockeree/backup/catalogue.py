"""The backups in the bucket.

    ca/ID.age     the archive, locked
    ca/ID.json    the record: the manifest, and the archive's size and SHA-256

The record is written last: an archive without one is half an upload, and no backup. Both hold no secret in the clear.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dockeree.aws.buckets import Bucket
from dockeree.aws.objects import get_object, list_objects, put_object
from dockeree.backup.errors import BackupError, DamagedBackup
from dockeree.backup.manifest import ID_PATTERN, Manifest, check_id, from_json

if TYPE_CHECKING:
    from dockeree.aws.session import Aws

PREFIX = "ca/"
ARCHIVE_SUFFIX = ".age"
RECORD_SUFFIX = ".json"
MOST_ARCHIVE_BYTES = 16 * 1024 * 1024
MOST_RECORD_BYTES = 1024 * 1024
THREADS = 8


@dataclass(frozen=True)
class Record:
    """A whole backup: its manifest, and what its archive must be."""

    manifest: Manifest
    size_bytes: int
    sha256: str

    @property
    def id(self) -> str:
        """The backup's id."""
        return self.manifest.id

    def dump(self) -> bytes:
        """The record as an object's contents."""
        document = self.manifest.to_json() | {"archive": {"size_bytes": self.size_bytes, "sha256": self.sha256}}
        return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()


@dataclass(frozen=True)
class Catalogue:
    """Every backup, newest first, and what is none: archives without a record, and records that cannot be read."""

    records: tuple[Record, ...]
    unfinished: tuple[str, ...] = ()
    """Ids of archives whose upload was never finished."""
    unreadable: tuple[tuple[str, str], ...] = ()
    """Ids of records that cannot be read, and why."""


def archive_key(backup_id: str) -> str:
    """Where a backup's archive lies."""
    return f"{PREFIX}{backup_id}{ARCHIVE_SUFFIX}"


def record_key(backup_id: str) -> str:
    """Where a backup's record lies."""
    return f"{PREFIX}{backup_id}{RECORD_SUFFIX}"


def store_archive(aws: Aws, bucket: Bucket, manifest: Manifest, archive: bytes) -> tuple[Record, bytes]:
    """Upload an archive and read it back: the record that `store_record` makes a backup of it, and what came back.

    Raises AwsError; DamagedBackup when what came back is something else.
    """
    record = Record(manifest, len(archive), hashlib.sha256(archive).hexdigest())
    put_object(aws, bucket, archive_key(record.id), archive, "application/octet-stream")
    return record, read_archive(aws, bucket, record)


def store_record(aws: Aws, bucket: Bucket, record: Record) -> None:
    """Write the record: from now on the backup is there."""
    put_object(aws, bucket, record_key(record.id), record.dump(), "application/json")


def read_archive(aws: Aws, bucket: Bucket, record: Record) -> bytes:
    """A backup's archive, whole and as it was written. Raises DamagedBackup, AwsError."""
    archive = get_object(aws, bucket, archive_key(record.id), MOST_ARCHIVE_BYTES)
    if archive is None:
        raise DamagedBackup(
            f"the archive of {record.id} is gone from {bucket.name}", _older_versions(bucket, record.id)
        )
    if len(archive) != record.size_bytes:
        raise _not_as_written(bucket, record, f"it has {len(archive)} bytes, and had {record.size_bytes}")
    if hashlib.sha256(archive).hexdigest() != record.sha256:
        raise _not_as_written(bucket, record, "its SHA-256 is another one")
    return archive


def read_record(aws: Aws, bucket: Bucket, backup_id: str) -> Record:
    """The record of one backup. Raises BackupError when there is none, DamagedBackup when it cannot be read."""
    data = get_object(aws, bucket, record_key(check_id(backup_id)), MOST_RECORD_BYTES)
    if data is None:
        hint = "`dockeree backup-ca list` shows those there are."
        raise BackupError(f"there is no backup {backup_id} in {bucket.name}", hint)
    return parse_record(data, backup_id)


def list_backups(aws: Aws, bucket: Bucket) -> Catalogue:
    """Every backup in the bucket, with its record read. Raises AwsError."""
    archives, records = _ids(aws, bucket)
    with ThreadPoolExecutor(THREADS, thread_name_prefix="records") as pool:
        read = list(pool.map(lambda backup_id: _try(aws, bucket, backup_id), sorted(records, reverse=True)))
    return Catalogue(
        records=tuple(item for item in read if isinstance(item, Record)),
        unfinished=tuple(sorted(archives - records, reverse=True)),
        unreadable=tuple(item for item in read if not isinstance(item, Record)),
    )


def find_latest(aws: Aws, bucket: Bucket) -> Record | None:
    """The newest backup whose record can be read, None without any. Raises AwsError."""
    _, records = _ids(aws, bucket)
    for backup_id in sorted(records, reverse=True):
        found = _try(aws, bucket, backup_id)
        if isinstance(found, Record):
            return found
    return None


def count_backups(aws: Aws, bucket: Bucket) -> int:
    """How many there are. Raises AwsError."""
    return len(_ids(aws, bucket)[1])


def parse_record(data: bytes, backup_id: str) -> Record:
    """Read `Record.dump`. Raises DamagedBackup; BackupError for one of a newer dockeree."""
    try:
        document: Any = json.loads(data)
        size_bytes, sha256 = document["archive"]["size_bytes"], document["archive"]["sha256"]
        if type(size_bytes) is not int or not isinstance(sha256, str):
            raise TypeError("archive is not whole")
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise DamagedBackup(f"the record of {backup_id} cannot be read: {error}") from error
    record = Record(from_json(document), size_bytes, sha256)
    if record.id != backup_id:
        raise DamagedBackup(f"the record of {backup_id} says that it is that of {record.id}")
    return record


def _try(aws: Aws, bucket: Bucket, backup_id: str) -> Record | tuple[str, str]:
    try:
        return read_record(aws, bucket, backup_id)
    except BackupError as error:
        return backup_id, error.message


def _ids(aws: Aws, bucket: Bucket) -> tuple[set[str], set[str]]:
    """The ids of archives, and those of records. What is called otherwise is not ours."""
    found: dict[str, set[str]] = {ARCHIVE_SUFFIX: set(), RECORD_SUFFIX: set()}
    for backup_id, suffix in _names(aws, bucket):
        if suffix in found and ID_PATTERN.fullmatch(backup_id):
            found[suffix].add(backup_id)
    return found[ARCHIVE_SUFFIX], found[RECORD_SUFFIX]


def _names(aws: Aws, bucket: Bucket) -> Iterator[tuple[str, str]]:
    for item in list_objects(aws, bucket, PREFIX):
        backup_id, dot, suffix = item.key.removeprefix(PREFIX).rpartition(".")
        yield backup_id, dot + suffix


def _not_as_written(bucket: Bucket, record: Record, how: str) -> DamagedBackup:
    return DamagedBackup(
        f"the archive of {record.id} in {bucket.name} is not as it was written: {how}",
        _older_versions(bucket, record.id),
    )


def _older_versions(bucket: Bucket, backup_id: str) -> str:
    return (
        f"The bucket keeps versions: aws s3api list-object-versions --bucket {bucket.name} "
        f"--prefix {archive_key(backup_id)}. Take another backup: dockeree backup-ca"
    )
