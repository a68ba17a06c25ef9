"""The age format: what Debian's `age` opens, what it makes, wrong keys, and damage at any place."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dockeree.backup import encryption
from dockeree.backup.encryption import Keys, decrypt, encrypt, keys_from
from dockeree.backup.errors import BackupError, DamagedBackup

PASSPHRASE = "a dozen words or so"
IDENTITY = pyrage.x25519.Identity.generate()
RECIPIENT = str(IDENTITY.to_public())
OPENS = Keys(identity=f"# created by a test\n# public key: {RECIPIENT}\n{IDENTITY}\n".encode())
DATA = b"root of all trust\n" * 10_000
LOCKED = encrypt(DATA, Keys((RECIPIENT,)))
"""Three chunks of 64 KiB, as age cuts its payload."""

age = pytest.mark.skipif(shutil.which("age") is None, reason="no age on this machine: apt install age")


def run_age(*arguments: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(["age", *arguments], input=stdin, capture_output=True, check=True, timeout=30).stdout


@pytest.fixture(scope="module")
def with_passphrase() -> bytes:
    """Made once: age's scrypt takes a second or two by design."""
    return encrypt(DATA, Keys(passphrase=PASSPHRASE))


@age
def test_age_opens_what_is_locked_to_recipients(tmp_path: Path) -> None:
    key = tmp_path / "key.txt"
    key.write_text(f"{IDENTITY}\n")
    assert run_age("--decrypt", "--identity", str(key), stdin=LOCKED) == DATA


@age
def test_what_age_locks_is_opened(tmp_path: Path) -> None:
    assert decrypt(run_age("--recipient", RECIPIENT, stdin=DATA), OPENS) == DATA


@age
def test_an_ssh_key_opens_what_is_locked_to_it(tmp_path: Path) -> None:
    key = tmp_path / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "somebody", "-f", key], check=True)
    recipients = (RECIPIENT, key.with_suffix(".pub").read_text().strip())
    locked = encrypt(DATA, Keys(recipients))
    assert run_age("--decrypt", "--identity", str(key), stdin=locked) == DATA
    assert decrypt(locked, Keys(identity=key.read_bytes())) == DATA
    assert decrypt(locked, OPENS) == DATA


def test_a_passphrase_opens_what_it_locked_and_no_other_does(with_passphrase: bytes) -> None:
    assert encryption.has_passphrase(with_passphrase)
    assert not encryption.has_passphrase(LOCKED)
    assert decrypt(with_passphrase, Keys(passphrase=PASSPHRASE)) == DATA
    with pytest.raises(BackupError, match="the passphrase does not open the backup"):
        decrypt(with_passphrase, Keys(passphrase="another dozen words"))
    with pytest.raises(BackupError, match="locked with a passphrase") as caught:
        decrypt(with_passphrase, OPENS)
    assert "DOCKEREE_BACKUP_PASSPHRASE" in caught.value.hint


def test_recipients_win_over_a_passphrase() -> None:
    assert not encryption.has_passphrase(encrypt(DATA, Keys((RECIPIENT,), passphrase=PASSPHRASE)))
    with pytest.raises(BackupError, match="neither recipients nor a passphrase") as caught:
        encrypt(DATA, Keys())
    for word in ("backup.recipients", "DOCKEREE_BACKUP_PASSPHRASE", "backup.skip"):
        assert word in caught.value.hint


def test_another_identity_or_none_opens_nothing() -> None:
    with pytest.raises(BackupError, match="none of its recipients"):
        decrypt(LOCKED, Keys(identity=str(pyrage.x25519.Identity.generate()).encode()))
    with pytest.raises(BackupError, match="locked to recipients") as caught:
        decrypt(LOCKED, Keys(passphrase=PASSPHRASE))
    assert "DOCKEREE_BACKUP_IDENTITY" in caught.value.hint


