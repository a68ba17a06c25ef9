"""IAM in front of every call, over HTTP: what a role's policy does not say, its nodes cannot do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

ACCOUNT = "123456789012"
PARAMETERS = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter"


def policy(*statements: tuple[Any, Any], **condition: Any) -> str:
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow", "Action": action, "Resource": resource,
                    **({"Condition": condition} if condition else {}),
                }
                for action, resource in statements
            ],
        }
    )  # fmt: skip


WORKER = policy(
    (["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"], f"{PARAMETERS}/dockeree/demo/worker/*")
)


@pytest.fixture
def operator_ssm(api: Any) -> Any:
    """The operator's client, with a few parameters put."""
    ssm = api.client("ssm")
    ssm.put_parameter(Name="/dockeree/demo/worker/join", Value="token", Type="SecureString")
    ssm.put_parameter(Name="/dockeree/demo/worker/more/deep", Value="deep", Type="String")
    ssm.put_parameter(Name="/dockeree/demo/operator/ssh-key", Value="key", Type="SecureString")
    ssm.put_parameter(Name="/dockeree/demo/worker-not/x", Value="no", Type="String")
    return ssm


@pytest.fixture
def as_role(api: Any, make_profile: Any) -> Callable[..., Any]:
    """A client with the temporary credentials of a role that EC2 may assume, as its nodes have them."""
    from moto.sts.models import sts_backends

    def client(service: str, document: str, name: str = "worker", **assumed: Any) -> Any:
        arn = make_profile(name, document)
        session = sts_backends[ACCOUNT]["aws"].assume_role(
            region_name="us-east-1",
            role_session_name="i-0123456789abcdef0",
            role_arn=arn,
            external_id="",
            **{"policy": "", "duration": 3600, **assumed},
        )
        return api.client(
            service, credentials=(session.access_key_id, session.secret_access_key, session.session_token)
        )

    return client


def test_a_worker_reads_its_own_path_and_nothing_else(operator_ssm, as_role, refused):
    ssm = as_role("ssm", WORKER)
    parameter = ssm.get_parameter(Name="/dockeree/demo/worker/join", WithDecryption=True)["Parameter"]
    assert parameter["Value"] == "token"
    for name in ("/dockeree/demo/operator/ssh-key", "/dockeree/demo/worker-not/x", "/dockeree/demo/unknown"):
        with refused("AccessDeniedException"):
            ssm.get_parameter(Name=name, WithDecryption=True)
    with refused("AccessDeniedException"):
        ssm.put_parameter(Name="/dockeree/demo/worker/join", Value="mine", Type="String", Overwrite=True)
    with refused("AccessDeniedException"):
        ssm.delete_parameter(Name="/dockeree/demo/worker/join")
    with refused("AccessDeniedException"):
        ssm.describe_parameters()


def test_each_of_several_names_is_checked(operator_ssm, as_role, refused):
    ssm = as_role("ssm", WORKER)
    own = ["/dockeree/demo/worker/join", "/dockeree/demo/worker/more/deep"]
    assert len(ssm.get_parameters(Names=own)["Parameters"]) == 2
    with refused("AccessDeniedException"):
        ssm.get_parameters(Names=[own[0], "/dockeree/demo/operator/ssh-key"])


def test_by_path_is_checked_on_the_path(operator_ssm, as_role, refused):
    ssm = as_role("ssm", WORKER)
    found = ssm.get_parameters_by_path(Path="/dockeree/demo/worker/", Recursive=True)["Parameters"]
    assert len(found) == 2
    for path in ("/dockeree/demo", "/dockeree/demo/", "/", "/dockeree/demo/operator/"):
        with refused("AccessDeniedException"):
            ssm.get_parameters_by_path(Path=path, Recursive=True)


def test_the_name_may_be_an_arn_or_have_a_version(operator_ssm, as_role, refused):
    ssm = as_role("ssm", WORKER)
    assert ssm.get_parameter(Name=f"{PARAMETERS}/dockeree/demo/worker/join")["Parameter"]["Version"] == 1
    assert ssm.get_parameter(Name="/dockeree/demo/worker/join:1")["Parameter"]["Version"] == 1
    with refused("AccessDeniedException"):
        ssm.get_parameter(Name=f"{PARAMETERS}/dockeree/demo/operator/ssh-key")


def test_amazon_ssm_managed_instance_core_reads_everything(api, operator_ssm, as_role):
    ssm = as_role("ssm", WORKER)
    api.client("iam").attach_role_policy(
        RoleName="worker", PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    )
    assert ssm.get_parameter(Name="/dockeree/demo/operator/ssh-key", WithDecryption=True)["Parameter"]["Value"] == "key"


