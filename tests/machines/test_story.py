"""The whole story on real machines: up, used, broken, scaled, mended, destroyed, and nothing left.

One test after the other on one cluster: each begins where the one before it ended.
"""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from support.account_scan import Scan, difference, scan
from support.running_lab import Operator

pytestmark = pytest.mark.machines

WEB = (
    "sudo docker service create --detach --name web --mode global --constraint node.role==worker "
    "--publish mode=host,target=8080,published=80 dockeree/web:1"
)


def eventually(probe: Callable[[], Any], seconds: float = 60) -> Any:
    """The first true answer of `probe`; its last one when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer or time.monotonic() > deadline:
            assert answer, f"not within {seconds} s"
            return answer
        time.sleep(0.5)


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
    return text.strip()


def answers(url: str, calls: int = 12) -> set[str]:
    """Who answered: the containers' host names."""
    return {fetch(url) for _ in range(calls)}


@pytest.fixture(scope="module")
def before(operator: Operator) -> Scan:
    return scan(**operator.credentials())


def test_up_makes_a_swarm_of_three_managers_and_three_workers(operator: Operator, before: Scan) -> None:
    operator.configure()
    operator.run("up", timeout_seconds=400)
    status = operator.status()
    assert status["healthy"]
    assert [manager["swarm"]["state"] for manager in status["managers"]] == ["ready"] * 3
    assert len({manager["availability_zone"] for manager in status["managers"]}) == 3
    assert sum(manager["swarm"]["leader"] for manager in status["managers"]) == 1
    assert [worker["swarm"] for worker in status["workers"]] == [{"state": "ready", "availability": "active"}] * 3
    assert len({worker["availability_zone"] for worker in status["workers"]}) == 3
    assert before["instance"] == set()


def test_nodes_are_what_they_should_be(operator: Operator) -> None:
    daemon = operator.on("manager-a", "cat /etc/docker/daemon.json")
    assert '"max-size"' in daemon
    assert "live-restore" not in daemon
    assert "docker.io" in operator.on("worker-1", "apt-mark showhold")
    assert operator.on("worker-1", "cloud-init status").strip() == "status: done"
    assert operator.on("worker-1", "systemctl is-active dockeree-agent || true").strip() in ("active", "inactive")
    pools = operator.on("manager-a", "sudo docker info --format '{{json .Swarm.Cluster.DefaultAddrPool}}'")
    assert pools.strip() == '["10.128.0.0/10"]'


def test_a_container_on_a_manager_reaches_the_metadata_service_and_one_on_a_worker_does_not(
    operator: Operator,
) -> None:
    put = (
        "printf 'PUT /latest/api/token HTTP/1.1\\r\\nHost: 169.254.169.254\\r\\n"
        "X-aws-ec2-metadata-token-ttl-seconds: 60\\r\\nConnection: close\\r\\n\\r\\n' | timeout 5 nc 169.254.169.254 80"
    )
    inside = f'sudo docker run --rm busybox sh -c "{put}"'
    assert "200 OK" in operator.start("ssh", "manager-a", "--", inside).stdout
    assert "200 OK" not in operator.start("ssh", "worker-1", "--", inside).stdout


def test_a_worker_reads_its_own_parameter_and_nothing_else(operator: Operator) -> None:
    read = (
        "python3 -c 'import boto3,sys; "
        'print(boto3.client("ssm", region_name="us-east-1").get_parameter(Name=sys.argv[1], WithDecryption=True)'
        '["Parameter"]["Name"])\' '
    )
    assert operator.on("worker-1", f"{read} /dockeree/demo/worker/join").strip() == "/dockeree/demo/worker/join"
    for secret in ("/dockeree/demo/operator/ssh-key", "/dockeree/demo/cluster", "/dockeree/demo/manager/anything"):
        refused = operator.start("ssh", "worker-1", "--", f"{read} {secret}")
        assert refused.returncode == 1
        assert "AccessDenied" in refused.stderr


def test_a_service_answers_through_the_applications_balancer(operator: Operator) -> None:
    operator.on("manager-a", WEB)
    eventually(
        lambda: operator.status(code=0)["load_balancers"]["apps"]["healthy"] == 3 if _is_well(operator) else False
    )
    apps = operator.status()["load_balancers"]["apps"]
    assert (apps["healthy"], apps["total"]) == (3, 3)
    assert eventually(lambda: len(answers(apps["url"])) == 3)


def _is_well(operator: Operator) -> bool:
    return operator.start("status", "-o", "json").returncode == 0


