"""What goes wrong in an account, on the nodes and at the keyboard: how it is told, and that `up` goes on afterwards."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.account_scan import difference
from support.quick_command import Ended
from support.small_cluster import EXPECTED, SmallCluster, counts

from dockeree.lab.control import RunningLab, ask

READING = ("Describe", "Get", "List", "Head")
Make = Callable[..., SmallCluster]


@pytest.fixture(scope="module")
def names() -> Iterator[str]:
    """A name for each cluster."""
    return (f"fail-{number:02}" for number in range(100))


@pytest.fixture
def make(lab: RunningLab, tmp_path: Path, names: Iterator[str]) -> Iterator[Make]:
    """Makes clusters, none of which is there yet. At the end faults are lifted, and `destroy` leaves nothing."""
    made: list[tuple[SmallCluster, Any]] = []

    def make(region: str = "us-east-1", **configuration: Any) -> SmallCluster:
        name = next(names)
        cluster = SmallCluster.make(lab, tmp_path / name, name, region)
        cluster.configure(**configuration)
        made.append((cluster, cluster.scan()))
        return cluster

    yield make
    lift_faults(lab)
    for cluster, before in made:
        ended = cluster.destroy()
        assert ended.code == 0, ended.stderr
        assert difference(before, cluster.scan()) == {}


@pytest.fixture
def cluster(make: Make) -> SmallCluster:
    return make()


def fault(lab: RunningLab, **fields: Any) -> None:
    ask(lab, "faults", method="POST", body=fields)


def node_fault(lab: RunningLab, **fields: Any) -> None:
    """On every node there is and that comes."""
    ask(lab, "nodes/*/faults", method="POST", body=fields)


def lift_faults(lab: RunningLab) -> None:
    ask(lab, "faults", method="DELETE")
    ask(lab, "nodes/*/faults", method="DELETE")


def changes(cluster: SmallCluster) -> set[str]:
    """The changing calls since forget_calls, but for the lock's."""
    calls = {call["action"] for call in cluster.operator.calls() if not call["action"].startswith(READING)}
    return calls - {"PutParameter", "DeleteParameter"}


def assert_goes_on(cluster: SmallCluster) -> None:
    """`up` again finishes what stands, and everything is there once."""
    lift_faults(cluster.operator.lab)
    ended = cluster.up()
    assert ended.code == 0, ended.stderr
    found = cluster.scan()
    assert {kind: len(found[kind]) for kind in ("instance", "balancer", "vpc")} == {
        "instance": EXPECTED["instance"],
        "balancer": EXPECTED["balancer"],
        "vpc": 2,  # and the region's own default
    }


def assert_screen(ended: Ended, *words: str, code: int = 1) -> None:
    """A failure as the house has it: each of `words`, at most fifteen lines after the progress, no traceback."""
    assert ended.code == code, ended.stderr
    screen = ended.stderr[ended.stderr.rindex("✗ ") :] if code == 1 else ended.stderr
    for word in words:
        assert word in ended.stderr, ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(screen.splitlines()) <= 15, screen


# Throttling, errors and lost answers


def failures(service: str) -> list[dict[str, Any]]:
    """What AWS's services answer when it is too much for them, and when they are broken."""
    throttled = {"ec2": "RequestLimitExceeded", "ssm": "ThrottlingException", "servicequotas": "ThrottlingException"}
    broken = {"ec2": "InternalError", "ssm": "InternalServerError"}
    return [
        {"code": throttled.get(service, "Throttling")},
        {"code": broken.get(service, "InternalFailure"), "status": 500},
        {"code": "ServiceUnavailable", "status": 503},
        {"drop": True},
    ]


