"""Where secrets must not be, and what a worker's own credentials must not open.

One cluster that has seen everything: up, more workers, and a run that failed with a token in its error.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError
from support.running_lab import Operator
from support.tag_scan import tags_of_everything

from dockeree.lab.control import ask

KEY_LINE = re.compile(r"[A-Za-z0-9+/=]{40,}")
REFUSALS = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}


@pytest.fixture(scope="module")
def screens(operator: Operator) -> list[str]:
    """What all runs wrote to the terminal; the cluster stands afterwards."""
    operator.configure(workers={"count": 2}, ucp={"enabled": False})
    written = []
    for arguments in (("up", "-v"), ("scale-workers", "3", "-v")):
        ended = operator.start(*arguments)
        assert ended.returncode == 0, ended.stderr
        written.append(ended.stdout + ended.stderr)
    return [*written, fail_with_a_token(operator)]


def fail_with_a_token(operator: Operator) -> str:
    """A run that fails since docker does, with a token in its words."""
    token = swarm_token(operator, "worker")
    words = f"Error response from daemon: invalid join token {token}"
    fault = {"kind": "command", "command": "docker node ls", "stderr": words, "times": 0}
    ask(operator.lab, "nodes/*/faults", method="POST", body=fault)
    ended = operator.start("scale-workers", "2", "-v")
    ask(operator.lab, "nodes/*/faults", method="DELETE")
    assert ended.returncode == 1
    assert "invalid join token" in ended.stderr
    return ended.stdout + ended.stderr


def swarm_token(operator: Operator, role: str) -> str:
    token = operator.on("manager-a", f"sudo docker swarm join-token -q {role}").strip()
    assert re.fullmatch(r"SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}", token)
    return token


def private_key_lines(operator: Operator) -> list[str]:
    """The lines of the private key that hold something secret: the public half is a part of its text too."""
    lines = (operator.folder / ".dockeree/demo/ssh.key").read_text().splitlines()
    [pair] = operator.client("ec2").describe_key_pairs(IncludePublicKey=True)["KeyPairs"]
    return [line for line in lines if KEY_LINE.fullmatch(line) and line not in pair["PublicKey"]]


@pytest.fixture(scope="module")
def secrets(operator: Operator, screens: list[str]) -> list[str]:
    """Every secret of the cluster, in each form in which it could lie about."""
    key_lines = private_key_lines(operator)
    assert key_lines
    plain = [*(swarm_token(operator, role) for role in ("worker", "manager")), *key_lines]
    # The token's middle part is a digest of the swarm's root certificate; its last part is the secret.
    plain += [token.rpartition("-")[2] for token in plain if token.startswith("SWMTKN")]
    parameter = operator.client("ssm").get_parameter(Name="/dockeree/demo/worker/join", WithDecryption=True)
    join = parameter["Parameter"]["Value"]
    assert plain[0] in join, "the way in for workers does not hold their token"
    encoded = [base64.b64encode(secret.encode()).decode().rstrip("=") for secret in (*plain, join)]
    return [*plain, join, *encoded]


def found_in(secrets: list[str], places: dict[str, str]) -> list[str]:
    """Where a secret is."""
    assert places
    assert all(text for text in places.values()), "a place that is empty proves nothing"
    return [place for place, text in places.items() if any(secret in text for secret in secrets)]


def test_the_search_finds_what_is_there(operator: Operator, secrets: list[str]) -> None:
    key_file = operator.folder / ".dockeree/demo/ssh.key"
    assert found_in(secrets, {"key": key_file.read_text(), "nothing": "harmless"}) == ["key"]


def test_not_in_the_state_and_not_in_the_logs(operator: Operator, secrets: list[str]) -> None:
    state = [path for path in (operator.folder / ".dockeree/demo").iterdir() if path.name not in ("ssh.key", "lock")]
    logs = list((operator.folder / "xdg-state").rglob("*.log"))
    assert {"state.yaml", "known_hosts"} <= {path.name for path in state}
    assert len(logs) >= 3
    assert any("SWMTKN" not in log.read_text() and "***" in log.read_text() for log in logs)
    assert found_in(secrets, {str(path): path.read_text() for path in (*state, *logs)}) == []


def test_not_on_the_screen(screens: list[str], secrets: list[str]) -> None:
    assert found_in(secrets, {str(number): screen for number, screen in enumerate(screens)}) == []


def test_not_in_user_data(operator: Operator, secrets: list[str]) -> None:
    places = {name: "\n".join(unpacked(data)) for name, data in all_user_data(operator)}
    assert len(places) >= 7
    assert all("#!/bin/sh" in text or "#!/bin/bash" in text for text in places.values()), "nothing was unpacked"
    assert found_in(secrets, places) == []


def all_user_data(operator: Operator) -> Iterator[tuple[str, bytes]]:
    """Of every instance and every version of every launch template."""
    ec2 = operator.client("ec2")
    for reservation in ec2.describe_instances()["Reservations"]:
        for instance in reservation["Instances"]:
            answer = ec2.describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="userData")
            if instance["State"]["Name"] == "running":
                yield instance["InstanceId"], base64.b64decode(answer["UserData"]["Value"])
    for template in ec2.describe_launch_templates()["LaunchTemplates"]:
        versions = ec2.describe_launch_template_versions(LaunchTemplateId=template["LaunchTemplateId"])
        for version in versions["LaunchTemplateVersions"]:
            data = base64.b64decode(version["LaunchTemplateData"]["UserData"])
            yield f"{template['LaunchTemplateName']} {version['VersionNumber']}", data


def unpacked(data: bytes) -> Iterator[str]:
    """User data in clear, and each file that it carries."""
    text = (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).decode()
    yield text
    for entry in yaml.safe_load(text).get("write_files", []):
        content: str | bytes = entry["content"]
        encoding = entry.get("encoding", "")
        if "b64" in encoding or "base64" in encoding:
            content = base64.b64decode(content)
        if "gz" in encoding:
            content = gzip.decompress(content if isinstance(content, bytes) else content.encode())
        yield content.decode() if isinstance(content, bytes) else content


def test_not_in_tags(operator: Operator, secrets: list[str]) -> None:
    assert found_in(secrets, {"tags": json.dumps(tags_of_everything(operator.client))}) == []


def test_not_in_arguments_on_the_nodes(operator: Operator, secrets: list[str]) -> None:
    """What `ps` shows to everybody who is on a node."""
    processes = ask(operator.lab, "nodes/commands")
    assert any("docker swarm init" in process["command"] for process in processes)
    assert any("swarm/join" in process["command"] for process in processes)
    assert found_in(secrets, {"processes": json.dumps(processes)}) == []


def test_not_on_the_consoles_of_the_nodes_and_not_in_their_files(operator: Operator, secrets: list[str]) -> None:
    ec2, places = operator.client("ec2"), {}
    for node in ("manager-a", "manager-b", "worker-1", "worker-2"):
        journal = "sudo journalctl -u dockeree-agent -u dockeree-engine"
        places[node] = operator.on(node, f"{journal} && sudo cat /var/log/cloud-init-output.log")
    status = operator.status()
    for instance_id in (node["instance_id"] for node in (*status["managers"], *status["workers"])):
        places[instance_id] = ec2.get_console_output(InstanceId=instance_id)["Output"]
    assert found_in(secrets, places) == []


def test_not_in_what_the_account_tells_of_itself(operator: Operator, secrets: list[str]) -> None:
    """Parameters that hold a secret are encrypted; what is listed without decrypting shows none."""
    ssm = operator.client("ssm")
    listed = [
        parameter for page in ssm.get_paginator("describe_parameters").paginate() for parameter in page["Parameters"]
    ]
    texts = {parameter["Name"]: ssm.get_parameter(Name=parameter["Name"])["Parameter"]["Value"] for parameter in listed}
    assert found_in(secrets, texts) == []
    types = {parameter["Name"]: parameter["Type"] for parameter in listed}
    assert types == {
        "/dockeree/demo/cluster": "String",
        "/dockeree/demo/operator/ssh-key": "SecureString",
        "/dockeree/demo/worker/join": "SecureString",
    }
    assert found_in(secrets, {"calls": json.dumps(operator.calls())}) == []


def test_the_key_and_the_known_hosts_are_the_operators_alone(operator: Operator, screens: list[str]) -> None:
    for name in ("ssh.key", "known_hosts", "state.yaml"):
        path = operator.folder / ".dockeree/demo" / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.stat().st_uid == os.geteuid()


ClientOf = Callable[[str], Any]


@pytest.fixture(scope="module")
def clients(operator: Operator, screens: list[str]) -> dict[str, ClientOf]:
    """Clients with the credentials of a node's role, by the kind of node, as its metadata service gives them."""
    status = operator.status()

    def make(instance_id: str) -> ClientOf:
        credentials = ask(operator.lab, f"nodes/{instance_id}/credentials")
        return lambda service: boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=operator.lab.endpoint_url,
            aws_access_key_id=credentials["access_key_id"],
            aws_secret_access_key=credentials["secret_access_key"],
            aws_session_token=credentials["session_token"],
        )

    return {kind: make(status[f"{kind}s"][0]["instance_id"]) for kind in ("manager", "worker")}


