"""backup-ca over the lab's S3: what a backup is, how it fails, and that half of one never looks whole."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyrage
import pytest
from support import authorities
from support.authorities import CLIENT_CERT, CLIENT_KEY, CLUSTER_CERT, CLUSTER_KEY, SWARM_NODE
from support.cloud import Cloud, changing
from support.cutting_proxy import CuttingProxy, cutting_proxy
from support.root_ca_scene import SWARM_ID, Scene, make_scene

from dockeree.backup.encryption import Keys
from dockeree.backup.errors import BackupError, DamagedBackup
from dockeree.errors import AwsError, CommandFailed, DockereeError, StepsFailed
from dockeree.steps.root_ca import BackUpRootCa
from dockeree.steps.runner import run_steps
from dockeree.steps.step import Step
from dockeree.workflows.backup_ca import fetch, find, list_backups, make_backup, verify

IDENTITY = pyrage.x25519.Identity.generate()
RECIPIENT = str(IDENTITY.to_public())
LOCKS = Keys((RECIPIENT,))
OPENS = Keys((RECIPIENT,), identity=str(IDENTITY).encode())
CONFIGURED: dict[str, Any] = {"backup": {"recipients": [RECIPIENT]}}


@pytest.fixture
def scene(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Scene:
    for name in ("DOCKEREE_BACKUP_PASSPHRASE", "DOCKEREE_BACKUP_IDENTITY"):
        monkeypatch.delenv(name, raising=False)
    return make_scene(cloud, **CONFIGURED)


@pytest.fixture
def proxy(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Iterator[CuttingProxy]:
    """Between the tool's S3 client and the lab, from now on."""
    with cutting_proxy(scene.cloud.api.url) as relay:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", relay.url)
        yield relay


def again(scene: Scene) -> Any:
    return scene.again(**CONFIGURED)


def test_a_backup_holds_the_roots_and_who_has_the_key_opens_it(scene: Scene) -> None:
    made = make_backup(scene.cluster, OPENS)
    assert made.is_opened
    backup_id = made.record.id
    assert scene.keys == [f"ca/{backup_id}.age", f"ca/{backup_id}.json"]
    stored = scene.cloud.api.client("s3").get_object(
        Bucket=scene.bucket, Key=f"ca/{backup_id}.age", ChecksumMode="ENABLED"
    )
    locked = stored["Body"].read()
    assert stored["ChecksumSHA256"], "S3 itself knows the SHA-256"
    with tarfile.open(fileobj=io.BytesIO(pyrage.decrypt(locked, [IDENTITY]))) as tar:
        contents = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    manifest = json.loads(contents.pop("manifest.json"))
    assert contents == scene.machine.files
    assert manifest["cluster"] == "demo"
    assert manifest["cluster_id"] == scene.cluster.id
    assert manifest["swarm_id"] == SWARM_ID
    assert manifest["versions"] == {"engine": "25.0.14", "ucp": "3.8.12", "dtr": None}
    assert made.record.manifest.to_json() == manifest | {
        "certificates": manifest["certificates"], "versions": manifest["versions"]
    }  # fmt: skip


@pytest.mark.skipif(shutil.which("age") is None, reason="no age on this machine: apt install age")
def test_the_plain_age_command_opens_what_was_fetched(scene: Scene, tmp_path: Path) -> None:
    made = make_backup(scene.cluster, LOCKS)
    assert not made.is_opened, "with recipients alone it is read back and hashed"
    path = fetch(scene.cluster, made.record.id, tmp_path)
    assert path == tmp_path / f"{made.record.id}.age"
    assert path.stat().st_mode & 0o777 == 0o600
    key = tmp_path / "key.txt"
    key.write_text(f"{IDENTITY}\n")
    opened = subprocess.run(["age", "--decrypt", "-i", key, path], capture_output=True, check=True).stdout
    listed = subprocess.run(["tar", "--extract", "--to-stdout", CLUSTER_KEY], input=opened, capture_output=True)
    assert listed.stdout == scene.machine.files[CLUSTER_KEY]


