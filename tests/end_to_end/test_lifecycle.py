"""The life of a cluster as its operator sees it: the command line against a lab with simulated nodes.

One test after the other on one cluster: each begins where the one before it ended.
"""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from support.account_scan import Scan, difference, scan
from support.running_lab import Operator
from support.tag_scan import tags_of_everything

from dockeree.lab.control import ask
from dockeree.steps.step import Step
from dockeree.workflows.up import CLOUD, SWARM

READING = ("Describe", "Get", "List", "Head")
READING_COMMANDS = (
    "bash -c ",
    "sudo -n ",
    "docker info ",
    "docker node ls ",
    "docker node inspect ",
    "docker service ls ",
    "docker swarm join-token --quiet ",
    "docker version ",
    "cloud-init status",
)
"""What an idle cluster may be asked. A shell and sudo are listed by themselves, and what they run is listed too."""
STEPS = (*CLOUD, *SWARM)
"""Of a cluster without consoles: simulated nodes run no containers."""
LOCK = ["ssm PutParameter", "ssm DeleteParameter"]
MANAGER_KEYS = {"name", "instance_id", "availability_zone", "private_ip", "public_ip", "swarm", "ucp", "dtr"}
BALANCER_KEYS = {"dns_name", "url", "healthy", "total"}


@pytest.fixture(scope="module")
def before(operator: Operator) -> Scan:
    """The account before the cluster."""
    operator.configure(tags={"team": "platform"}, ucp={"enabled": False})
    return scan(**operator.credentials())


def logs(operator: Operator, command: str) -> list[Path]:
    """The logs of a command's runs, oldest first."""
    return sorted((operator.folder / "xdg-state/dockeree/demo").glob(f"*-{command}.log"))


def processes(operator: Operator) -> list[str]:
    """Every process that ran on the nodes so far."""
    return [process["command"] for process in ask(operator.lab, "nodes/commands")]


def changing(operator: Operator) -> list[str]:
    """The calls since the last forget_calls that change something."""
    calls = [f"{call['service']} {call['action']}" for call in operator.calls()]
    assert calls
    return [call for call in calls if not call.split()[1].startswith(READING)]


def power_cut(operator: Operator, instance_id: str) -> None:
    ask(operator.lab, f"instances/{instance_id}/power-cut", method="POST")


def test_up_says_what_it_does_and_what_stands(operator: Operator, before: Scan) -> None:
    ended = operator.start("up")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == ""
    lines = ended.stderr.splitlines()
    assert lines[0] == "demo  us-east-1  account 123456789012  arn:aws:iam::123456789012:user/operator"
    assert lines[1] == "admin_cidrs: auto is 127.0.0.1/32"
    assert lines[2] == f"{len(STEPS)} steps"
    assert {title(step) for step in STEPS} == {match.group(1) for match in re.finditer(r"✓ \w+: (.+): ", ended.stderr)}
    assert "\x1b" not in ended.stderr
    fields = dict(line.split(maxsplit=1) for line in lines[lines.index(final_line(lines)) + 1 :] if line[0] != " ")
    assert list(fields) == ["Apps", "Nodes", "Costs", "Next", "Log"]
    assert fields["Nodes"] == "3 managers, 3 workers"
    assert re.match(r"\$\d\.\d\d/hour, \$\d+/month until: dockeree destroy", fields["Costs"])
    assert fields["Next"] == "dockeree status"
    [log] = logs(operator, "up")
    assert fields["Log"] == str(log)


def title(step: type[Step]) -> str:
    return step.title


def final_line(lines: list[str]) -> str:
    [line] = [line for line in lines if line.startswith("✓ demo is up in ")]
    return line


def test_files_are_the_operators_alone(operator: Operator) -> None:
    state = operator.folder / ".dockeree" / "demo"
    [log] = logs(operator, "up")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (*state.iterdir(), log, state, log.parent)}
    assert {"state.yaml", "ssh.key", "known_hosts"} < set(modes)
    assert modes.pop("demo") == 0o700
    assert set(modes.values()) == {0o600}