def test_a_worker_reads_the_way_in(operator: Operator, clients: dict[str, ClientOf]) -> None:
    name = "/dockeree/demo/worker/join"
    value = clients["worker"]("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    assert json.loads(value)["token"] == swarm_token(operator, "worker")


FORBIDDEN: dict[str, Callable[[ClientOf], Any]] = {
    "the operator's key": lambda c: c("ssm").get_parameter(Name="/dockeree/demo/operator/ssh-key", WithDecryption=True),
    "the operator's key among others": lambda c: c("ssm").get_parameters(
        Names=["/dockeree/demo/worker/join", "/dockeree/demo/operator/ssh-key"], WithDecryption=True
    ),
    "everything below the operator's path": lambda c: c("ssm").get_parameters_by_path(
        Path="/dockeree/demo/operator", Recursive=True, WithDecryption=True
    ),
    "everything below the cluster's path": lambda c: c("ssm").get_parameters_by_path(
        Path="/dockeree/demo", Recursive=True, WithDecryption=True
    ),
    "the claim": lambda c: c("ssm").get_parameter(Name="/dockeree/demo/cluster"),
    "another cluster's way in": lambda c: c("ssm").get_parameter(
        Name="/dockeree/other/worker/join", WithDecryption=True
    ),
    "a cluster whose name begins the same": lambda c: c("ssm").get_parameter(
        Name="/dockeree/demo2/worker/join", WithDecryption=True
    ),
    "earlier values of the key": lambda c: c("ssm").get_parameter_history(
        Name="/dockeree/demo/operator/ssh-key", WithDecryption=True
    ),
    "a parameter of its own": lambda c: c("ssm").put_parameter(
        Name="/dockeree/demo/worker/join", Value="{}", Type="String", Overwrite=True
    ),
    "the way in, gone": lambda c: c("ssm").delete_parameter(Name="/dockeree/demo/worker/join"),
    "the list of parameters": lambda c: c("ssm").describe_parameters(),
    "the list of roles": lambda c: c("iam").list_roles(),
    "the managers' role": lambda c: c("sts").assume_role(RoleArn=manager_role_arn(c), RoleSessionName="worker"),
    "the instances": lambda c: c("ec2").describe_instances(),
    "the user data of others": lambda c: c("ec2").describe_launch_template_versions(Versions=["$Latest"]),
    "instances of its own": lambda c: c("ec2").run_instances(
        ImageId="ami-12345678", InstanceType="t3.large", MinCount=1, MaxCount=1
    ),
    "the groups": lambda c: c("autoscaling").describe_auto_scaling_groups(),
    "the balancers": lambda c: c("elbv2").describe_load_balancers(),
    "the buckets": lambda c: c("s3").list_buckets(),
    "the zones": lambda c: c("route53").list_hosted_zones(),
}


def manager_role_arn(client: ClientOf) -> str:
    """Its name differs from the worker's own in the last word."""
    arn: str = client("sts").get_caller_identity()["Arn"]
    role = arn.split("/")[1].replace("-worker", "-manager")
    return f"arn:aws:iam::123456789012:role/dockeree/{role}"


@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_worker_must_not_reach(operator: Operator, clients: dict[str, ClientOf], what: str) -> None:
    with pytest.raises(ClientError) as caught:
        FORBIDDEN[what](clients["worker"])
    assert caught.value.response["Error"]["Code"] in REFUSALS


@pytest.mark.parametrize("name", ["worker/join", "operator/ssh-key", "cluster"])
def test_a_manager_reads_its_own_path_alone(operator: Operator, clients: dict[str, ClientOf], name: str) -> None:
    ssm = operator.client("ssm")
    ssm.put_parameter(Name="/dockeree/demo/manager/example", Value="mine", Type="SecureString", Overwrite=True)
    mine = clients["manager"]("ssm").get_parameter(Name="/dockeree/demo/manager/example", WithDecryption=True)
    assert mine["Parameter"]["Value"] == "mine"
    for client, refused in (("manager", f"/dockeree/demo/{name}"), ("worker", "/dockeree/demo/manager/example")):
        with pytest.raises(ClientError) as caught:
            clients[client]("ssm").get_parameter(Name=refused, WithDecryption=True)
        assert caught.value.response["Error"]["Code"] in REFUSALS


def test_destroy_takes_the_managers_secrets_too(operator: Operator, clients: dict[str, ClientOf]) -> None:
    operator.run("destroy", "--confirm", "demo")
    assert operator.client("ssm").describe_parameters()["Parameters"] == []
