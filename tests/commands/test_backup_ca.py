"""`dockeree backup-ca` as it is typed: passphrases, tables, documents, exit codes, and no key anywhere but in S3."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click.termui
import pyrage
import pytest
from support import authorities
from support.cloud import running_cloud
from support.command_line import MINIMAL, CommandLine
from support.root_ca_scene import Machine, MachineRemote, Scene, make_scene

from dockeree.commands import common

PASSPHRASE = "a dozen words or so"
IDENTITY = pyrage.x25519.Identity.generate()
WITH_RECIPIENT = f"{MINIMAL}backup: {{recipients: [{IDENTITY.to_public()}]}}\n"


class MachineConnector:
    """Every node is the one machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.recover_key: Any = None

    def __call__(self, *, name: str, host: str, host_key_id: str) -> MachineRemote:
        return MachineRemote(name, self._machine)

    def close(self) -> None:
        return None


@pytest.fixture
def scene(dockeree: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with running_cloud(tmp_path / "elsewhere", monkeypatch) as cloud:
        cloud.folder.mkdir()
        made = make_scene(cloud, backup={"recipients": [str(IDENTITY.to_public())]})
        monkeypatch.setattr(common, "connector", lambda *_: MachineConnector(made.machine))
        dockeree.configure(WITH_RECIPIENT)
        yield made


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipient's private key, where the environment says."""
    path = tmp_path / "key.txt"
    path.write_text(f"{IDENTITY}\n")
    monkeypatch.setenv("DOCKEREE_BACKUP_IDENTITY", str(path))
    return path


def make(dockeree: CommandLine) -> str:
    """Make a backup; its id."""
    outcome = dockeree("backup-ca", "--progress", "plain")
    assert outcome.code == 0, outcome.stderr
    assert outcome.stdout == ""
    found = re.search(r"backup (\d{8}T\d{6}Z-[0-9a-f]{6}) of demo", outcome.stderr)
    assert found, outcome.stderr
    return found[1]


def answer(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """Type these at a terminal; the list holds the questions."""
    asked: list[str] = []
    left = list(answers)

    def hidden(question: str) -> str:
        asked.append(question)
        return left.pop(0)

    monkeypatch.setattr(click.termui, "hidden_prompt_func", hidden)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    return asked


def secrets_of(scene: Scene) -> list[str]:
    """A line of each private key: what must stand nowhere."""
    return [scene.machine.files[name].decode().splitlines()[1] for name in scene.machine.files if "key" in name]


def test_made_listed_verified_and_fetched(scene: Scene, dockeree: CommandLine, key_file: Path) -> None:
    backup_id = make(dockeree)
    listed = dockeree("backup-ca", "list")
    assert listed.code == 0
    header, row = listed.stdout.splitlines()
    assert header.split() == ["ID", "CREATED", "SIZE", "UCP", "CLUSTER", "ROOT", "TRUST"]
    assert row.startswith(backup_id)
    assert row.endswith("same")
    [document] = json.loads(dockeree("backup-ca", "list", "-o", "json").stdout)
    assert list(document) == ["id", "created_at", "size_bytes", "fingerprints", "versions", "same_trust"]
    assert document["id"] == backup_id
    assert document["versions"] == {"engine": "25.0.14", "ucp": "3.8.12", "dtr": None}
    assert document["same_trust"] is True
    verified = dockeree("backup-ca", "verify")
    assert verified.code == 0
    assert f"backup {backup_id} is whole, and each key fits its certificate" in verified.stderr
    assert "CN=UCP Client Root CA" in verified.stderr
    fetched = dockeree("backup-ca", "fetch", backup_id)
    assert fetched.stdout == f"{backup_id}.age\n"
    assert pyrage.decrypt((dockeree.folder / f"{backup_id}.age").read_bytes(), [IDENTITY])
    assert dockeree("backup-ca", "fetch", backup_id).code == 1


def test_no_line_of_a_key_stands_in_a_log_a_file_or_on_the_screen(
    scene: Scene, dockeree: CommandLine, key_file: Path, tmp_path: Path
) -> None:
    screens = []
    for arguments in (("backup-ca", "-v"), ("backup-ca", "verify"), ("backup-ca", "list")):
        outcome = dockeree(*arguments)
        assert outcome.code == 0
        screens.append(outcome.stdout + outcome.stderr)
    assert len(secrets_of(scene)) == 2
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path != key_file)
    for secret in [*secrets_of(scene), str(IDENTITY)]:
        assert all(secret not in screen for screen in screens)
        assert secret.encode() not in written


def test_an_empty_list_and_half_an_upload_are_said_beside_the_document(scene: Scene, dockeree: CommandLine) -> None:
    outcome = dockeree("backup-ca", "list", "-o", "json")
    assert (outcome.code, json.loads(outcome.stdout)) == (0, [])
    assert f"there are no backups of demo in {scene.bucket}" in outcome.stderr
    half = "20991124T120000Z-aaaaaa"
    scene.cloud.api.client("s3").put_object(Bucket=scene.bucket, Key=f"ca/{half}.age", Body=b"x")
    outcome = dockeree("backup-ca", "list", "-o", "json")
    assert json.loads(outcome.stdout) == []
    assert f"{half} is half an upload" in outcome.stderr


def test_where_no_cluster_answers_trust_is_null(scene: Scene, dockeree: CommandLine) -> None:
    make(dockeree)
    scene.machine.is_dark = True
    [document] = json.loads(dockeree("backup-ca", "list", "-o", "json").stdout)
    assert document["same_trust"] is None
    outcome = dockeree("backup-ca", "list")
    assert outcome.stdout.splitlines()[1].endswith("-")
    assert "does not answer" in outcome.stderr


def test_other_roots_than_the_backups_are_said_so(scene: Scene, dockeree: CommandLine) -> None:
    make(dockeree)
    scene.machine.files = authorities.new_files()
    assert dockeree("backup-ca", "list").stdout.splitlines()[1].endswith("other")


def test_with_recipients_alone_the_screen_says_how_to_prove_it(scene: Scene, dockeree: CommandLine) -> None:
    outcome = dockeree("backup-ca")
    assert "its SHA-256 compared" in outcome.stderr
    assert "DOCKEREE_BACKUP_IDENTITY=KEY dockeree backup-ca verify" in outcome.stderr
    failed = dockeree("backup-ca", "verify")
    assert failed.code == 1
    assert "✗ the backup is locked to recipients" in failed.stderr


def test_without_keys_a_passphrase_is_asked_for_twice(
    scene: Scene, dockeree: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    dockeree.configure()
    asked = answer(monkeypatch, PASSPHRASE, "something else", PASSPHRASE, PASSPHRASE)
    backup_id = make(dockeree)
    assert [question.partition(":")[0] for question in asked] == ["Passphrase for the backup", "The same again"] * 2
    assert PASSPHRASE not in "".join(dockeree.log_texts())
    asked = answer(monkeypatch, PASSPHRASE)
    assert dockeree("backup-ca", "verify", backup_id).code == 0
    assert len(asked) == 1
    answer(monkeypatch, "another dozen words")
    wrong = dockeree("backup-ca", "verify", backup_id)
    assert wrong.code == 1
    assert "the passphrase does not open the backup" in wrong.stderr


@pytest.mark.parametrize("arguments", [("backup-ca",), ("backup-ca", "--no-input"), ("--no-input", "backup-ca")])
def test_where_nobody_can_be_asked_it_says_what_to_set(
    scene: Scene, dockeree: CommandLine, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    dockeree.configure()
    asked = answer(monkeypatch) if "--no-input" in arguments else []
    outcome = dockeree(*arguments)
    assert outcome.code == 2
    for word in ("nobody can be asked", "backup.recipients", "DOCKEREE_BACKUP_PASSPHRASE"):
        assert word in outcome.stderr
    assert asked == []
    assert scene.keys == []


def test_a_short_passphrase_is_refused(scene: Scene, dockeree: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    dockeree.configure()
    answer(monkeypatch, "short", "short")
    outcome = dockeree("backup-ca")
    assert outcome.code == 1
    assert "12 are the least" in outcome.stderr
    monkeypatch.setenv("DOCKEREE_BACKUP_PASSPHRASE", "short")
    assert "DOCKEREE_BACKUP_PASSPHRASE has 5 characters" in dockeree("backup-ca").stderr


def test_s3_that_refuses_is_exit_1_with_one_cause(scene: Scene, dockeree: CommandLine) -> None:
    scene.fail("PutObject", code="AccessDenied", status=403)
    outcome = dockeree("backup-ca")
    assert outcome.code == 1
    assert outcome.stderr.count("✗ s3:PutObject: AccessDenied") == 1
    assert "s3:PutObject" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert scene.keys == []


@pytest.mark.parametrize("wrong", ["latest", "../../etc/passwd", "20261124T120000Z"])
def test_what_is_no_id_is_said_so(scene: Scene, dockeree: CommandLine, wrong: str) -> None:
    for command in ("fetch", "verify"):
        outcome = dockeree("backup-ca", command, wrong)
        assert outcome.code == 1
        assert "is no backup's id" in outcome.stderr


def test_progress_in_json_and_a_document_exclude_each_other(scene: Scene, dockeree: CommandLine) -> None:
    assert dockeree("backup-ca", "list", "-o", "json", "--progress", "json").code == 2
