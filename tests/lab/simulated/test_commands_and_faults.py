"""What is not known fails and is noted; scripted faults; health of targets; many nodes; nothing left behind."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from pathlib import Path

import paramiko
import pytest
from simulated_cluster import SWARM_PORTS, Cluster, eventually, simulated_cluster

from dockeree.config import Config
from dockeree.lab.world import LabError, Target
from dockeree.node.boot import user_data


@pytest.mark.parametrize(
    ("command", "status", "stderr"),
    [
        ("frobnicate --now", 127, "bash: line 1: frobnicate: command not found\n"),
        ("sudo -n frobnicate", 1, "sudo: frobnicate: command not found\n"),
        ("sudo -n docker frobnicate", 1, "docker: unknown command: docker frobnicate\n\nRun 'docker --help'"),
        ("sudo -n docker node frobnicate", 1, "docker: unknown command: docker node frobnicate\n"),
        ("sudo -n docker node ls --frob", 125, "unknown flag: --frob\n"),
        ("for i in 1 2; do true; done", 2, "bash: -c: line 1: "),
        ("echo $(hostname)", 2, "bash: -c: line 1: "),
        ("python3 /opt/other.py", 127, "the simulation runs no programs but dockeree's own"),
    ],
)
def test_what_the_model_does_not_know(
    cluster: Cluster, caplog: pytest.LogCaptureFixture, command: str, status: int, stderr: str
) -> None:
    [node] = cluster.launch(1)
    cluster.wait_booted([node])
    with caplog.at_level(logging.WARNING, "dockeree.lab.simulated"):
        answer = cluster.shell(node).run(command)
    assert answer[0] == status
    assert stderr in answer[2]
    assert len([record for record in caplog.records if "unknown command" in record.message]) == 1
    assert len(cluster.driver.unknown_commands) == 1


@pytest.mark.parametrize(
    ("command", "stdout", "status"),
    [
        ("echo one && false || echo two; echo three", "one\ntwo\nthree\n", 0),
        ("echo 'a && b' \"c | d\"", "a && b c | d\n", 0),
        ("printf '%s-' a b", "a-b-", 0),
        ("NAME=x sh -c 'echo $NAME \"${NAME}y\" \\$'", "x xy $\n", 0),
        ("cat /etc/hostname | grep -c ip-", "1\n", 0),
        ("cat /nowhere 2>/dev/null", "", 1),
        ("cat /nowhere 2>&1 | grep -o 'No such.*'", "No such file or directory\n", 0),
        ("test -f /etc/os-release", "", 0),
        ("test -d /etc/os-release", "", 1),
        ("[ a = b ]", "", 1),
        ("command -v docker", "/usr/bin/docker\n", 0),
        ("systemctl is-active docker ssh nosuch", "active\nactive\ninactive\n", 4),
        ("id -u", "1000\n", 0),
        ("sudo -n docker version --format '{{.Server.Version}}'", "28.2.2\n", 0),
        (
            "sudo -n docker info --format '{{if .Swarm.NodeID}}in{{else}}out{{end}} {{.Swarm.LocalNodeState | upper}}'",
            "out INACTIVE\n",
            0,
        ),
        ("sudo -n docker network ls --format '{{.Name}}'", "bridge\nhost\nnone\n", 0),
        ("sudo -n docker pull -q nginx:1.27", "docker.io/library/nginx:1.27\n", 0),
        ("sudo -n docker pull nosuch/image", "", 1),
    ],
)
def test_the_shell_and_the_client(cluster: Cluster, command: str, stdout: str, status: int) -> None:
    [node] = cluster.launch(1)
    cluster.wait_booted([node])
    answer = cluster.shell(node).run(command)
    assert (answer[1], answer[0]) == (stdout, status), answer[2]


def test_files_belong_to_their_owners(cluster: Cluster) -> None:
    [node] = cluster.launch(1)
    cluster.wait_booted([node])
    shell = cluster.shell(node)
    shell.ok("sudo -n install -m 0600 /dev/stdin /etc/secret", b"\xffhidden")
    assert shell.run("cat /etc/secret") == (1, "", "cat: /etc/secret: Permission denied\n")
    assert shell.run("tee /etc/other", b"x")[0] == 1
    assert shell.ok("sudo -n stat -c '%a %s' /etc/secret") == "600 7\n"
    assert "permission denied" in shell.run("docker ps")[2]


def test_large_input_and_output_at_once(cluster: Cluster) -> None:
    [node] = cluster.launch(1)
    cluster.wait_booted([node])
    data = b"0123456789abcdef" * 400_000
    assert cluster.shell(node).ok("cat", data) == data.decode()


def test_faults_on_commands(cluster: Cluster) -> None:
    [node] = cluster.launch(1)
    cluster.wait_booted([node])
    shell = cluster.shell(node)
    cluster.driver.add_fault(
        node, {"kind": "command", "command": "swarm init", "exit_status": 7, "stderr": "no luck\n", "times": 2}
    )
    assert [shell.run("sudo -n docker swarm init")[0] for _ in range(3)] == [7, 7, 0]
    cluster.driver.add_fault("*", {"kind": "disconnect", "command": "^hostname$"})
    with pytest.raises((paramiko.SSHException, EOFError, AssertionError, OSError)):
        assert shell.run("hostname")[0] == 0
    again = cluster.shell(node)
    cluster.driver.add_fault(node, {"kind": "hang", "command": "uptime"})
    with pytest.raises(TimeoutError):
        again.run("uptime", timeout=0.3)
    assert again.run("uptime")[0] == 0


def test_faults_of_nodes(cluster: Cluster) -> None:
    [node] = cluster.launch(1)
    cluster.wait_booted([node])
    address = (cluster.specs[node].public_ip, cluster.driver.ssh_port)
    cluster.driver.add_fault(node, {"kind": "refuse_ssh"})
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=1)
    cluster.driver.clear_faults(node)
    socket.create_connection(address, timeout=1).close()
    cluster.driver.add_fault("*", {"kind": "cloud_init", "message": "the disk is full"})
    [other] = cluster.launch(1)
    cluster.wait_booted([other])
    assert "the disk is full" in cluster.shell(other).run("cloud-init status --long")[1]
    cluster.driver.add_fault(node, {"kind": "slow_boot", "seconds": 100})
    cluster.driver.reboot(node)
    began = time.monotonic()
    cluster.wait_booted([node])
    assert time.monotonic() - began > 1.0


@pytest.mark.parametrize(
    "fault", [{"kind": "flood"}, {"kind": "hang", "command": "("}, {"what": 1}, {"kind": "hang", "times": "x"}]
)
def test_faults_that_are_none(cluster: Cluster, fault: dict[str, object]) -> None:
    with pytest.raises(LabError, match="fault"):
        cluster.driver.add_fault("*", fault)
    with pytest.raises(LabError, match="no node"):
        cluster.driver.add_fault("i-never", {"kind": "refuse_ssh"})


def test_health_follows_what_answers(cluster: Cluster) -> None:
    ids, shells = cluster.swarm(1, 2)
    cluster.targets = tuple(Target(node, 8080) for node in ids[1:])
    cluster.apply()

    def states() -> list[tuple[str, str]]:
        answers = [cluster.wiring.target_health("arn:group", target) for target in cluster.targets]
        return [(answer.state, answer.reason) for answer in answers]

    assert states() == [("initial", "Elb.InitialHealthChecking")] * 2
    eventually(lambda: states() == [("unhealthy", "Target.FailedHealthChecks")] * 2)
    shells[0].docker(
        "service create --name web --mode global --constraint node.role==worker "
        "--publish mode=host,target=80,published=8080 nginx"
    )
    eventually(lambda: states() == [("healthy", "")] * 2)
    cluster.driver.power_cut(ids[1])
    eventually(lambda: [state for state, _ in states()] == ["unhealthy", "healthy"])
    assert cluster.wiring.target_health("arn:other", cluster.targets[0]).state == "unused"
    cluster.driver.reboot(ids[1])
    eventually(lambda: states() == [("healthy", "")] * 2)


def test_the_routing_mesh_needs_its_ports(cluster: Cluster) -> None:
    ids, shells = cluster.swarm(1, 1)
    cluster.targets = (Target(ids[1], 8080),)
    cluster.apply()
    shells[0].docker("service create --name web --constraint node.role==manager --publish 8080:80 nginx")
    eventually(lambda: cluster.wiring.target_health("arn:group", cluster.targets[0]).state == "healthy")
    cluster.ports = [port for port in SWARM_PORTS if port != ("udp", 4789)]
    cluster.apply()
    eventually(lambda: cluster.wiring.target_health("arn:group", cluster.targets[0]).state == "unhealthy")


@pytest.mark.parametrize(("variant", "source"), [("baked", "ubuntu"), ("bare", "ubuntu"), ("bare", "preinstalled")])
def test_the_tools_own_user_data(cluster: Cluster, variant: str, source: str) -> None:
    config = Config.model_validate({"name": "demo", "admin_cidrs": ["203.0.113.0/24"], "engine": {"source": source}})
    data = user_data(
        role="manager",
        cluster_name="demo",
        cluster_id="0a1b2c3d",
        region="us-east-1",
        engine=config.engine,
        join_parameter="/dockeree/demo/worker/join",
    )
    [node] = cluster.launch(1, user_data=data, image_variant=variant)
    cluster.wait_booted([node])
    shell = cluster.shell(node)
    console = cluster.driver.console_output(node)
    if (variant, source) == ("bare", "preinstalled"):
        assert shell.run("cloud-init status")[:2] == (1, "status: error\n")
        assert "this image has no docker" in console
        return
    assert shell.ok("cloud-init status") == "status: done\n"
    assert ("dockeree-boot: installing" in console) == (variant == "bare")
    assert json.loads(shell.ok("cat /etc/docker/daemon.json"))["log-opts"] == {"max-size": "20m", "max-file": "3"}
    assert shell.ok("systemctl is-active dockeree-engine docker") == "active\nactive\n"
    assert "the engine answers" in shell.ok("journalctl -u dockeree-engine --no-pager -o cat")


def resident_mib() -> float:
    """This process's memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4 / 1024


def test_forty_nodes_are_light(record_property: pytest.RecordProperty) -> None:
    before, began = resident_mib(), time.monotonic()
    with simulated_cluster(time_scale=0.0) as cluster:
        ids = cluster.launch(40)
        cluster.wait_booted(ids)
        seconds, mebibytes = time.monotonic() - began, resident_mib() - before
        record_property("seconds", seconds)
        record_property("mebibytes", mebibytes)
        assert cluster.shell(ids[39]).ok("hostname") == "ip-10-32-0-43\n"
    assert seconds < 10
    assert mebibytes < 100


def test_nothing_is_left_after_close() -> None:
    before = {thread.name for thread in threading.enumerate()}
    with simulated_cluster() as cluster:
        ids = cluster.launch(3)
        cluster.wait_booted(ids)
        cluster.driver.power_cut(ids[1])
        cluster.shell(ids[0]).ok("hostname")
        addresses = [(cluster.specs[node].public_ip, cluster.driver.ssh_port) for node in ids]
    for address in addresses:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=1)
    cluster.driver.close()
    kept = {thread.name for thread in threading.enumerate()} - before
    assert not [name for name in kept if name.startswith(("simulated-sshd", "simulated-health", "i-"))]