def test_everything_is_tagged(operator: Operator) -> None:
    tags = tags_of_everything(operator.client)
    assert len(tags) > 100, "the search for what should be tagged found too little"
    [cluster_id] = {tag["dockeree:id"] for tag in tags.values() if "dockeree:id" in tag}
    wanted = {"dockeree:cluster": "demo", "dockeree:id": cluster_id, "team": "platform"}
    assert {what: tag for what, tag in tags.items() if not wanted.items() <= tag.items()} == {}
    assert {what for what, tag in tags.items() if not {"dockeree:role", "Name"} <= set(tag)} == set()


def test_up_again_changes_nothing(operator: Operator) -> None:
    standing = scan(**operator.credentials())
    ran_before = len(processes(operator))
    operator.forget_calls()
    ended = operator.start("up")
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"^✓ demo is up, and nothing changed \(\d+s\)$", ended.stderr, re.MULTILINE)
    assert changing(operator) == LOCK
    ran = processes(operator)[ran_before:]
    assert ran
    assert [command for command in ran if not command.startswith(READING_COMMANDS)] == []
    log = logs(operator, "up")[-1].read_text()
    assert " reads: " in log
    assert " changes: " not in log
    assert difference(standing, scan(**operator.credentials())) == {}


def test_status_prints_one_document_and_nothing_else(operator: Operator) -> None:
    operator.forget_calls()
    ended = operator.start("status", "-o", "json")
    assert ended.returncode == 0
    assert ended.stderr == ""
    document = json.loads(ended.stdout)
    assert changing(operator) == []
    shape = {
        "format_version": 1,
        "cluster": "demo",
        "region": "us-east-1",
        "healthy": True,
        "problems": [],
        "warnings": [],
        "license": None,
        "backups": {"latest": None},
    }
    lists = {key: document.pop(key) for key in ("managers", "workers", "load_balancers")}
    assert document == shape
    for manager in lists["managers"]:
        assert set(manager) == MANAGER_KEYS
        assert set(manager["swarm"]) == {"state", "availability", "leader"}
    for worker in lists["workers"]:
        assert set(worker) == MANAGER_KEYS - {"public_ip", "ucp", "dtr"}
        assert worker["swarm"] == {"state": "ready", "availability": "active"}
    assert [sorted(node["availability_zone"] for node in lists[kind]) for kind in ("managers", "workers")] == [
        ["us-east-1a", "us-east-1b", "us-east-1c"]
    ] * 2
    assert [manager["swarm"]["leader"] for manager in lists["managers"]].count(True) == 1
    assert list(lists["load_balancers"]) == ["ucp", "dtr", "apps"]
    for balancer in lists["load_balancers"].values():
        assert set(balancer) == BALANCER_KEYS
        assert balancer["url"].endswith(f"://{balancer['dns_name']}")
        assert balancer["total"] == 3


def test_status_tells_what_aws_and_the_swarm_tell(operator: Operator) -> None:
    document = operator.status()
    pages = operator.client("ec2").describe_instances()["Reservations"]
    described = {instance["InstanceId"]: instance for page in pages for instance in page["Instances"]}
    for node in (*document["managers"], *document["workers"]):
        instance = described.pop(node["instance_id"])
        assert node["private_ip"] == instance["PrivateIpAddress"]
        assert node.get("public_ip", instance["PublicIpAddress"]) == instance["PublicIpAddress"]
        assert node["availability_zone"] == instance["Placement"]["AvailabilityZone"]
    assert described == {}
    leader = next(manager["name"] for manager in document["managers"] if manager["swarm"]["leader"])
    assert operator.on(leader, "sudo docker info --format '{{.Swarm.ControlAvailable}}'").strip() == "true"


def test_ssh_runs_a_command_and_gives_its_exit_code(operator: Operator) -> None:
    listed = operator.on("manager-a", "sudo docker node ls --format '{{.Status}} {{.Availability}}'")
    assert listed.splitlines() == ["Ready Active"] * 6
    assert operator.start("ssh", "manager-b", "--", "exit 7").returncode == 7


