"""What a backup holds, in words that anybody may read: certificates and versions, and never a key."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from dockeree.backup.certificates import Certificate, read_certificates
from dockeree.backup.errors import BackupError, DamagedBackup
from dockeree.node.root_ca import CERTIFICATE_FILES, ROOTS

SCHEMA_VERSION = 1
ID_PATTERN = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
"""A moment (UTC) and six digits by chance, so that ids sort by age and two operators never take the same."""


@dataclass(frozen=True)
class Versions:
    """What ran when the backup was made; None where it could not be told, or was not there."""

    engine: str | None
    ucp: str | None
    dtr: str | None


@dataclass(frozen=True)
class Manifest:
    """What a backup holds. `created_at` is ISO 8601, UTC; `swarm_id` and `cluster_id` are docker's and dockeree's."""

    id: str
    created_at: str
    cluster: str
    cluster_id: str
    swarm_id: str
    versions: Versions
    certificates: tuple[Certificate, ...]
    dockeree_version: str
    schema_version: int = SCHEMA_VERSION

    @property
    def fingerprints(self) -> dict[str, str]:
        """The SHA-256 of each certificate that trust begins with, by its name."""
        return fingerprints_of(self.certificates)

    def to_json(self) -> dict[str, Any]:
        """The document, as it stands in the archive and, with the archive's own facts, beside it."""
        return asdict(self) | {"certificates": [asdict(certificate) for certificate in self.certificates]}

    def dump(self) -> bytes:
        """The document as a file's contents."""
        return (json.dumps(self.to_json(), indent=2, sort_keys=True) + "\n").encode()


def new_id(moment: datetime) -> str:
    """An id for a backup made at `moment`."""
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def describe(
    files: Mapping[str, bytes | bytearray],
    *,
    cluster: str,
    cluster_id: str,
    swarm_id: str,
    versions: Versions,
    dockeree_version: str,
    moment: datetime,
) -> Manifest:
    """The manifest of these files (by their names below docker's folder), made at `moment`, with a new id.

    Raises DamagedBackup when a certificate cannot be read.
    """
    return Manifest(
        id=new_id(moment),
        created_at=moment.astimezone(UTC).isoformat(timespec="seconds"),
        cluster=cluster,
        cluster_id=cluster_id,
        swarm_id=swarm_id,
        versions=versions,
        certificates=read_all(files),
        dockeree_version=dockeree_version,
    )


def read_all(files: Mapping[str, bytes | bytearray]) -> tuple[Certificate, ...]:
    """Every certificate in the files that hold certificates."""
    return tuple(
        certificate
        for path in CERTIFICATE_FILES
        if path in files
        for certificate in read_certificates(path, bytes(files[path]))
    )


def fingerprints_of(certificates: tuple[Certificate, ...]) -> dict[str, str]:
    """By the name of the root: the fingerprint of the first certificate in its file."""
    first: dict[str, str] = {}
    for certificate in certificates:
        first.setdefault(certificate.path, certificate.fingerprint_sha256)
    return {name: first[path] for name, path in ROOTS.items() if path in first}


def check_id(text: str) -> str:
    """`text` where it is a backup's id. Raises BackupError."""
    if not ID_PATTERN.fullmatch(text):
        raise BackupError(f"{text!r} is no backup's id", "`dockeree backup-ca list` shows those there are.")
    return text


def parse(data: bytes) -> Manifest:
    """Read `Manifest.dump`. Raises DamagedBackup, and BackupError for one of a newer dockeree."""
    try:
        return from_json(json.loads(data))
    except (ValueError, RecursionError) as error:
        raise DamagedBackup(f"the manifest is not JSON: {error}") from error


def from_json(document: Any) -> Manifest:
    """Read `Manifest.to_json`; keys that are not known are passed over. Raises as `parse` does."""
    try:
        version = document["schema_version"]
        if not isinstance(version, int):
            raise TypeError("schema_version is no number")
        if version > SCHEMA_VERSION:
            raise BackupError(f"the backup was made by a newer dockeree (schema {version})", "Update dockeree.")
        versions = document["versions"]
        return Manifest(
            id=check_id(_text(document["id"])),
            created_at=_text(document["created_at"]),
            cluster=_text(document["cluster"]),
            cluster_id=_text(document["cluster_id"]),
            swarm_id=_text(document["swarm_id"]),
            versions=Versions(*(_text_or_none(versions[name]) for name in ("engine", "ucp", "dtr"))),
            certificates=tuple(_certificate(item) for item in document["certificates"]),
            dockeree_version=_text(document["dockeree_version"]),
            schema_version=version,
        )
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise DamagedBackup(f"the manifest is not whole: {error}") from error


def _certificate(item: Any) -> Certificate:
    return Certificate(**{field: _text(item[field]) for field in Certificate.__dataclass_fields__})


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)