def test_a_file_that_is_there_is_never_written_over(scene: Scene, tmp_path: Path) -> None:
    made = make_backup(scene.cluster, LOCKS)
    path = tmp_path / f"{made.record.id}.age"
    path.write_text("mine")
    with pytest.raises(BackupError, match="is there already"):
        fetch(scene.cluster, made.record.id, tmp_path)
    assert path.read_text() == "mine"
    with pytest.raises(BackupError, match="cannot be written"):
        fetch(scene.cluster, made.record.id, tmp_path / "none")
    assert list(tmp_path.glob(".*.age*")) == []


def test_nothing_of_a_key_is_logged_or_typed(scene: Scene) -> None:
    make_backup(scene.cluster, OPENS)
    [command] = [command for command in scene.machine.commands if " tar " in command]
    assert "key.pem" in command
    assert all(" tar " in command or "docker" in command for command in scene.machine.commands)


def test_the_list_is_newest_first_and_says_what_the_cluster_trusts_now(scene: Scene) -> None:
    assert list_backups(scene.cluster).entries == ()
    first = make_backup(scene.cluster, LOCKS).record
    scene.machine.files = authorities.new_files()
    second = make_backup(scene.cluster, LOCKS).record
    listing = list_backups(scene.cluster)
    assert [entry.record for entry in listing.entries] == sorted((first, second), key=lambda r: r.id, reverse=True)
    assert {entry.record.id: entry.same_trust for entry in listing.entries} == {first.id: False, second.id: True}
    document = {entry.record.id: entry.to_json() for entry in listing.entries}[second.id]
    assert set(document) == {"id", "created_at", "size_bytes", "fingerprints", "versions", "same_trust"}
    assert document["fingerprints"] == second.manifest.fingerprints
    scene.machine.is_dark = True
    listing = list_backups(scene.cluster)
    assert {entry.same_trust for entry in listing.entries} == {None}
    assert "does not answer" in listing.silence


def test_half_an_upload_and_a_record_that_is_none_never_look_whole(scene: Scene) -> None:
    made = make_backup(scene.cluster, LOCKS).record
    s3 = scene.cloud.api.client("s3")
    half, broken = "20991124T120000Z-aaaaaa", "20991124T120000Z-bbbbbb"
    s3.put_object(Bucket=scene.bucket, Key=f"ca/{half}.age", Body=b"age-encryption.org/v1\n")
    s3.put_object(Bucket=scene.bucket, Key=f"ca/{broken}.json", Body=b'{"schema_version": 1}')
    s3.put_object(Bucket=scene.bucket, Key="ca/notes.txt", Body=b"somebody's")
    listing = list_backups(scene.cluster)
    assert [entry.record.id for entry in listing.entries] == [made.id]
    assert listing.catalogue.unfinished == (half,)
    assert [backup_id for backup_id, _ in listing.catalogue.unreadable] == [broken]
    assert find(scene.cluster, None).record.id == made.id
    with pytest.raises(BackupError, match=f"there is no backup {half}"):
        find(scene.cluster, half)
    with pytest.raises(DamagedBackup, match=broken):
        find(scene.cluster, broken)


def test_verify_opens_the_newest_and_compares_every_part(scene: Scene) -> None:
    with pytest.raises(BackupError, match="there are no backups"):
        find(scene.cluster, None)
    made = make_backup(scene.cluster, LOCKS).record
    verified = verify(find(scene.cluster, None), OPENS)
    assert verified.record == made
    assert verified.signs_nodes
    with pytest.raises(BackupError, match="locked to recipients"):
        verify(find(scene.cluster, made.id), LOCKS)
    s3 = scene.cloud.api.client("s3")
    record = json.loads(s3.get_object(Bucket=scene.bucket, Key=f"ca/{made.id}.json")["Body"].read())
    record["cluster"] = "other"
    s3.put_object(Bucket=scene.bucket, Key=f"ca/{made.id}.json", Body=json.dumps(record).encode())
    with pytest.raises(DamagedBackup, match="is not the manifest in its archive"):
        verify(find(scene.cluster, made.id), OPENS)


