"""The steps of UCP: installed once, gone on with after a death, never put over something that somebody uses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.cloud import Cloud
from support.console_stage import HOSTS, Stage, make_stage
from support.fake_consoles import PASSWORD, TOKEN, Node

from dockeree import redaction
from dockeree.aws import parameters
from dockeree.errors import AwsError, DockereeError, UsageError
from dockeree.node import ucp
from dockeree.ssh.remote import Result
from dockeree.steps.enterprise_images import PullDtrImages, PullUcpImages
from dockeree.steps.ucp_install import InstallUcp
from dockeree.steps.ucp_labels import LabelManagers
from dockeree.steps.ucp_password import KeepPassword
from dockeree.steps.ucp_settings import AwaitControllers, ConfigureUcp

NAMES = f"{HOSTS['ucp']},ucp.demo.dockeree.internal"
BROKE_OFF = Result(1, "", "INFO[0003] Step 5 of 8: [Volumes]\nFATA[0004] no space left on device\n")
PARAMETER = "/dockeree/demo/operator/ucp-password"


@pytest.fixture
def stage(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return make_stage(cloud, monkeypatch)


@pytest.fixture
def with_password(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setenv("DOCKEREE_UCP_PASSWORD", PASSWORD)
    assert KeepPassword().run(stage.cluster)
    monkeypatch.delenv("DOCKEREE_UCP_PASSWORD")
    return stage


def kept(stage: Stage) -> parameters.Parameter | None:
    return parameters.get_parameter(stage.cluster.aws, PARAMETER)


class TestPassword:
    def test_one_is_made_kept_and_kept_from_then_on(self, stage: Stage, cloud: Cloud) -> None:
        assert KeepPassword().run(stage.cluster)
        password = kept(stage)
        assert password is not None
        assert len(password.value) == 24
        assert redaction.redact(f"it is {password.value}.") == "it is ***."
        assert KeepPassword().run(stage.cluster) is False
        [described] = cloud.api.client("ssm").describe_parameters()["Parameters"]
        assert (described["Name"], described["Type"]) == (PARAMETER, "SecureString")

    def test_a_typed_one_and_a_key_of_the_operator_s_own(self, stage: Stage, cloud: Cloud) -> None:
        stage.configured(secrets={"kms_key_id": "alias/missing"})
        with pytest.raises(AwsError, match="alias/missing"):
            KeepPassword().run(stage.cluster)
        stage.configured(secrets={"kms_key_id": "alias/aws/ssm"})
        assert KeepPassword().run(replace(stage.cluster, chosen_password="typed at the prompt"))
        password = kept(stage)
        assert password is not None
        assert password.value == "typed at the prompt"
        assert cloud.api.client("ssm").describe_parameters()["Parameters"][0]["KeyId"] == "alias/aws/ssm"

    @pytest.mark.parametrize("password", ["seven77", "two\nlines of it"])
    def test_one_that_ucp_would_not_take_is_refused(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch, password: str
    ) -> None:
        monkeypatch.setenv("DOCKEREE_UCP_PASSWORD", password)
        with pytest.raises(UsageError, match="DOCKEREE_UCP_PASSWORD: "):
            KeepPassword().run(stage.cluster)
        assert kept(stage) is None

    def test_destroy_deletes_it(self, with_password: Stage) -> None:
        assert KeepPassword().undo(with_password.cluster)
        assert kept(with_password) is None
        assert KeepPassword().undo(with_password.cluster) is False


class TestImages:
    def test_every_manager_pulls_what_the_release_is_made_of(self, stage: Stage) -> None:
        assert PullUcpImages().run(stage.cluster)
        assert PullDtrImages().run(stage.cluster)
        for index in range(3):
            assert stage.node(index).images == {
                *("mirantis/ucp:3.8.12", "mirantis/ucp-part:3.8.12"),
                *("mirantis/dtr:2.9.29", "mirantis/dtr-part:2.9.29"),
            }
        assert PullUcpImages().run(stage.cluster) is False
        assert PullDtrImages().run(stage.cluster) is False

    def test_an_installer_at_work_is_left_alone(self, stage: Stage) -> None:
        stage.node(1).containers["ucp"] = "running"
        PullUcpImages().run(stage.cluster)
        assert stage.node(1).images == set()
        assert stage.node(0).images


class TestLabels:
    def test_every_manager_gets_every_name_and_keeps_those_of_others(self, stage: Stage) -> None:
        stage.labels(2)[ucp.SANS_LABEL] = "console.example.org"
        assert LabelManagers().run(stage.cluster)
        assert stage.labels(0)[ucp.SANS_LABEL] == NAMES
        assert stage.labels(2)[ucp.SANS_LABEL] == f"{NAMES},console.example.org"
        assert LabelManagers().run(stage.cluster) is False

    def test_an_own_domain_is_one_of_the_names(self, stage: Stage) -> None:
        stage.configured(ucp={"domain": "ucp.example.com"})
        LabelManagers().run(stage.cluster)
        assert stage.labels(1)[ucp.SANS_LABEL] == f"ucp.example.com,{NAMES}"


class TestInstallation:
    def test_it_is_installed_on_the_leader_and_a_second_run_changes_nothing(self, with_password: Stage) -> None:
        stage = with_password
        assert InstallUcp().run(stage.cluster)
        assert stage.consoles.stdin_of == [("install", PASSWORD.encode() + b"\n")]
        [command] = stage.typed("mirantis/ucp:3.8.12 install")
        assert f"--host-address {stage.addresses[0]}" in command
        assert f"--san {HOSTS['ucp']} --san ucp.demo.dockeree.internal" in command
        assert ucp.INSTALLING_LABEL not in stage.labels(0)
        before = len(stage.machines.changing)
        assert InstallUcp().run(stage.cluster) is False
        assert len(stage.machines.changing) == before

    def test_a_failure_tells_phase_node_reason_and_what_to_do_and_the_next_run_goes_on(
        self, with_password: Stage
    ) -> None:
        stage = with_password
        stage.consoles.ucp_outcomes = [BROKE_OFF, Result(0, "", "")]
        with pytest.raises(DockereeError, match="on manager-a, at “Volumes”: no space left on device") as no:
            InstallUcp().run(stage.cluster)
        assert "`dockeree up` again: it clears away what is left" in no.value.hint
        assert ucp.INSTALLING_LABEL in stage.labels(0)
        assert InstallUcp().run(stage.cluster)
        assert [command for command, _ in stage.consoles.stdin_of] == ["install", "uninstall-ucp", "install"]
        assert any("broke off" in said for said in stage.report.said)
        assert ucp.INSTALLING_LABEL not in stage.labels(0)

    def test_what_somebody_may_have_used_is_never_cleared_away(self, with_password: Stage) -> None:
        stage = with_password
        stage.consoles.installed()
        for index in range(3):
            stage.node(index).ucp_answers = (500, '{"message": "auth store is down"}')
        before = len(stage.machines.changing)
        with pytest.raises(DockereeError, match="none of its controllers answers; nothing was changed"):
            InstallUcp().run(stage.cluster)
        assert len(stage.machines.changing) == before

    def test_killed_after_the_installer_had_ended_well(self, with_password: Stage) -> None:
        stage = with_password
        stage.consoles.installed()
        stage.labels(1)[ucp.INSTALLING_LABEL] = "true"
        assert InstallUcp().run(stage.cluster)
        assert stage.consoles.stdin_of == []
        assert ucp.INSTALLING_LABEL not in stage.labels(1)

    def test_killed_while_the_installer_works_it_is_waited_for(self, with_password: Stage) -> None:
        stage = with_password
        stage.labels(0)[ucp.INSTALLING_LABEL] = "true"
        stage.node(0).containers["ucp"] = "running"
        stage.consoles.while_following = lambda node: stage.consoles.installed()
        assert InstallUcp().run(stage.cluster)
        assert stage.consoles.stdin_of == []

    def test_a_dead_installer_s_container_makes_room(self, with_password: Stage) -> None:
        with_password.node(2).containers["ucp"] = "exited"
        assert InstallUcp().run(with_password.cluster)
        assert "ucp" not in with_password.node(2).containers

    def test_another_version_is_said_and_not_upgraded(self, with_password: Stage) -> None:
        stage = with_password
        stage.consoles.installed()
        stage.configured(ucp={"image": "mirantis/ucp:3.8.13"})
        assert InstallUcp().run(stage.cluster) is False
        assert stage.report.warned == [
            "UCP 3.8.12 is installed, and ucp.image is mirantis/ucp:3.8.13: `up` does not upgrade UCP"
        ]

    def test_licence_and_own_certificate_go_there_by_files(self, with_password: Stage, tmp_path: Path) -> None:
        stage = with_password
        files = {name: tmp_path / name for name in ("ca", "cert", "key", "lic")}
        for name, path in files.items():
            path.write_text(f"the {name}")
        certificate = {name: str(files[name]) for name in ("ca", "cert", "key")}
        section = {"domain": "ucp.example.com", "certificate": certificate, "license_file": str(files["lic"])}
        stage.configured(ucp=section)
        InstallUcp().run(stage.cluster)
        [command] = stage.typed(" install ")
        assert "--external-server-cert" in command
        for index in range(3):
            assert "the key" in stage.node(index).files["volume"]
        assert "the key" not in "".join(stage.machines.changing)
        assert ucp.LICENSE_ON_NODE not in stage.node(0).files, "the licence stays on no node"


class TestController:
    def test_controllers_certificates_and_the_balancer_are_awaited(self, with_password: Stage) -> None:
        stage = with_password
        stage.consoles.installed()
        looks: list[Node] = []

        def heal() -> None:
            looks.append(stage.node(2))
            if len(looks) > 20:
                stage.node(2).ucp_answers = (200, "OK")

        stage.node(2).ucp_answers = (500, "not yet")
        stage.machines.before_answer = heal
        assert AwaitControllers().run(stage.cluster) is False
        verified = [command for _, command, _ in stage.machines.commands if command.startswith("cat | curl")]
        for address in stage.addresses:
            for name in NAMES.split(","):
                assert any(f"--connect-to {name}:443:{address}:443" in command for command in verified)
        assert any("--connect-to" not in command and f"https://{HOSTS['ucp']}/_ping" in command for command in verified)

    def test_administrators_may_schedule_and_nothing_else_is_changed(self, with_password: Stage) -> None:
        stage = with_password
        stage.consoles.installed()
        assert ConfigureUcp().run(stage.cluster)
        assert ucp.allows_admin_scheduling(stage.consoles.config)
        assert ConfigureUcp().run(stage.cluster) is False
        assert redaction.redact(TOKEN) == "***"

    def test_without_dtr_on_the_managers_they_may_not(self, with_password: Stage) -> None:
        with_password.consoles.installed()
        with_password.configured(dtr={"enabled": False})
        assert ConfigureUcp().run(with_password.cluster) is False
        assert not ucp.allows_admin_scheduling(with_password.consoles.config)

    def test_the_licence_is_given_and_another_one_replaces_it(self, with_password: Stage, tmp_path: Path) -> None:
        stage = with_password
        stage.consoles.installed()
        path = tmp_path / "docker_subscription.lic"
        stage.configured(ucp={"license_file": str(path)}, dtr={"enabled": False})
        for key in ("k1", "k2"):
            path.write_text(json.dumps({"key_id": key, "private_key": "p", "authorization": "a"}))
            assert ConfigureUcp().run(stage.cluster)
            assert stage.consoles.license is not None
            assert stage.consoles.license["key_id"] == key
            assert ConfigureUcp().run(stage.cluster) is False
        path.write_text("not a licence")
        with pytest.raises(DockereeError, match="is no licence"):
            ConfigureUcp().run(stage.cluster)

    def test_a_password_changed_in_ucp_is_said_and_the_right_one_is_kept(
        self, with_password: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stage = with_password
        stage.consoles.installed()
        stage.consoles.password = "changed in the console"
        with pytest.raises(DockereeError, match="does not take the administrator's password") as no:
            ConfigureUcp().run(stage.cluster)
        assert "DOCKEREE_UCP_PASSWORD" in no.value.hint
        monkeypatch.setenv("DOCKEREE_UCP_PASSWORD", "changed in the console")
        # The fake holds every command against the first password alone.
        assert ConfigureUcp().run(stage.cluster)
        password = kept(stage)
        assert password is not None
        assert password.value == "changed in the console"
