"""What is wrong with a backup, or with the keys that were given for it."""

from __future__ import annotations

from dockeree.errors import DockereeError


class BackupError(DockereeError):
    """A backup cannot be made, read, opened or trusted."""


class DamagedBackup(BackupError):
    """What lies in the bucket is not what was put there, or its parts do not fit each other."""
