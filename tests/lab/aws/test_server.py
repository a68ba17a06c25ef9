"""The API over HTTP: connections stay open, calls are recorded, faults and control endpoints do what they say."""

from __future__ import annotations

import http.client
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError


def test_a_call_is_answered_and_recorded(api: Any) -> None:
    identity = api.client("sts").get_caller_identity()
    assert identity["Arn"] == "arn:aws:iam::123456789012:user/operator"
    (call,) = api.control("GET", "/lab/calls")
    assert (call["service"], call["action"], call["status"], call["error_code"]) == (
        "sts",
        "GetCallerIdentity",
        200,
        "",
    )
    assert call["access_key_id"] == api.server.operator[0]


def test_rest_and_json_calls_are_recorded_by_name(api: Any) -> None:
    api.client("s3").put_object  # noqa: B018 - made only to be sure that the client exists
    api.client("s3").list_buckets()
    api.client("route53").list_hosted_zones()
    with pytest.raises(ClientError):
        api.client("ssm").get_parameter(Name="/none")
    named = [(call["service"], call["action"], call["error_code"]) for call in api.control("GET", "/lab/calls")]
    assert named == [
        ("s3", "ListBuckets", ""),
        ("route53", "ListHostedZones", ""),
        ("ssm", "GetParameter", "ParameterNotFound"),
    ]


def test_calls_are_forgotten_on_delete(api: Any) -> None:
    api.client("sts").get_caller_identity()
    api.control("DELETE", "/lab/calls")
    assert api.control("GET", "/lab/calls") == []


def test_connections_stay_open(api: Any) -> None:
    host, port = api.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=5)
    connection.request("GET", "/lab/address")
    assert connection.getresponse().read() == b"127.0.0.1\n"
    first = connection.sock
    connection.request("GET", "/lab/status")
    assert connection.getresponse().status == 200
    assert connection.sock is first
    connection.close()


def test_a_call_takes_milliseconds(api: Any) -> None:
    client = api.client("sts")
    client.get_caller_identity()
    started = time.monotonic()
    for _ in range(50):
        client.get_caller_identity()
    assert (time.monotonic() - started) / 50 < 0.02


def test_an_object_goes_up_and_down(api: Any) -> None:
    s3 = api.client("s3")
    s3.create_bucket(Bucket="some-bucket-of-ours")
    s3.put_object(Bucket="some-bucket-of-ours", Key="lab/status", Body=b"x" * 1_000_000)
    assert s3.get_object(Bucket="some-bucket-of-ours", Key="lab/status")["Body"].read() == b"x" * 1_000_000
    assert s3.head_object(Bucket="some-bucket-of-ours", Key="lab/status")["ContentLength"] == 1_000_000


@pytest.mark.parametrize(
    ("service", "action", "call"),
    [
        ("ec2", "DescribeVpcs", lambda client: client.describe_vpcs()),
        ("elasticloadbalancing", "DescribeLoadBalancers", lambda client: client.describe_load_balancers()),
        ("ssm", "DescribeParameters", lambda client: client.describe_parameters()),
        ("route53", "ListHostedZones", lambda client: client.list_hosted_zones()),
    ],
)
def test_a_fault_fails_the_calls_it_names(api: Any, service: str, action: str, call: Any) -> None:
    client = api.client({"elasticloadbalancing": "elbv2"}.get(service, service))
    api.control("POST", "/lab/faults", {"service": service, "action": action, "code": "Throttling", "times": 2})
    for _ in range(2):
        with pytest.raises(ClientError, match="Throttling"):
            call(client)
    call(client)
    assert [entry["error_code"] for entry in api.control("GET", "/lab/calls")] == ["Throttling", "Throttling", ""]


def test_a_fault_drops_the_connection(api: Any) -> None:
    api.control("POST", "/lab/faults", {"service": "ec2", "drop": True})
    ec2 = api.client("ec2")
    with pytest.raises(ConnectionClosedError):
        ec2.describe_vpcs()
    assert ec2.describe_vpcs()["Vpcs"]


def test_a_fault_lets_the_caller_wait(api: Any) -> None:
    api.control("POST", "/lab/faults", {"service": "ec2", "drop": True, "delay_seconds": 0.2})
    started = time.monotonic()
    with pytest.raises(ConnectionClosedError):
        api.client("ec2").describe_vpcs()
    assert time.monotonic() - started >= 0.2


def test_faults_are_listed_and_forgotten(api: Any) -> None:
    (fault,) = api.control("POST", "/lab/faults", {"service": "ec2", "code": "InternalError"})
    assert (fault["status"], fault["times"]) == (500, 1)
    api.control("DELETE", "/lab/faults")
    assert api.control("GET", "/lab/faults") == []
    assert api.client("ec2").describe_vpcs()["Vpcs"]


def test_a_mistaken_fault_is_refused(api: Any) -> None:
    with pytest.raises(api.Refused, match="servise") as refused:
        api.control("POST", "/lab/faults", {"servise": "ec2"})
    assert refused.value.status == 400


def test_a_call_that_the_lab_does_not_know_says_so_and_is_not_retried(api: Any) -> None:
    with pytest.raises(ClientError, match="NotImplemented") as refused:
        api.client("ec2").describe_client_vpn_endpoints()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_a_wrong_signature_is_refused(api: Any) -> None:
    key, _ = api.server.operator
    with pytest.raises(ClientError, match="AuthFailure"):
        api.client("ec2", credentials=(key, "wrong")).describe_vpcs()
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        api.client("sts", credentials=("AKIAIOSFODNN7EXAMPLE", "wrong")).get_caller_identity()


def test_many_callers_at_once_get_one_of_each(api: Any) -> None:
    clients = [api.client("ec2") for _ in range(8)]
    image = clients[0].describe_images()["Images"][0]["ImageId"]

    def launch(client: Any) -> str:
        request = {"ImageId": image, "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1, "ClientToken": "same"}
        return str(client.run_instances(**request)["Instances"][0]["InstanceId"])

    with ThreadPoolExecutor(len(clients)) as threads:
        assert len(set(threads.map(launch, clients))) == 1


def test_a_second_socket_serves_the_same_account(api: Any) -> None:
    vpc = api.client("ec2").create_vpc(CidrBlock="10.32.0.0/16")["Vpc"]["VpcId"]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        api.server.serve_on(listening)
        port = listening.getsockname()[1]
    key, secret = api.server.operator
    other = boto3.client(
        "ec2",
        "us-east-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
    )
    assert vpc in [one["VpcId"] for one in other.describe_vpcs()["Vpcs"]]
    other.close()


def test_addresses_that_are_not_local_may_ask_for_their_own_only(api: Any) -> None:
    answers: list[str] = []
    environ = {"REQUEST_METHOD": "GET", "REMOTE_ADDR": "10.32.0.4"}
    control = api.server._control
    text = control.answer({**environ, "PATH_INFO": "/lab/address"}, lambda status, _headers: answers.append(status))
    assert text == [b"10.32.0.4\n"]
    control.answer({**environ, "PATH_INFO": "/lab/calls"}, lambda status, _headers: answers.append(status))
    assert answers == ["200 OK", "403 Forbidden"]
