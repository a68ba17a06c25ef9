"""The session: typed clients whose errors say what to do."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import pytest
from support.cloud import Cloud

from dockeree.aws.session import Aws
from dockeree.errors import AwsError


def refusal(aws: Aws) -> AwsError:
    with pytest.raises(AwsError) as caught:
        aws.ec2.describe_vpcs()
    return caught.value


def test_it_knows_who_works(cloud: Cloud) -> None:
    identity = cloud.aws().identity()
    assert identity.account == "123456789012"
    assert identity.arn.endswith(":user/operator")
    assert identity.partition == "aws"


def test_the_region_comes_from_the_environment_unless_given(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert Aws().region == "eu-west-1"
    assert Aws("us-west-2").region == "us-west-2"
    monkeypatch.delenv("AWS_REGION")
    with pytest.raises(AwsError, match="no AWS region") as caught:
        _ = Aws().region
    assert "--region" in caught.value.hint


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException", "RequestExpired"])
def test_an_expired_token_stops_at_once_and_names_the_login_command(cloud: Cloud, code: str) -> None:
    cloud.api.control("POST", "/lab/faults", {"action": "DescribeVpcs", "code": code, "status": 403, "times": 9})
    errors: list[AwsError] = []
    assert cloud.calls(lambda: errors.append(refusal(cloud.aws()))) == ["ec2 DescribeVpcs"]
    assert errors[0].code == code
    assert errors[0].hint == "Your credentials have expired. Log in again: aws sso login"


def test_a_denied_call_names_the_missing_permission(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    iam = cloud.api.client("iam")
    iam.create_user(UserName="reader")
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="reader", PolicyName="ec2", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    aws = cloud.aws()
    aws.ec2.describe_vpcs()
    with pytest.raises(AwsError) as caught:
        aws.elbv2.describe_load_balancers()
    assert caught.value.operation == "DescribeLoadBalancers"
    assert caught.value.hint == "Ask for the permission `elasticloadbalancing:DescribeLoadBalancers`."


def test_throttling_is_retried(cloud: Cloud) -> None:
    cloud.api.control("POST", "/lab/faults", {"action": "DescribeVpcs", "code": "RequestLimitExceeded", "times": 3})
    assert len(cloud.calls(lambda: cloud.aws().ec2.describe_vpcs())) == 4


def test_without_credentials_it_says_how_to_give_some(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    error = refusal(cloud.aws())
    assert error.code == "NoCredentialsError"
    assert "aws configure" in error.hint


def test_an_unreachable_endpoint_is_an_error_within_seconds(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(AwsError) as caught:
        cloud.aws().identity()
    assert time.monotonic() - began < 10
    assert caught.value.code == "EndpointConnectionError"
    assert "network" in caught.value.hint


def test_an_unknown_profile_is_named(cloud: Cloud) -> None:
    with pytest.raises(AwsError, match="nobody") as caught:
        Aws("us-east-1", "nobody").identity()
    assert "list-profiles" in caught.value.hint


def test_the_login_command_names_the_profile() -> None:
    from dockeree.aws.failures import login_command

    assert login_command("ops") == "aws sso login --profile ops"


def test_every_thread_gets_the_same_client(cloud: Cloud) -> None:
    aws = cloud.aws()
    clients: list[int] = []
    threads = [threading.Thread(target=lambda: clients.append(id(aws.ec2))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(clients) == 8
    assert len(set(clients)) == 1


def test_observers_see_every_call(cloud: Cloud) -> None:
    aws = cloud.aws()
    seen: list[tuple[str, str]] = []
    aws.observers.append(lambda service, operation: seen.append((service, operation)))
    list(aws.ec2.get_paginator("describe_subnets").paginate())
    aws.identity()
    assert seen == [("ec2", "DescribeSubnets"), ("sts", "GetCallerIdentity")]


def test_boto3_is_imported_with_the_first_client_and_not_before() -> None:
    code = "import sys, dockeree.workflows.destroy; print(sorted(n for n in sys.modules if n in ('boto3', 'botocore')))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
