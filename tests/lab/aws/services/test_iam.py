"""IAM's refusals, and roles and profiles as they are kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dockeree.lab.aws.iam import profile_is_usable

POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
)


def trust(**principal: Any) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


EC2 = trust(Service="ec2.amazonaws.com")


@pytest.fixture
def iam(api: Any) -> Any:
    return api.client("iam")


@pytest.fixture
def role(iam: Any) -> str:
    iam.create_role(RoleName="worker", AssumeRolePolicyDocument=EC2)
    return "worker"


def test_malformed_policies_are_refused(iam, role, refused):
    for document in ("{]", "{}", POLICY.replace("Allow", "Perhaps"), POLICY.replace("s3:GetObject", "GetObject")):
        with refused("MalformedPolicyDocument"):
            iam.put_role_policy(RoleName=role, PolicyName="own", PolicyDocument=document)
        with refused("MalformedPolicyDocument"):
            iam.create_policy(PolicyName="managed", PolicyDocument=document)


def test_malformed_trust_is_refused(iam, refused):
    for document in ("{]", POLICY, trust(), trust(Service="ec2"), trust(Nobody="ec2.amazonaws.com")):
        with refused("MalformedPolicyDocument"):
            iam.create_role(RoleName="broken", AssumeRolePolicyDocument=document)
    with refused("NoSuchEntity"):
        iam.get_role(RoleName="broken")


def test_inline_policies_have_a_limit(iam, role, refused):
    arns = [f"arn:aws:s3:::bucket/{number:060}" for number in range(160)]
    large = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": arns}]}
    )
    with refused("LimitExceeded"):
        iam.put_role_policy(RoleName=role, PolicyName="large", PolicyDocument=large)


def test_a_role_goes_last(iam, role, refused):
    managed = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    iam.put_role_policy(RoleName=role, PolicyName="own", PolicyDocument=POLICY)
    iam.attach_role_policy(RoleName=role, PolicyArn=managed)
    iam.create_instance_profile(InstanceProfileName="worker")
    iam.add_role_to_instance_profile(InstanceProfileName="worker", RoleName=role)
    with refused("DeleteConflict"):
        iam.delete_role(RoleName=role)
    with refused("DeleteConflict"):
        iam.delete_instance_profile(InstanceProfileName="worker")
    iam.remove_role_from_instance_profile(InstanceProfileName="worker", RoleName=role)
    with refused("NoSuchEntity"):
        iam.remove_role_from_instance_profile(InstanceProfileName="worker", RoleName=role)
    with refused("DeleteConflict"):
        iam.delete_role(RoleName=role)
    iam.detach_role_policy(RoleName=role, PolicyArn=managed)
    with refused("DeleteConflict"):
        iam.delete_role(RoleName=role)
    iam.delete_role_policy(RoleName=role, PolicyName="own")
    iam.delete_role(RoleName=role)
    iam.delete_instance_profile(InstanceProfileName="worker")


def test_an_attached_policy_cannot_be_deleted(iam, role, refused):
    arn = iam.create_policy(PolicyName="managed", PolicyDocument=POLICY)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    with refused("DeleteConflict"):
        iam.delete_policy(PolicyArn=arn)
    iam.detach_role_policy(RoleName=role, PolicyArn=arn)
    version = iam.create_policy_version(PolicyArn=arn, PolicyDocument=POLICY)["PolicyVersion"]["VersionId"]
    with refused("DeleteConflict"):
        iam.delete_policy(PolicyArn=arn)
    iam.delete_policy_version(PolicyArn=arn, VersionId=version)
    iam.delete_policy(PolicyArn=arn)


def test_a_profile_holds_one_role(iam, role, refused):
    iam.create_instance_profile(InstanceProfileName="worker")
    iam.add_role_to_instance_profile(InstanceProfileName="worker", RoleName=role)
    iam.create_role(RoleName="second", AssumeRolePolicyDocument=EC2)
    with refused("LimitExceeded"):
        iam.add_role_to_instance_profile(InstanceProfileName="worker", RoleName="second")


@pytest.mark.parametrize("time_scale", [0.05])
def test_a_new_profile_is_not_usable_at_once(api, iam, role, eventually):
    profile = iam.create_instance_profile(InstanceProfileName="worker")["InstanceProfile"]
    assert not profile_is_usable(api.lab, "worker")
    iam.add_role_to_instance_profile(InstanceProfileName="worker", RoleName=role)
    eventually(lambda: profile_is_usable(api.lab, "worker"))
    assert profile_is_usable(api.lab, profile["Arn"])
    assert not profile_is_usable(api.lab, "unknown")


def test_tags_path_and_boundary_are_kept(iam, refused):
    tags = [{"Key": "dockeree:cluster", "Value": "demo"}]
    boundary = iam.create_policy(PolicyName="boundary", PolicyDocument=POLICY)["Policy"]["Arn"]
    iam.create_role(
        RoleName="worker", Path="/dockeree/", AssumeRolePolicyDocument=EC2, Tags=tags, PermissionsBoundary=boundary
    )
    role = iam.get_role(RoleName="worker")["Role"]
    assert role["Arn"] == "arn:aws:iam::123456789012:role/dockeree/worker"
    assert role["Tags"] == tags
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    profile = iam.create_instance_profile(InstanceProfileName="worker", Path="/dockeree/", Tags=tags)
    assert profile["InstanceProfile"]["Tags"] == tags
    with refused("NoSuchEntity"):
        iam.create_role(
            RoleName="other", AssumeRolePolicyDocument=EC2, PermissionsBoundary=boundary.replace("boundary", "none")
        )


def test_service_linked_roles_once(iam, refused):
    name = iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")["Role"]["RoleName"]
    assert name == "AWSServiceRoleForAutoScaling"
    with refused("InvalidInput"):
        iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")


def test_a_user_with_keys_cannot_be_deleted(iam, refused):
    iam.create_user(UserName="someone")
    key_id = iam.create_access_key(UserName="someone")["AccessKey"]["AccessKeyId"]
    with refused("DeleteConflict"):
        iam.delete_user(UserName="someone")
    iam.delete_access_key(UserName="someone", AccessKeyId=key_id)
    iam.delete_user(UserName="someone")
