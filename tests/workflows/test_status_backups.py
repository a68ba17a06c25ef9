"""The backups in `status`: the latest, whether it still is of use, and what is warned of."""

from __future__ import annotations

from typing import Any

import pytest
from support import authorities
from support.cloud import Cloud
from support.root_ca_scene import MachineRemote, Scene, make_scene

from dockeree.backup.encryption import Keys
from dockeree.context import Cluster
from dockeree.workflows.backup_ca import make_backup
from dockeree.workflows.status_backups import backup_status, backup_warnings, see_backups
from dockeree.workflows.status_document import BackupStatus

RECIPIENT = "age1qdye68j0c7uulag9nfkrmdkne579vr5h7l94su52pz56g4ltgujqs4l0ns"
CONFIGURED: dict[str, Any] = {"backup": {"recipients": [RECIPIENT]}}


@pytest.fixture
def scene(cloud: Cloud) -> Scene:
    return make_scene(cloud, **CONFIGURED)


def looked(scene: Scene, cluster: Cluster | None = None, *, asks: bool = True) -> tuple[BackupStatus | None, list[str]]:
    cluster = cluster or scene.cluster
    seen = see_backups(cluster)
    latest = backup_status(cluster, seen, MachineRemote("manager-a", scene.machine) if asks else None)
    return latest, backup_warnings(cluster, seen, latest)


def test_without_a_backup_it_says_how_to_make_one(scene: Scene) -> None:
    assert looked(scene) == (None, ["there is no backup of the root CAs; make one: dockeree backup-ca"])
    scene.cloud.api.client("s3").delete_bucket(Bucket=scene.bucket)
    assert looked(scene)[0] is None


def test_the_latest_is_compared_with_the_roots_of_now(scene: Scene) -> None:
    records = [make_backup(scene.cluster, Keys((RECIPIENT,))).record for _ in range(2)]
    newest = max(records, key=lambda record: record.id)
    later = newest.id
    assert looked(scene) == (BackupStatus(later, newest.manifest.created_at, True), [])
    scene.machine.files = authorities.new_files()
    latest, warnings = looked(scene)
    assert latest is not None
    assert latest.same_trust is False
    assert warnings == [
        f"the root CAs are others than those of the latest backup {later}; make one: dockeree backup-ca"
    ]
    scene.machine.is_dark = True
    for asks in (True, False):
        latest, warnings = looked(scene, asks=asks)
        assert latest is not None
        assert latest.same_trust is None
        assert warnings == []


def test_going_without_is_warned_of_and_no_ucp_is_not(scene: Scene) -> None:
    skipping = scene.again(backup={"skip": True})
    assert looked(scene, skipping)[1] == ["the root CAs are not backed up: backup.skip is set"]
    assert looked(scene, scene.again(ucp={"enabled": False})) == (None, [])
    calls = scene.cloud.calls(lambda: see_backups(scene.again(ucp={"enabled": False})))
    assert not [call for call in calls if call.startswith("s3 ")]


def test_who_may_not_look_into_the_bucket_sees_the_rest(scene: Scene) -> None:
    scene.fail("GetBucketTagging", code="AccessDenied", status=403)
    latest, [warning] = looked(scene)
    assert latest is None
    assert "cannot be looked at" in warning
    assert "AccessDenied" in warning