@pytest.fixture(scope="module")
def every_call(lab: RunningLab, names: Iterator[str], tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """Every kind of call that `up` and `destroy` make: service and action."""
    cluster = SmallCluster.make(lab, tmp_path_factory.mktemp("calls") / "cluster", next(names))
    cluster.operator.forget_calls()
    assert cluster.up().code == 0
    assert cluster.destroy().code == 0
    kinds = {(call["service"], call["action"]) for call in cluster.operator.calls() if call["service"]}
    agents = {("ssm", "GetParameter")}
    assert len(kinds) > 60
    return [{"service": service, "action": action} for service, action in sorted(kinds - agents)]


def test_every_call_fails_once_in_one_way_or_another(
    lab: RunningLab, cluster: SmallCluster, every_call: list[dict[str, str]]
) -> None:
    before = cluster.scan()
    for number, call in enumerate(every_call):
        kinds = failures(call["service"])
        fault(lab, **call, **kinds[number % len(kinds)])
    ended = cluster.up()
    assert ended.code == 0, ended.stderr
    left = {item["action"] for item in ask(lab, "faults")}
    assert not [action for action in left if action.startswith(("Create", "Run", "Put", "Register"))]
    assert counts(before, cluster.scan()) == EXPECTED
    ended = cluster.destroy()
    assert ended.code == 0, ended.stderr
    assert ask(lab, "faults") == []
    assert difference(before, cluster.scan()) == {}


def test_the_answer_to_every_change_is_lost(
    lab: RunningLab, cluster: SmallCluster, every_call: list[dict[str, str]]
) -> None:
    """Each is carried out, and nobody hears of it. A run may fail by that; in the end nothing is there twice."""
    before = cluster.scan()
    for call in every_call:
        if not call["action"].startswith(READING):
            fault(lab, **call, carried_out=True, drop=True)
    ended, runs = cluster.up(), 1
    while ended.code != 0 and runs < 10:
        assert "Traceback" not in ended.stderr
        ended, runs = cluster.up(), runs + 1
    assert ended.code == 0, ended.stderr
    assert not [item for item in ask(lab, "faults") if item["action"].startswith(("Create", "Run"))]
    assert counts(before, cluster.scan()) == EXPECTED
    ended, runs = cluster.destroy(), 1
    while ended.code != 0 and runs < 10:
        ended, runs = cluster.destroy(), runs + 1
    assert ended.code == 0, ended.stderr
    assert difference(before, cluster.scan()) == {}


def test_a_call_that_is_refused_stops_what_stands_on_it_alone(lab: RunningLab, cluster: SmallCluster) -> None:
    fault(lab, action="CreateVpc", code="UnauthorizedOperation", status=403)
    assert_screen(cluster.up(), "network: Create the VPC", "ec2:CreateVpc: UnauthorizedOperation", "4 of 24 steps done")
    found = cluster.scan()
    assert (len(found["role"]), len(found["key pair"]), len(found["subnet"])) == (2, 1, 3 * 2)
    assert_goes_on(cluster)


# What the account, the region and the credentials do not allow


def test_no_capacity_in_a_zone_names_zone_and_type_and_removes_nothing(lab: RunningLab, cluster: SmallCluster) -> None:
    words = (
        "We currently do not have sufficient t3.large capacity in the Availability Zone you requested (us-east-1b). "
        "Our system will be working on provisioning additional capacity."
    )
    # AWS says 500, which botocore tries again for up to a minute; with 400 it is told at once.
    fault(lab, zone="us-east-1b", code="InsufficientInstanceCapacity", status=400, message=words, times=1000)
    ended = cluster.up()
    assert_screen(ended, "InsufficientInstanceCapacity", "us-east-1b", "t3.large", "nothing removed", "(continues)")
    standing = cluster.scan()
    assert (len(standing["vpc"]), len(standing["balancer"])) == (2, 3)
    assert len(standing["instance"]) >= 1
    assert_goes_on(cluster)
    assert {kind: gone for kind, ids in standing.items() if (gone := ids - cluster.scan()[kind])} == {}


def test_more_cpus_than_the_quota_are_refused_before_anything_is_made(make: Make) -> None:
    cluster = make(managers={"instance_type": "m5.8xlarge"})
    before = cluster.scan()
    cluster.operator.forget_calls()
    ended = cluster.up()
    assert_screen(
        ended,
        "100 vCPUs of standard instances are needed",
        "request-service-quota-increase --service-code ec2 --quota-code L-1216C47A",
        "Nothing was created",
    )
    assert changes(cluster) == set()
    assert difference(before, cluster.scan()) == {}


def test_a_quota_that_shrinks_on_the_way_is_told_with_what_to_ask_for(lab: RunningLab, cluster: SmallCluster) -> None:
    message = "You have requested more vCPU capacity than your current vCPU limit of 0 allows for."
    fault(lab, action="RunInstances", code="VcpuLimitExceeded", message=message)
    assert_screen(cluster.up(), "VcpuLimitExceeded", "Service Quotas", "L-1216C47A")
    assert_goes_on(cluster)


def test_a_region_of_two_zones_is_refused(make: Make) -> None:
    cluster = make(region="us-west-1")
    cluster.operator.forget_calls()
    assert_screen(cluster.up(), "us-west-1 has 2 availability zones", "a cluster needs 3", "Choose another region")
    assert changes(cluster) == set()


@pytest.mark.parametrize("region", ["us-west-2", "eu-central-1"])
def test_another_region(make: Make, region: str) -> None:
    cluster = make(region=region)
    before = cluster.scan()
    ended = cluster.up()
    assert ended.code == 0, ended.stderr
    assert f".elb.{region}.amazonaws.com" in ended.stderr
    assert counts(before, cluster.scan()) == EXPECTED
    document = json.loads(cluster.run("status", "-o", "json").stdout)
    assert (document["region"], document["healthy"]) == (region, True)
    cluster.lose_local_files()
    assert "nothing changed" in cluster.up().stderr
    moved = cluster.run("up", "--region", "us-east-1")
    assert moved.code == 2
    assert f"stands in {region}" in moved.stderr


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "of somebody else"}, ["SignatureDoesNotMatch", "aws sso login"]),
        ({"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"}, ["InvalidClientTokenId", "aws sso login"]),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, ["credentials", "aws configure"]),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, ["http://127.0.0.1:9", "AWS_ENDPOINT_URL"]),
    ],
)
def test_credentials_that_do_not_do_stop_at_once(
    cluster: SmallCluster, environment: dict[str, str], words: list[str]
) -> None:
    cluster.operator.forget_calls()
    files = {name: str(cluster.operator.folder / "none") for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")}
    began = time.monotonic()
    assert_screen(cluster.run("up", environment=environment | files), *words)
    assert time.monotonic() - began < 10
    assert len(cluster.operator.calls()) <= 3
    assert not (cluster.operator.folder / ".dockeree").exists()


def test_expired_credentials_name_the_command_that_renews_them(lab: RunningLab, cluster: SmallCluster) -> None:
    fault(lab, service="sts", code="ExpiredToken", status=403, message="The security token is expired", times=50)
    cluster.operator.forget_calls()
    assert_screen(cluster.up(), "ExpiredToken", "Log in again: aws sso login")
    assert len(cluster.operator.calls()) == 1


def test_credentials_that_expire_on_the_way(lab: RunningLab, cluster: SmallCluster) -> None:
    fault(lab, action="CreateSubnet", code="RequestExpired", message="Request has expired.")
    assert_screen(cluster.up(), "RequestExpired", "Log in again: aws sso login", "(continues)")
    assert_goes_on(cluster)


def test_a_permission_that_is_missing_is_named(cluster: SmallCluster) -> None:
    iam = cluster.operator.client("iam")
    user = "nearly-an-operator"
    statements = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": ["elasticloadbalancing:CreateTargetGroup", "iam:PassRole"], "Resource": "*"},
    ]
    iam.create_user(UserName=user)
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName=user, PolicyName="nearly", PolicyDocument=document)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    environment = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    ended = cluster.run("up", environment=environment)
    assert_screen(
        ended,
        "Ask for the permission `elasticloadbalancing:CreateTargetGroup`.",
        "Ask for the permission `iam:PassRole`.",
    )
    assert_goes_on(cluster)
    iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName=user, PolicyName="nearly")
    iam.delete_user(UserName=user)