def test_secrets_show_in_no_repr() -> None:
    shown = repr(Keys((RECIPIENT,), PASSPHRASE, OPENS.identity))
    assert PASSPHRASE not in shown
    assert "AGE-SECRET" not in shown


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(RECIPIENT[:-1] + ("q" if RECIPIENT[-1] != "q" else "p"), id="a slip in the last character"),
        pytest.param(f"{RECIPIENT} comment", id="a comment"),
        pytest.param(str(IDENTITY), id="the private key"),
        "age1",
        "ssh-rsa AAAA",
        "ssh-ed25519 AAAA",
        "",
    ],
)
def test_what_is_no_recipient_is_said_so(text: str) -> None:
    with pytest.raises(BackupError, match="is no recipient") as caught:
        encryption.check_recipients((RECIPIENT, text))
    assert str(IDENTITY) not in str(caught.value)


def test_keys_come_from_configuration_and_environment(tmp_path: Path) -> None:
    path = tmp_path / "key.txt"
    path.write_bytes(OPENS.identity or b"")
    environ = {"DOCKEREE_BACKUP_PASSPHRASE": PASSPHRASE, "DOCKEREE_BACKUP_IDENTITY": str(path)}
    assert keys_from((RECIPIENT,), environ) == Keys((RECIPIENT,), PASSPHRASE, OPENS.identity)
    assert keys_from((), {"DOCKEREE_BACKUP_PASSPHRASE": "", "DOCKEREE_BACKUP_IDENTITY": ""}) == Keys()
    with pytest.raises(BackupError, match="has 5 characters; 12 are the least"):
        keys_from((), {"DOCKEREE_BACKUP_PASSPHRASE": "short"})
    with pytest.raises(BackupError, match="No such file"):
        keys_from((), {"DOCKEREE_BACKUP_IDENTITY": str(tmp_path / "none")})


@pytest.mark.parametrize("contents", [b"", b"# nothing\n", b"AGE-SECRET-KEY-1WRONG\n", b"\xff\xfe", b"-----BEGIN X"])
def test_a_file_that_holds_no_identity_is_said_so_without_quoting_it(contents: bytes) -> None:
    with pytest.raises(BackupError, match="DOCKEREE_BACKUP_IDENTITY") as caught:
        decrypt(LOCKED, Keys(identity=contents))
    assert "WRONG" not in str(caught.value)


def test_an_ssh_key_with_a_passphrase_is_said_so(tmp_path: Path) -> None:
    key = tmp_path / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret words", "-f", key], check=True)
    with pytest.raises(BackupError, match="must be decrypted first"):
        decrypt(LOCKED, Keys(identity=key.read_bytes()))


@pytest.mark.parametrize("kib", range(0, len(LOCKED) // 1024 + 1))
def test_a_bit_flipped_in_any_kib_is_one_error(kib: int) -> None:
    damaged = bytearray(LOCKED)
    damaged[min(kib * 1024 + 7, len(LOCKED) - 1)] ^= 1
    with pytest.raises(BackupError):
        decrypt(bytes(damaged), OPENS)


@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, len(LOCKED) - 1), byte=st.integers(1, 255))
def test_a_byte_changed_anywhere_is_one_error(at: int, byte: int) -> None:
    damaged = bytearray(LOCKED)
    damaged[at] ^= byte
    with pytest.raises(BackupError):
        decrypt(bytes(damaged), OPENS)


@settings(max_examples=300, deadline=None)
@given(length=st.integers(0, len(LOCKED) - 1))
def test_cut_off_anywhere_is_one_error(length: int) -> None:
    with pytest.raises(BackupError):
        decrypt(LOCKED[:length], OPENS)


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=300), is_after_a_header=st.booleans())
def test_anything_at_all_is_one_error(data: bytes, is_after_a_header: bool) -> None:
    with pytest.raises(DamagedBackup):
        decrypt(b"age-encryption.org/v1\n" + data.replace(b"scrypt", b"") if is_after_a_header else data, OPENS)


def test_a_header_that_asks_for_hours_of_scrypt_is_refused_at_once(with_passphrase: bytes) -> None:
    """The work factor stands in the clear: a forged one must not hold the reader up."""
    stanza, _, rest = with_passphrase.partition(b"\n-> scrypt ")
    salt, _, after = rest.partition(b" ")
    _, _, after = after.partition(b"\n")
    forged = stanza + b"\n-> scrypt " + salt + b" 60\n" + after
    with pytest.raises(BackupError):
        decrypt(forged, Keys(passphrase=PASSPHRASE))