def test_a_manager_without_power_is_seen_and_comes_back(operator: Operator) -> None:
    manager = next(manager for manager in operator.status()["managers"] if not manager["swarm"]["leader"])
    power_cut(operator, manager["instance_id"])
    degraded = operator.status(code=3)
    [problem] = degraded["problems"]
    assert re.fullmatch(rf"{manager['name']} is (down|unreachable) in the swarm", problem)
    operator.client("ec2").reboot_instances(InstanceIds=[manager["instance_id"]])
    assert json.loads(operator.run("status", "-o", "json", "--wait", "60s"))["healthy"]


def test_a_worker_without_power_is_seen_and_replaced(operator: Operator) -> None:
    """The group replaces it; the swarm remembers it until somebody removes it, as scale-workers does."""
    worker = operator.status()["workers"][0]
    power_cut(operator, worker["instance_id"])
    degraded = operator.status(code=3)
    hostname = f"ip-{worker['private_ip'].replace('.', '-')}"
    assert any(worker["private_ip"] in problem or hostname in problem for problem in degraded["problems"])
    operator.run("scale-workers", "3")
    status = operator.status()
    assert worker["instance_id"] not in {other["instance_id"] for other in status["workers"]}
    assert len(status["workers"]) == 3


def test_scaling_up(operator: Operator) -> None:
    operator.run("scale-workers", "5")
    assert [worker["swarm"]["state"] for worker in operator.status()["workers"]] == ["ready"] * 5


def test_scaling_down_leaves_no_node_behind(operator: Operator) -> None:
    operator.run("scale-workers", "2")
    status = operator.status()
    assert len(status["workers"]) == 2
    assert status["load_balancers"]["apps"]["total"] == 2
    assert operator.on("manager-a", "sudo docker node ls --format '{{.Status}}'").split() == ["Ready"] * 5


@pytest.mark.parametrize(("wanted", "bound"), [("11", "10"), ("0", "1"), ("-1", ""), ("many", "")])
def test_scaling_out_of_bounds_is_refused(operator: Operator, wanted: str, bound: str) -> None:
    operator.forget_calls()
    ended = operator.start("scale-workers", "--", wanted)
    assert ended.returncode == 2
    assert bound in ended.stderr
    assert [call for call in operator.calls() if not call["action"].startswith(READING)] == []
    assert len(operator.status()["workers"]) == 2


def test_up_keeps_the_number_of_workers(operator: Operator) -> None:
    assert "nothing changed" in operator.start("up").stderr
    assert len(operator.status()["workers"]) == 2


def test_status_cannot_tell_when_no_manager_answers(operator: Operator) -> None:
    managers = operator.status()["managers"]
    for manager in managers:
        power_cut(operator, manager["instance_id"])
    ended = operator.start("status", "-o", "json")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "no manager of demo could be asked" in ended.stderr
    assert all(manager["name"] in ended.stderr for manager in managers)


def test_destroy_wants_the_right_name(operator: Operator) -> None:
    standing = scan(**operator.credentials())
    for arguments in ((), ("--confirm", "other")):
        assert operator.start("destroy", *arguments).returncode == 2
    assert difference(standing, scan(**operator.credentials())) == {}


def test_destroy_leaves_nothing_even_of_managers_that_do_not_answer(operator: Operator, before: Scan) -> None:
    ended = operator.start("destroy", "--confirm", "demo", "-o", "json")
    assert ended.returncode == 0, ended.stderr
    document: dict[str, Any] = json.loads(ended.stdout)
    assert document["left"] == []
    assert len([item for item in document["removed"] if item["kind"] == "instance"]) == 5
    assert difference(before, scan(**operator.credentials())) == {}
    assert not (operator.folder / ".dockeree").exists()


def test_destroy_again_has_nothing_to_do(operator: Operator) -> None:
    operator.forget_calls()
    ended = operator.start("destroy", "--confirm", "demo")
    assert ended.returncode == 0
    assert "nothing to destroy" in ended.stderr
    assert changing(operator) == []
    assert not (operator.folder / ".dockeree").exists()


def test_status_of_nothing_is_not_healthy(operator: Operator) -> None:
    document = operator.status(code=3)
    assert document["problems"] == ["there is no cluster demo in us-east-1"]