def test_from_a_node_too_and_by_its_private_name(operator: Operator) -> None:
    url = operator.status()["load_balancers"]["apps"]["url"]
    assert operator.on("worker-1", f"curl --silent --max-time 5 {url}").strip()
    names = operator.on("manager-a", "getent hosts ucp.demo.dockeree.internal dtr.demo.dockeree.internal").split()
    assert all(word.startswith("10.32.") for word in names if word[0].isdigit())


def test_a_forgotten_rule_is_a_named_failure(operator: Operator) -> None:
    ec2 = operator.client("ec2")
    workers = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["demo-workers"]}])
    group = workers["SecurityGroups"][0]
    rules = [rule for rule in group["IpPermissions"] if rule.get("FromPort") == 80]
    ec2.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=rules)
    eventually(lambda: not _is_well(operator))
    status = operator.status(code=3)
    assert status["load_balancers"]["apps"]["healthy"] == 0
    assert any(problem.startswith("apps:80: 0 of 3 workers answer for web") for problem in status["problems"])
    # `up` puts it back, and says so.
    assert "nothing changed" not in operator.start("up").stderr
    eventually(lambda: _is_well(operator))


def test_scaling_up_and_down_leaves_none_down(operator: Operator) -> None:
    operator.run("scale-workers", "5")
    assert [worker["swarm"]["state"] for worker in operator.status()["workers"]] == ["ready"] * 5
    operator.run("scale-workers", "2")
    status = operator.status()
    assert [worker["swarm"]["state"] for worker in status["workers"]] == ["ready"] * 2
    listed = operator.on("manager-a", "sudo docker node ls --format '{{.Status}}'").split()
    assert listed == ["Ready"] * 5
    assert fetch(status["load_balancers"]["apps"]["url"])


def test_the_leader_reboots(operator: Operator) -> None:
    status = operator.status()
    leader = next(manager for manager in status["managers"] if manager["swarm"]["leader"])
    boot_id = operator.on(leader["name"], "cat /proc/1/stat").split()[21]
    operator.client("ec2").reboot_instances(InstanceIds=[leader["instance_id"]])

    def rebooted() -> bool:
        ended = operator.start("ssh", leader["name"], "--", "cat /proc/1/stat")
        return ended.returncode == 0 and ended.stdout.split()[21] != boot_id

    eventually(rebooted, 90)
    eventually(lambda: _is_well(operator), 90)
    assert next(m for m in operator.status()["managers"] if m["name"] == leader["name"])["swarm"]["state"] == "ready"


def test_up_again_changes_nothing(operator: Operator) -> None:
    operator.run("up")
    operator.forget_calls()
    again = operator.start("up")
    assert again.returncode == 0
    assert "nothing changed" in again.stderr
    changing = [
        c["action"] for c in operator.calls() if not c["action"].startswith(("Describe", "Get", "List", "Head"))
    ]
    assert changing == ["PutParameter", "DeleteParameter"]


def test_stopped_and_started_a_manager_has_a_new_public_address_and_comes_back(operator: Operator) -> None:
    ec2 = operator.client("ec2")
    manager = operator.status()["managers"][2]
    ec2.stop_instances(InstanceIds=[manager["instance_id"]])
    ec2.get_waiter("instance_stopped").config.delay = 1
    eventually(lambda: _state(ec2, manager["instance_id"]) == "stopped")
    eventually(lambda: operator.start("status").returncode == 3)
    ec2.start_instances(InstanceIds=[manager["instance_id"]])
    eventually(lambda: _is_well(operator), 90)
    now = operator.status()["managers"][2]
    assert now["private_ip"] == manager["private_ip"]
    assert now["public_ip"] != manager["public_ip"]


def _state(ec2: Any, instance_id: str) -> str:
    answer = ec2.describe_instances(InstanceIds=[instance_id])
    state: str = answer["Reservations"][0]["Instances"][0]["State"]["Name"]
    return state


def test_destroy_leaves_nothing(operator: Operator, before: Scan) -> None:
    kept = operator.start("destroy", "--confirm", "demo", timeout_seconds=400)
    assert (kept.returncode, "backups" in kept.stderr) == (0, True)
    assert set(difference(before, scan(**operator.credentials()))) == {"bucket"}
    operator.run("destroy", "--confirm", "demo", "--delete-backups", "--delete-images")
    assert difference(before, scan(**operator.credentials())) == {}
    assert not (operator.folder / ".dockeree" / "demo").exists()
