"""DTR's steps: one replica first, its storage in S3, trust everywhere, the others one after the other, the proof."""

from __future__ import annotations

import json

import pytest
from support.cloud import Cloud
from support.console_stage import HOSTS, Stage, make_stage
from support.fake_consoles import AUTHORITIES, PASSWORD

from dockeree.aws import parameters
from dockeree.errors import DockereeError
from dockeree.node import dtr
from dockeree.ssh.remote import Result
from dockeree.steps.dtr_join import JoinDtrReplicas
from dockeree.steps.dtr_master import InstallDtrMaster
from dockeree.steps.dtr_storage import ConfigureDtrStorage
from dockeree.steps.dtr_trust import TrustDtr
from dockeree.steps.dtr_verify import VerifyDtr
from dockeree.steps.ucp_password import KeepPassword

IDS = ["0123abcd000a", "0123abcd000b", "0123abcd000c"]
BUCKET = "dockeree-demo-123456789012-us-east-1-images"
BROKE_OFF = Result(1, "", "INFO[0003] Waiting for running dtr-phase2 container to finish\nFATA[0004] timed out\n")
FINE = Result(0, "", "")
TRUST = f"/etc/docker/certs.d/{HOSTS['dtr']}/ca.crt"


@pytest.fixture
def stage(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = make_stage(cloud, monkeypatch)
    monkeypatch.setenv("DOCKEREE_UCP_PASSWORD", PASSWORD)
    KeepPassword().run(made.cluster)
    monkeypatch.delenv("DOCKEREE_UCP_PASSWORD")
    made.consoles.installed()
    return made


@pytest.fixture
def with_master(stage: Stage) -> Stage:
    assert InstallDtrMaster().run(stage.cluster)
    return stage


@pytest.fixture
def with_all(with_master: Stage) -> Stage:
    assert ConfigureDtrStorage().run(with_master.cluster)
    assert JoinDtrReplicas().run(with_master.cluster)
    return with_master


def installers(stage: Stage) -> list[str]:
    return [command for command, _ in stage.consoles.stdin_of]


class TestFirstReplica:
    def test_it_is_installed_on_the_first_manager_and_a_second_run_changes_nothing(self, with_master: Stage) -> None:
        stage = with_master
        assert stage.consoles.stdin_of == [("install", PASSWORD.encode() + b"\n")]
        [command] = stage.typed("mirantis/dtr:2.9.29 install")
        assert f"--dtr-external-url https://{HOSTS['dtr']}" in command
        assert f"--ucp-url https://{HOSTS['ucp']}" in command
        assert f"--replica-id {IDS[0]}" in command
        assert dtr.PENDING_LABEL not in stage.labels(0)
        before = len(stage.machines.changing)
        assert InstallDtrMaster().run(stage.cluster) is False
        assert len(stage.machines.changing) == before

    def test_one_that_broke_off_is_told_with_its_reason_and_made_again(self, stage: Stage) -> None:
        stage.consoles.dtr_outcomes = [BROKE_OFF, FINE]
        with pytest.raises(DockereeError, match="DTR could not be installed on manager-a, at “Waiting for running"):
            InstallDtrMaster().run(stage.cluster)
        assert stage.labels(0)[dtr.PENDING_LABEL] == IDS[0]
        assert InstallDtrMaster().run(stage.cluster)
        assert installers(stage) == ["install", "destroy", "install"]

    def test_one_that_was_finished_is_never_made_again(self, with_master: Stage) -> None:
        with_master.node(0).dtr_healthy = False
        with pytest.raises(DockereeError, match="none of its replicas is well; nothing was changed"):
            InstallDtrMaster().run(with_master.cluster)
        assert installers(with_master) == ["install"]

    def test_killed_while_the_installer_works_it_is_waited_for(self, stage: Stage) -> None:
        def finish(node: object) -> None:
            stage.consoles.replicas[IDS[0]] = stage.addresses[0]
            stage.node(0).containers[f"dtr-registry-{IDS[0]}"] = "running"

        stage.node(0).containers[dtr.INSTALLER] = "running"
        stage.consoles.while_following = finish
        assert InstallDtrMaster().run(stage.cluster) is False
        assert installers(stage) == []


class TestStorage:
    def test_it_is_switched_read_back_and_tried(self, with_master: Stage) -> None:
        stage = with_master
        assert ConfigureDtrStorage().run(stage.cluster)
        s3 = stage.consoles.storage["s3"]
        assert (s3["bucket"], s3["region"]) == (BUCKET, "us-east-1")
        assert "accesskey" not in s3
        assert "manifest" in stage.consoles.blobs
        calls = [(method, url.rpartition("/")[2]) for _, method, url in stage.consoles.requests]
        assert ("PUT", "simple") in calls
        assert calls.index(("PUT", "simple")) < len(calls) - 1 - calls[::-1].index(("GET", "simple"))
        assert ConfigureDtrStorage().run(stage.cluster) is False

    def test_a_failure_of_the_credentials_names_imdsv2_and_the_way_out(self, with_master: Stage) -> None:
        with_master.consoles.push_status = 500
        with pytest.raises(DockereeError, match=r"cannot store an image.*NoCredentialProviders") as no:
            ConfigureDtrStorage().run(with_master.cluster)
        assert "IMDSv2" in no.value.hint
        assert "dtr.s3.credentials: user" in no.value.hint

    def test_a_storage_that_somebody_chose_is_left(self, with_master: Stage) -> None:
        with_master.consoles.storage = {"s3": {"bucket": "theirs", "region": "eu-west-1"}}
        assert ConfigureDtrStorage().run(with_master.cluster) is False
        assert with_master.consoles.storage["s3"]["bucket"] == "theirs"
        assert "keeps its images in the bucket theirs" in with_master.report.warned[0]

    def test_a_user_s_keys_go_there_and_into_no_command(self, with_master: Stage) -> None:
        stage = with_master
        stage.configured(dtr={"enabled": True, "s3": {"credentials": "user"}})
        with pytest.raises(DockereeError, match="access keys are not in"):
            ConfigureDtrStorage().run(stage.cluster)
        keys = json.dumps({"access_key_id": "AKIAEXAMPLE", "secret_access_key": "hidden-secret"})
        name = parameters.registry_keys_name("demo")
        stage.cluster.aws.ssm.put_parameter(Name=name, Value=keys, Type="SecureString")
        assert ConfigureDtrStorage().run(stage.cluster)
        assert stage.consoles.storage["s3"]["secretkey"] == "hidden-secret"
        assert not any("hidden-secret" in command for _, command, _ in stage.machines.commands)


class TestTrust:
    def test_it_is_published_and_written_on_every_node(self, with_master: Stage) -> None:
        stage = with_master
        assert TrustDtr().run(stage.cluster)
        for index in range(3):
            assert stage.node(index).files == {TRUST: AUTHORITIES}
        for role in ("manager", "worker"):
            kept = parameters.get_parameter(stage.cluster.aws, parameters.registry_trust_name("demo", role))
            assert kept is not None
            assert json.loads(kept.value) == {"format_version": 1, "host": HOSTS["dtr"], "ca": AUTHORITIES}
        assert TrustDtr().run(stage.cluster) is False
        assert TrustDtr().undo(stage.cluster)
        assert TrustDtr().undo(stage.cluster) is False

    def test_other_authorities_replace_those_there(self, with_master: Stage) -> None:
        TrustDtr().run(with_master.cluster)
        with_master.node(1).files[TRUST] = "of an earlier DTR"
        assert TrustDtr().run(with_master.cluster)
        assert with_master.node(1).files[TRUST] == AUTHORITIES


class TestJoins:
    def test_the_others_join_one_after_the_other(self, with_all: Stage) -> None:
        stage = with_all
        assert list(stage.consoles.replicas) == IDS
        assert installers(stage) == ["install", "join", "join"]
        assert all(dtr.PENDING_LABEL not in stage.labels(index) for index in range(3))
        assert JoinDtrReplicas().run(stage.cluster) is False

    def test_a_join_that_fails_is_cleared_away_and_tried_again(self, with_master: Stage) -> None:
        stage = with_master
        ConfigureDtrStorage().run(stage.cluster)
        stage.consoles.dtr_outcomes = [BROKE_OFF, FINE]
        assert JoinDtrReplicas().run(stage.cluster)
        assert installers(stage) == ["install", "join", "destroy", "join", "join"]
        assert list(stage.consoles.replicas) == IDS

    def test_a_join_that_always_fails_is_an_error_and_the_next_run_goes_on(self, with_master: Stage) -> None:
        stage = with_master
        ConfigureDtrStorage().run(stage.cluster)
        stage.consoles.dtr_outcomes = [BROKE_OFF]
        with pytest.raises(DockereeError, match="DTR's replica could not be installed on manager-b"):
            JoinDtrReplicas().run(stage.cluster)
        assert installers(stage).count("join") == 3
        stage.consoles.dtr_outcomes = [FINE]
        assert JoinDtrReplicas().run(stage.cluster)
        assert list(stage.consoles.replicas) == IDS

    def test_one_left_half_by_a_killed_run_is_removed_from_the_cluster_first(self, with_master: Stage) -> None:
        stage = with_master
        ConfigureDtrStorage().run(stage.cluster)
        stage.labels(1)[dtr.PENDING_LABEL] = IDS[1]
        stage.node(1).containers[f"dtr-registry-{IDS[1]}"] = "running"
        stage.consoles.replicas[IDS[1]] = stage.addresses[1]
        assert JoinDtrReplicas().run(stage.cluster)
        assert installers(stage) == ["install", "remove", "destroy", "join", "join"]

    def test_one_that_was_finished_is_waited_for_and_never_made_again(self, with_all: Stage) -> None:
        with_all.node(2).dtr_healthy = False
        with pytest.raises(DockereeError, match="DTR on manager-c: not within 180 s") as no:
            JoinDtrReplicas().run(with_all.cluster)
        assert "remove --existing-replica-id" in no.value.hint
        assert installers(with_all) == ["install", "join", "join"]


class TestProof:
    def test_what_one_replica_takes_every_other_one_gives(self, with_all: Stage) -> None:
        stage = with_all
        stage.consoles.blobs.clear()
        assert VerifyDtr().run(stage.cluster)
        pulled = {name for name, method, url in stage.consoles.requests if method == "GET" and "/blobs/" in url}
        assert pulled == {"manager-a", "manager-b", "manager-c"}
        pushed = {name for name, method, url in stage.consoles.requests if method == "PUT" and "/manifests/" in url}
        assert pushed == {"manager-a"}
        assert VerifyDtr().run(stage.cluster) is False

    def test_every_replica_s_certificate_is_held_against_dtr_s_name(self, with_all: Stage) -> None:
        VerifyDtr().run(with_all.cluster)
        verified = [command for _, command, _ in with_all.machines.commands if command.startswith("cat | curl")]
        for address in with_all.addresses:
            assert any(f"--connect-to {HOSTS['dtr']}:443:{address}:4443" in command for command in verified)