# What goes wrong on the nodes


def test_a_node_whose_engine_cannot_be_installed_is_named_with_the_reason(
    lab: RunningLab, cluster: SmallCluster
) -> None:
    bare = {"Name": "name", "Values": ["ubuntu-24.04-bare"]}
    [image] = cluster.operator.client("ec2").describe_images(Filters=[bare])["Images"]
    cluster.configure(image={"ami": image["ImageId"]})
    words = "dockeree-boot: FAILED: apt-get: Temporary failure resolving archive.ubuntu.com"
    node_fault(lab, kind="command", command=r"boot\.sh", stderr=words, times=0)
    ended = cluster.up()
    assert_screen(ended, "manager-a: Docker Engine could not be installed", "Temporary failure resolving")
    assert "dockeree ssh manager-a -- sudo journalctl -u dockeree-engine" in ended.stderr


def test_a_node_that_does_not_answer_is_named(lab: RunningLab, cluster: SmallCluster) -> None:
    node_fault(lab, kind="refuse_ssh", times=0)
    ended = cluster.run("up", speed=100.0)
    assert_screen(ended, "manager-a", "not within 600 s", "refused")
    assert_goes_on(cluster)


def test_a_worker_that_does_not_join_is_named_with_its_last_words(lab: RunningLab, cluster: SmallCluster) -> None:
    words = "dockeree-agent: no manager lets this node in"
    node_fault(lab, kind="command", command=r"agent\.py", stderr=words, times=0)
    ended = cluster.run("up", speed=100.0)
    workers = cluster.operator.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"][0]["Instances"]
    assert_screen(ended, "all workers Ready", "0 of 2 Ready", words, *(worker["InstanceId"] for worker in workers))


def test_a_node_that_hangs_up_in_the_middle_is_asked_again_by_the_next_run(
    lab: RunningLab, cluster: SmallCluster
) -> None:
    node_fault(lab, kind="disconnect", command="swarm init")
    ended = cluster.up()
    assert ended.code in (0, 1), ended.stderr
    assert_goes_on(cluster)
    assert json.loads(cluster.run("status", "-o", "json").stdout)["healthy"]


# What happens at the operator's side


