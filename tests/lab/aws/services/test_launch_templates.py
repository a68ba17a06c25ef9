"""Launch templates: limits, idempotency, versions."""

from __future__ import annotations

import base64

import pytest


def _user_data(size: int) -> str:
    return base64.b64encode(b"#" * size).decode()


@pytest.fixture
def create(ec2):
    def create(name="workers", **settings):
        data = {"InstanceType": "t3.medium", **settings.pop("data", {})}
        answer = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data, **settings)
        return answer["LaunchTemplate"]["LaunchTemplateId"]

    return create


def test_user_data_over_16_kib_is_refused(ec2, create, refused):
    template_id = create(data={"UserData": _user_data(16 * 1024)})
    with refused("InvalidParameterValue"):
        create("other", data={"UserData": _user_data(16 * 1024 + 1)})
    with refused("InvalidParameterValue"):
        ec2.create_launch_template_version(
            LaunchTemplateId=template_id, LaunchTemplateData={"UserData": _user_data(16 * 1024 + 1)}
        )


def test_client_token(ec2, create, refused):
    first = create(ClientToken="token")
    assert create(ClientToken="token") == first
    assert len(ec2.describe_launch_templates()["LaunchTemplates"]) == 1
    with refused("IdempotentParameterMismatch"):
        create(ClientToken="token", data={"InstanceType": "t3.large"})
    with refused("InvalidLaunchTemplateName.AlreadyExistsException"):
        create(ClientToken="another")


def test_a_version_from_another(ec2, create):
    template_id = create(data={"KeyName": "key", "UserData": _user_data(3)})
    ec2.create_launch_template_version(
        LaunchTemplateId=template_id, SourceVersion="1", LaunchTemplateData={"InstanceType": "t3.large"}
    )
    (version,) = ec2.describe_launch_template_versions(LaunchTemplateId=template_id, Versions=["$Latest"])[
        "LaunchTemplateVersions"
    ]
    data = version["LaunchTemplateData"]
    assert version["VersionNumber"] == 2
    assert not version["DefaultVersion"]
    assert (data["InstanceType"], data["KeyName"], data["UserData"]) == ("t3.large", "key", _user_data(3))


def test_the_templates_own_tags_are_not_the_instances(ec2, create):
    own = {"ResourceType": "launch-template", "Tags": [{"Key": "dockeree:role", "Value": "workers"}]}
    given = {"ResourceType": "instance", "Tags": [{"Key": "dockeree:role", "Value": "worker"}]}
    template_id = create(TagSpecifications=[own], data={"TagSpecifications": [given]})
    (template,) = ec2.describe_launch_templates(LaunchTemplateIds=[template_id])["LaunchTemplates"]
    assert template["Tags"] == own["Tags"]
    (version,) = ec2.describe_launch_template_versions(LaunchTemplateId=template_id)["LaunchTemplateVersions"]
    assert version["LaunchTemplateData"]["TagSpecifications"] == [given]


def test_unknown_templates_and_versions(ec2, create, refused):
    template_id = create()
    with refused("InvalidLaunchTemplateId.NotFound"):
        ec2.describe_launch_templates(LaunchTemplateIds=["lt-0123456789abcdef0"])
    with refused("InvalidLaunchTemplateName.NotFoundException"):
        ec2.describe_launch_templates(LaunchTemplateNames=["unknown"])
    with refused("InvalidLaunchTemplateName.NotFoundException"):
        ec2.delete_launch_template(LaunchTemplateName="unknown")
    for version in ("2", "0", "-1"):
        with refused("InvalidLaunchTemplateId.VersionNotFound"):
            ec2.describe_launch_template_versions(LaunchTemplateId=template_id, Versions=[version])