def test_an_archive_changed_or_gone_in_the_bucket_is_one_clear_error(scene: Scene, tmp_path: Path) -> None:
    made = make_backup(scene.cluster, LOCKS).record
    s3, key = scene.cloud.api.client("s3"), f"ca/{made.id}.age"
    locked = s3.get_object(Bucket=scene.bucket, Key=key)["Body"].read()
    for kib in range(len(locked) // 1024 + 1):
        damaged = bytearray(locked)
        damaged[min(kib * 1024, len(locked) - 1)] ^= 0xFF
        s3.put_object(Bucket=scene.bucket, Key=key, Body=bytes(damaged))
        with pytest.raises(DamagedBackup, match="its SHA-256 is another one") as caught:
            fetch(scene.cluster, made.id, tmp_path)
        assert "list-object-versions" in caught.value.hint
    s3.put_object(Bucket=scene.bucket, Key=key, Body=locked[:-1])
    with pytest.raises(DamagedBackup, match=f"it has {len(locked) - 1} bytes, and had {len(locked)}"):
        find(scene.cluster, made.id)
    s3.delete_object(Bucket=scene.bucket, Key=key)
    with pytest.raises(DamagedBackup, match="is gone"):
        find(scene.cluster, made.id)
    assert list(tmp_path.glob("*.age*")) == list(tmp_path.glob(".*.age*")) == []


@pytest.mark.parametrize(
    ("action", "code"), [("PutObject", "AccessDenied"), ("GetObject", "AccessDenied"), ("PutObject", "NoSuchBucket")]
)
def test_s3_that_refuses_is_one_error_and_no_backup(scene: Scene, action: str, code: str) -> None:
    scene.fail(action, code=code, status=403, times=1)
    with pytest.raises(AwsError, match=f"s3:{action}: {code}"):
        make_backup(scene.cluster, LOCKS)
    assert not [key for key in scene.keys if key.endswith(".json")]
    assert list_backups(scene.cluster).entries == ()
    assert make_backup(scene.cluster, LOCKS).record.id


def test_s3_that_fails_for_a_while_is_asked_again(scene: Scene) -> None:
    for action in ("PutObject", "GetObject"):
        scene.fail(action, code="InternalError", status=500, times=2)
        scene.fail(action, drop=True)
    make_backup(scene.cluster, OPENS)
    assert len(scene.keys) == 2


@pytest.mark.parametrize("after_bytes", [900, 3000, 9000])
def test_an_upload_cut_off_in_the_middle_is_sent_again(scene: Scene, proxy: CuttingProxy, after_bytes: int) -> None:
    proxy.cut(2, marker=b"PUT /", after_bytes=after_bytes, answers=False)
    made = make_backup(again(scene), OPENS)
    assert proxy.cuts_left == 0
    assert find(scene.cluster, made.record.id).record == made.record


def test_an_upload_that_never_gets_through_is_one_error_and_no_backup(scene: Scene, proxy: CuttingProxy) -> None:
    proxy.cut(10**6, marker=b"PUT /", after_bytes=3000, answers=False)
    with pytest.raises(AwsError, match="s3:PutObject") as caught:
        make_backup(again(scene), OPENS)
    assert "network" in caught.value.hint
    assert scene.keys == []


@pytest.mark.parametrize("after_bytes", [100, 2500, 6000])
def test_a_download_cut_off_in_the_middle_is_begun_again(scene: Scene, proxy: CuttingProxy, after_bytes: int) -> None:
    made = make_backup(scene.cluster, LOCKS).record
    proxy.cut(2, marker=f"/ca/{made.id}.age".encode(), after_bytes=after_bytes, answers=True)
    assert find(again(scene), made.id).record == made
    assert proxy.cuts_left == 0


def test_a_download_that_never_gets_through_is_one_error_and_no_file(
    scene: Scene, proxy: CuttingProxy, tmp_path: Path
) -> None:
    made = make_backup(scene.cluster, LOCKS).record
    proxy.cut(10**6, marker=f"/ca/{made.id}.age".encode(), after_bytes=2500, answers=True)
    with pytest.raises(AwsError, match="s3:GetObject"):
        fetch(again(scene), made.id, tmp_path)
    assert list(tmp_path.glob("*.age*")) == list(tmp_path.glob(".*.age*")) == []


@pytest.mark.parametrize("cut_at", [0, 100, 512, 700, 5000])
def test_a_stream_that_broke_off_on_the_way_from_the_node_is_no_backup(scene: Scene, cut_at: int) -> None:
    scene.machine.cut_at = cut_at
    with pytest.raises(DockereeError, match="what tar wrote is not whole"):
        make_backup(scene.cluster, LOCKS)
    assert scene.keys == []


def test_a_node_without_ucp_says_what_is_missing(scene: Scene) -> None:
    del scene.machine.files[CLUSTER_CERT]
    with pytest.raises(CommandFailed, match="Cannot stat") as caught:
        make_backup(scene.cluster, LOCKS)
    assert "dockeree up" in caught.value.hint


def test_a_key_that_fits_no_certificate_is_not_backed_up_as_if_it_did(scene: Scene) -> None:
    scene.machine.files[CLUSTER_KEY] = authorities.new_files()[CLUSTER_KEY]
    with pytest.raises(DamagedBackup, match="is not the key of"):
        make_backup(scene.cluster, LOCKS)
    assert scene.keys == []


def test_a_root_that_did_not_sign_the_nodes_is_backed_up_with_a_warning(scene: Scene) -> None:
    scene.machine.files[SWARM_NODE] = authorities.new_files()[SWARM_NODE]
    made = make_backup(scene.cluster, LOCKS)
    assert "was not signed" in scene.cluster.report.warned[0]  # type: ignore[attr-defined]
    assert not verify(find(scene.cluster, made.record.id), OPENS).signs_nodes


def test_another_identity_than_a_recipients_is_said_so_and_no_backup_is_left(scene: Scene) -> None:
    stranger = Keys((RECIPIENT,), identity=str(pyrage.x25519.Identity.generate()).encode())
    with pytest.raises(BackupError, match="none of its recipients"):
        make_backup(scene.cluster, stranger)
    assert list_backups(scene.cluster).entries == ()


def test_without_ucp_or_without_keys_there_is_nothing_to_do(scene: Scene) -> None:
    with pytest.raises(BackupError, match="cannot be locked") as caught:
        make_backup(scene.cluster, Keys())
    assert "backup.recipients" in caught.value.hint
    with pytest.raises(BackupError, match="has no UCP"):
        make_backup(scene.again(ucp={"enabled": False}), LOCKS)


def test_asked_for_a_backup_is_made_although_up_goes_without(scene: Scene) -> None:
    cluster = scene.again(backup={"skip": True})
    s3 = scene.cloud.api.client("s3")
    s3.delete_bucket(Bucket=scene.bucket)
    assert make_backup(cluster, LOCKS).record
    assert s3.get_bucket_versioning(Bucket=scene.bucket)["Status"] == "Enabled"


class Alone(BackUpRootCa):
    """The step without those that it comes after."""

    after: tuple[type[Step], ...] = ()


def backed_up(cluster: Any) -> bool:
    return run_steps(cluster, (Alone,)).changed


def test_up_backs_up_when_the_roots_are_others_than_the_latest_backups(scene: Scene) -> None:
    assert backed_up(again(scene))
    assert changing(scene.cloud.calls(lambda: backed_up(again(scene)))) == []
    assert len(scene.keys) == 2
    assert not any("key.pem" in command for command in scene.machine.commands[-3:]), "certificates alone are compared"
    node_again = authorities.certificate("node1", None)
    scene.machine.files[SWARM_NODE] = authorities.pem(node_again) + scene.machine.files[SWARM_NODE]
    assert not backed_up(again(scene)), "nodes' certificates are renewed every three months"
    others = authorities.new_files()
    scene.machine.files |= {name: others[name] for name in (CLIENT_CERT, CLIENT_KEY)}
    assert backed_up(again(scene))
    assert len(scene.keys) == 4
    assert not backed_up(again(scene))


def test_up_without_ucp_or_with_skip_backs_nothing_up(scene: Scene) -> None:
    for config in ({"ucp": {"enabled": False}}, {"backup": {"skip": True}}):
        assert not backed_up(scene.again(**config))
    assert scene.machine.commands == []


def test_a_failing_backup_fails_the_step_and_the_next_run_makes_it(scene: Scene) -> None:
    scene.fail("PutObject", code="AccessDenied", status=403)
    with pytest.raises(StepsFailed, match="Back up the root CAs"):
        backed_up(again(scene))
    assert backed_up(again(scene))


def test_a_passphrase_in_the_environment_locks_and_proves(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKEREE_BACKUP_PASSPHRASE", "a dozen words or so")
    assert backed_up(scene.again(backup={}))
    found = find(scene.cluster, None)
    assert verify(found, Keys(passphrase="a dozen words or so")).record == found.record
    with pytest.raises(BackupError, match="passphrase does not open"):
        verify(found, Keys(passphrase="some other dozen"))