def test_a_secret_under_a_key_of_ones_own_needs_the_key(api, operator_ssm, as_role, refused):
    key = api.client("kms").create_key()["KeyMetadata"]
    name = "/dockeree/demo/worker/own-key"
    operator_ssm.put_parameter(Name=name, Value="x", Type="SecureString", KeyId=key["KeyId"])
    ssm = as_role("ssm", WORKER)
    assert ssm.get_parameter(Name=name)["Parameter"]["Value"] != "x"
    with refused("AccessDeniedException"):
        ssm.get_parameter(Name=name, WithDecryption=True)
    api.client("iam").put_role_policy(
        RoleName="worker", PolicyName="key", PolicyDocument=policy(("kms:Decrypt", key["Arn"]))
    )
    assert ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"] == "x"


def test_deny_and_boundary(api, operator_ssm, as_role, refused):
    iam = api.client("iam")
    ssm = as_role("ssm", policy(("ssm:*", "*")))
    ssm.get_parameter(Name="/dockeree/demo/operator/ssh-key")
    boundary = iam.create_policy(PolicyName="boundary", PolicyDocument=WORKER)["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName="worker", PermissionsBoundary=boundary)
    ssm.get_parameter(Name="/dockeree/demo/worker/join")
    with refused("AccessDeniedException"):
        ssm.get_parameter(Name="/dockeree/demo/operator/ssh-key")
    denying = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "ssm:*", "Resource": "*"}]}
    )
    iam.put_role_policy(RoleName="worker", PolicyName="deny", PolicyDocument=denying)
    with refused("AccessDeniedException"):
        ssm.get_parameter(Name="/dockeree/demo/worker/join")


def test_session_policy_and_expiry(operator_ssm, as_role, refused):
    everything = policy(("ssm:*", "*"))
    limited = as_role("ssm", everything, "limited", policy=WORKER)
    limited.get_parameter(Name="/dockeree/demo/worker/join")
    with refused("AccessDeniedException"):
        limited.get_parameter(Name="/dockeree/demo/operator/ssh-key")
    with refused("ExpiredToken", "ExpiredTokenException"):
        as_role("ssm", everything, "late", duration=-1).get_parameter(Name="/dockeree/demo/worker/join")


def test_conditions_on_tags(site, ec2, run_instance, user_client, refused):
    mine, other = run_instance(), run_instance()
    ec2.create_tags(Resources=[mine], Tags=[{"Key": "dockeree:cluster", "Value": "demo"}])
    tagged = {"StringEquals": {"aws:ResourceTag/dockeree:cluster": "demo"}}
    client = user_client("ec2", policy(("ec2:TerminateInstances", "*"), **tagged))
    with refused("UnauthorizedOperation"):
        client.terminate_instances(InstanceIds=[mine, other])
    client.terminate_instances(InstanceIds=[mine])


def test_conditions_on_the_tags_of_a_request(site, user_client, refused):
    asked = {"StringEquals": {"aws:RequestTag/dockeree:cluster": "demo"}}
    client = user_client("ec2", policy(("ec2:CreateVpc", "*"), **asked))
    with refused("UnauthorizedOperation"):
        client.create_vpc(CidrBlock="10.50.0.0/16")
    tags = [{"ResourceType": "vpc", "Tags": [{"Key": "dockeree:cluster", "Value": "demo"}]}]
    client.create_vpc(CidrBlock="10.50.0.0/16", TagSpecifications=tags)


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [
        ("ec2", lambda c: c.describe_instances(), "UnauthorizedOperation"),
        ("ssm", lambda c: c.get_parameter(Name="/x"), "AccessDeniedException"),
        ("iam", lambda c: c.list_roles(), "AccessDenied"),
        ("elbv2", lambda c: c.describe_load_balancers(), "AccessDenied"),
        ("autoscaling", lambda c: c.describe_auto_scaling_groups(), "AccessDenied"),
        ("route53", lambda c: c.list_hosted_zones(), "AccessDenied"),
        ("s3", lambda c: c.list_buckets(), "AccessDenied"),
    ],
)
def test_each_service_refuses_in_its_own_words(user_client, refused, service, call, code):
    client = user_client(service, policy(("sns:Publish", "*")))
    with refused(code):
        call(client)