def test_all_local_files_lost(cluster: SmallCluster) -> None:
    assert cluster.up().code == 0
    key = (cluster.operator.folder / ".dockeree" / cluster.name / "ssh.key").read_text()
    cluster.lose_local_files()
    assert cluster.operator.on("manager-a", "hostname").startswith("ip-10-32-")
    cluster.lose_local_files()
    cluster.operator.forget_calls()
    assert "nothing changed" in cluster.up().stderr
    assert changes(cluster) == set()
    assert (cluster.operator.folder / ".dockeree" / cluster.name / "ssh.key").read_text() == key
    assert cluster.operator.start("ssh", "worker-1", "--", "true").returncode == 0


@pytest.fixture
def started(cluster: SmallCluster) -> Iterator[subprocess.Popen[str]]:
    """`up` at work: it has launched nothing yet, and the account is locked."""
    with subprocess.Popen(
        [sys.executable, "-m", "dockeree.commands.main", "up"],
        cwd=cluster.operator.folder,
        env=cluster.operator.environment | {"PYTHONUNBUFFERED": "1"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "· network: Create three public subnets" in line:
                break
        yield process
        process.kill()


def test_two_at_once(lab: RunningLab, cluster: SmallCluster, started: subprocess.Popen[str], tmp_path: Path) -> None:
    os.kill(started.pid, signal.SIGSTOP)
    here = cluster.up()
    elsewhere = SmallCluster.make(lab, tmp_path / "elsewhere", cluster.name)
    for ended in (here, elsewhere.up(), elsewhere.destroy()):
        assert ended.code == 1, ended.stderr
        assert f"another command works on {cluster.name}" in ended.stderr
        assert re.search(rf"process {started.pid}\b.*dockeree up", ended.stderr.replace("\n", " ")), ended.stderr
        assert "since 20" in ended.stderr
    os.kill(started.pid, signal.SIGCONT)
    assert started.stderr is not None
    rest = started.stderr.read()
    assert started.wait() == 0, rest
    assert_goes_on(cluster)


def test_the_lock_of_a_killed_run_is_taken_over_at_once(cluster: SmallCluster, started: subprocess.Popen[str]) -> None:
    started.kill()
    started.wait()
    locks = cluster.operator.client("ssm").get_parameter(Name=f"/dockeree/{cluster.name}/lock")
    assert json.loads(locks["Parameter"]["Value"])["process"] == started.pid
    cluster.lose_local_files()
    began = time.monotonic()
    assert_goes_on(cluster)
    assert time.monotonic() - began < 60
    assert cluster.scan()["parameter"] == {
        f"/dockeree/{cluster.name}/{name}" for name in ("cluster", "operator/ssh-key", "worker/join")
    }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_says_where_it_stands_and_goes_on(
    cluster: SmallCluster, started: subprocess.Popen[str], number: signal.Signals
) -> None:
    started.send_signal(number)
    assert started.stderr is not None
    screen = started.stderr.read()
    assert started.wait() == 130, screen
    assert "Stopping: finishing the calls under way. Ctrl-C again leaves at once." in screen
    assert "up was interrupted" in screen
    done = re.search(r"state +(\d+) of (\d+) steps done, nothing removed", screen)
    assert done
    assert 1 <= int(done.group(1)) < int(done.group(2))
    assert "dockeree up    (continues)" in screen
    assert "Traceback" not in screen
    # The lock is not left behind.
    assert not [name for name in cluster.scan()["parameter"] if name.endswith("/lock")]
    assert_goes_on(cluster)


def test_the_operators_own_key(make: Make, tmp_path: Path) -> None:
    key = tmp_path / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    cluster = make(ssh={"key": str(key)})
    assert cluster.up().code == 0
    assert cluster.scan()["parameter"] == {f"/dockeree/{cluster.name}/{name}" for name in ("cluster", "worker/join")}
    assert not (cluster.operator.folder / ".dockeree" / cluster.name / "ssh.key").exists()
    assert cluster.operator.on("manager-b", "whoami") == "ubuntu\n"
    cluster.lose_local_files()
    assert "nothing changed" in cluster.up().stderr
    assert cluster.destroy().code == 0
    assert key.exists()


def test_a_key_with_a_passphrase_is_used_through_the_agent(make: Make, tmp_path: Path) -> None:
    key, socket = tmp_path / "id_ed25519", tmp_path / "agent"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        environment = {"SSH_AUTH_SOCK": str(socket)}
        while not socket.exists():
            time.sleep(0.01)
        subprocess.run(["ssh-add", "-q", str(key)], env=os.environ | environment, check=True)
        subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret phrase", "-f", str(key)], check=True)
        cluster = make(ssh={"key": str(key)})
        ended = cluster.run("up", environment=environment)
        assert ended.code == 0, ended.stderr
        assert cluster.run("status", environment=environment).code == 0
        without = cluster.run("status")
        assert without.code == 1
        assert "passphrase" in without.stderr or "ssh-add" in without.stderr, without.stderr
    finally:
        agent.terminate()
        agent.wait()
