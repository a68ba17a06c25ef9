"""The age format: to whom a backup is locked, and with what it is opened.

A backup is encrypted to public keys, or with a passphrase; age forbids both at once. The plain `age` command opens it:
`age --decrypt --identity KEY ID.age`, or with the passphrase typed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dockeree.backup.errors import BackupError, DamagedBackup

if TYPE_CHECKING:
    from pyrage import ssh, x25519

PASSPHRASE_VARIABLE = "DOCKEREE_BACKUP_PASSPHRASE"
IDENTITY_VARIABLE = "DOCKEREE_BACKUP_IDENTITY"
SHORTEST_PASSPHRASE = 12
"""What age itself makes up has some 50 characters; a word is guessed."""
SET_ONE = (
    f"Set `backup.recipients` in the configuration to public keys (`age-keygen` makes one: age1…), or "
    f"{PASSPHRASE_VARIABLE} in the environment. `backup.skip: true` goes without backups."
)
_HEADER = b"age-encryption.org/v1\n"
_SCRYPT_HEADER = _HEADER + b"-> scrypt "


@dataclass(frozen=True)
class Keys:
    """What locks and opens backups. `recipients` are public keys, `identity` is the contents of a private key's file.

    Recipients win over a passphrase when a backup is made; what opens it depends on the backup.
    """

    recipients: tuple[str, ...] = ()
    passphrase: str | None = field(default=None, repr=False)
    identity: bytes | None = field(default=None, repr=False)

    @property
    def can_lock(self) -> bool:
        """Whether a backup can be made."""
        return bool(self.recipients or self.passphrase)

    def can_open(self, data: bytes) -> bool:
        """Whether what opens this backup was given; not, whether it is the right one."""
        return (self.passphrase if has_passphrase(data) else self.identity) is not None


def keys_from(recipients: Sequence[str], environ: Mapping[str, str]) -> Keys:
    """The configuration's recipients, and the environment's passphrase and identity file.

    Raises BackupError when the passphrase is too short or the file cannot be read.
    """
    passphrase = environ.get(PASSPHRASE_VARIABLE) or None
    if passphrase is not None:
        check_passphrase(passphrase, PASSPHRASE_VARIABLE)
    path = environ.get(IDENTITY_VARIABLE) or None
    try:
        identity = None if path is None else Path(path).expanduser().read_bytes()
    except OSError as error:
        raise BackupError(f"{IDENTITY_VARIABLE} is {path}, and that cannot be read: {error.strerror}") from error
    return Keys(tuple(recipients), passphrase, identity)


def check_passphrase(passphrase: str, where: str) -> None:
    """Raises BackupError when a passphrase is too short to keep a certificate authority."""
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise BackupError(f"{where} has {len(passphrase)} characters; {SHORTEST_PASSPHRASE} are the least")


def check_recipients(recipients: Sequence[str]) -> None:
    """Raises BackupError that names the first recipient that is none."""
    for recipient in recipients:
        _recipient(recipient)


def encrypt(data: bytes | bytearray, keys: Keys) -> bytes:
    """`data` in the age format, to the recipients, else with the passphrase. Raises BackupError without either."""
    import pyrage  # noqa: PLC0415 - late: only backups need it

    try:
        if keys.recipients:
            return pyrage.encrypt(bytes(data), [_recipient(recipient) for recipient in keys.recipients])
        if keys.passphrase:
            return pyrage.passphrase.encrypt(bytes(data), keys.passphrase)
    except pyrage.EncryptError as error:
        raise BackupError(f"the backup cannot be encrypted: {error}") from error
    raise BackupError("nobody could open this backup: there are neither recipients nor a passphrase", SET_ONE)


def decrypt(data: bytes, keys: Keys) -> bytearray:
    """What is in an age file.

    Raises DamagedBackup when it is none, and BackupError when what opens it was not given or is the wrong one; the
    format cannot tell a wrong passphrase from a damaged header.
    """
    import pyrage  # noqa: PLC0415 - late: only backups need it

    if not data.startswith(_HEADER):
        raise DamagedBackup("the archive is damaged: it is no age file")
    try:
        if has_passphrase(data):
            if keys.passphrase is None:
                raise BackupError("the backup is locked with a passphrase", f"Set {PASSPHRASE_VARIABLE}.")
            return bytearray(pyrage.passphrase.decrypt(data, keys.passphrase))
        if keys.identity is None:
            raise BackupError(
                "the backup is locked to recipients",
                f"Set {IDENTITY_VARIABLE} to the file of a recipient's private key (AGE-SECRET-KEY-1…).",
            )
        return bytearray(pyrage.decrypt(data, _identities(keys.identity)))
    except pyrage.DecryptError as error:
        raise _not_opened(data, error) from error


def has_passphrase(data: bytes) -> bool:
    """Whether an age file is opened by a passphrase, and not by an identity."""
    return data.startswith(_SCRYPT_HEADER)


def _not_opened(data: bytes, error: Exception) -> BackupError:
    if "No matching keys" in str(error):
        return BackupError("this identity does not open the backup: it is none of its recipients'")
    if has_passphrase(data) and "Decryption failed" in str(error):
        return BackupError("the passphrase does not open the backup: it is another one, or the archive is damaged")
    return DamagedBackup(f"the archive is damaged: {error}")


def _recipient(text: str) -> Any:
    import pyrage  # noqa: PLC0415 - late: only backups need it

    try:
        if text.startswith("ssh-ed25519 "):
            return pyrage.ssh.Recipient.from_str(text)
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        hint = "Recipients are age1… (`age-keygen -y KEY`) or ssh-ed25519 …"
        if text.upper().startswith("AGE-SECRET-KEY-"):
            raise BackupError(
                "a private key is no recipient: give its public key, and keep it out of files", hint
            ) from None
        raise BackupError(f"{text!r} is no recipient: {error}", hint) from error


def _identities(contents: bytes) -> list[x25519.Identity | ssh.Identity]:
    """Of an `age-keygen` file (one a line, `#` before comments), or of an OpenSSH private key."""
    import pyrage  # noqa: PLC0415 - late: only backups need it

    hint = "It holds AGE-SECRET-KEY-1… lines, as age-keygen writes them, or an OpenSSH key without a passphrase."
    try:
        if contents.lstrip().startswith(b"-----BEGIN"):
            return [pyrage.ssh.Identity.from_buffer(contents)]
        lines = [line.strip() for line in contents.decode("ascii").splitlines()]
        identities = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except UnicodeDecodeError:
        raise BackupError(f"the file of {IDENTITY_VARIABLE} is no text", hint) from None
    except pyrage.IdentityError as error:
        raise BackupError(f"the file of {IDENTITY_VARIABLE} cannot be used: {error}", hint) from error
    if not identities:
        raise BackupError(f"the file of {IDENTITY_VARIABLE} holds no identity", hint)
    return list(identities)