def test_get_caller_identity_is_always_allowed(user_client):
    identity = user_client("sts", policy(("sns:Publish", "*"))).get_caller_identity()
    assert identity["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/someone"


def test_unknown_keys_and_wrong_secrets(api, refused):
    with refused("InvalidClientTokenId"):
        api.client("iam", credentials=("AKIAIOSFODNN7EXAMPLE", "secret")).list_roles()
    with refused("AuthFailure"):
        api.client("ec2", credentials=("AKIAIOSFODNN7EXAMPLE", "secret")).describe_vpcs()
    with refused("UnrecognizedClientException"):
        api.client("ssm", credentials=("AKIAIOSFODNN7EXAMPLE", "secret")).get_parameter(Name="/x")
    with refused("InvalidAccessKeyId"):
        api.client("s3", credentials=("AKIAIOSFODNN7EXAMPLE", "secret")).list_buckets()
    with refused("SignatureDoesNotMatch"):
        api.client("s3", credentials=(api.server.operator[0], "secret")).list_buckets()
    with refused("SignatureDoesNotMatch"):
        api.client("iam", credentials=(api.server.operator[0], "secret")).list_roles()


def test_s3_objects_by_their_prefix(api, user_client, refused):
    api.client("s3").create_bucket(Bucket="backups")
    s3 = user_client("s3", policy((["s3:PutObject", "s3:GetObject"], "arn:aws:s3:::backups/demo/*")))
    s3.put_object(Bucket="backups", Key="demo/ca.tar", Body=b"root")
    assert s3.get_object(Bucket="backups", Key="demo/ca.tar")["Body"].read() == b"root"
    with refused("AccessDenied"):
        s3.put_object(Bucket="backups", Key="other/ca.tar", Body=b"root")
    with refused("AccessDenied"):
        s3.put_bucket_encryption(
            Bucket="backups",
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
            },
        )


def test_pass_role_for_instances_templates_and_profiles(api, site, make_profile, user_client, refused):
    role_arn = make_profile("worker")
    launching = (["ec2:*", "iam:AddRoleToInstanceProfile", "iam:RemoveRoleFromInstanceProfile"], "*")
    ec2 = user_client("ec2", policy(launching))
    launch = {
        "ImageId": site.image_id, "InstanceType": "t3.medium", "MinCount": 1, "MaxCount": 1,
        "SubnetId": site.subnet_ids[0],
    }  # fmt: skip
    ec2.run_instances(**launch)
    with refused("UnauthorizedOperation"):
        ec2.run_instances(**launch, IamInstanceProfile={"Name": "worker"})
    template = {"LaunchTemplateName": "workers", "LaunchTemplateData": {"IamInstanceProfile": {"Name": "worker"}}}
    with refused("UnauthorizedOperation"):
        ec2.create_launch_template(**template)
    api.client("iam").put_user_policy(
        UserName="someone", PolicyName="pass", PolicyDocument=policy(("iam:PassRole", role_arn))
    )
    ec2.run_instances(**launch, IamInstanceProfile={"Name": "worker"})
    ec2.create_launch_template(**template)


def test_pass_role_may_be_bound_to_a_service(site, make_profile, user_client, refused):
    role_arn = make_profile("worker")
    for service, allowed in (("ec2.amazonaws.com", True), ("ecs.amazonaws.com", False)):
        document = json.loads(policy(("ec2:*", "*")))
        bound = {"StringEquals": {"iam:PassedToService": service}}
        document["Statement"] += json.loads(policy(("iam:PassRole", role_arn), **bound))["Statement"]
        ec2 = user_client("ec2", json.dumps(document), service.partition(".")[0])
        template = {
            "LaunchTemplateName": service, "LaunchTemplateData": {"IamInstanceProfile": {"Name": "worker"}}
        }  # fmt: skip
        if allowed:
            ec2.create_launch_template(**template)
        else:
            with refused("UnauthorizedOperation"):
                ec2.create_launch_template(**template)


def test_a_service_linked_role_needs_its_permission(site, user_client, refused):
    request = {"Name": "apps", "Type": "network", "Subnets": list(site.subnet_ids)}
    without = user_client("elbv2", policy(("elasticloadbalancing:*", "*")), "without")
    with refused("AccessDenied"):
        without.create_load_balancer(**request)
    able = user_client("elbv2", policy((["elasticloadbalancing:*", "iam:CreateServiceLinkedRole"], "*")), "able")
    able.create_load_balancer(**request)


def test_assuming_a_role_needs_its_trust(api, make_profile, user_client, refused):
    iam = api.client("iam")
    node_role = make_profile("node")
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    trusting = iam.create_role(RoleName="trusting", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    sts = user_client("sts", policy(("sts:AssumeRole", "*")))
    with refused("AccessDenied"):
        sts.assume_role(RoleArn=node_role, RoleSessionName="me")
    credentials = sts.assume_role(RoleArn=trusting, RoleSessionName="me")["Credentials"]
    assumed = api.client(
        "sts",
        credentials=(credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"]),
    )
    assert assumed.get_caller_identity()["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/trusting/me"
    nobody = user_client("sts", policy(("sns:*", "*")), "nobody")
    with refused("AccessDenied"):
        nobody.assume_role(RoleArn=trusting, RoleSessionName="me")
