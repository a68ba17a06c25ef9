"""Three managers and workers: init, join, leaders, quorum, drain, removal, in docker's words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from simulated_cluster import SWARM_PORTS, Cluster, Shell, eventually

NO_LEADER = (
    "Error response from daemon: rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that "
    "too few managers are online. Make sure more than half of the managers are online.\n"
)


def nodes(shell: Shell) -> dict[str, dict[str, Any]]:
    """`docker node ls` by the last part of the host's name; empty without a quorum."""
    status, stdout, _ = shell.run("sudo -n docker node ls --format '{{json .}}'")
    rows = [json.loads(line) for line in stdout.splitlines()] if status == 0 else []
    return {row["Hostname"].rpartition("-")[2]: row for row in rows}


def statuses(shell: Shell) -> dict[str, str]:
    """`Ready Leader` and so on by the last part of the host's name."""
    return {name: f"{row['Status']} {row['ManagerStatus']}".strip() for name, row in nodes(shell).items()}


def tasks(shell: Shell, service: str) -> dict[str, str]:
    """The state of the tasks that shall run, by node."""
    rows = shell.docker(f"service ps --filter desired-state=running --format '{{{{json .}}}}' {service}").splitlines()
    return {row["Node"].rpartition("-")[2]: row["CurrentState"].split()[0] for row in map(json.loads, rows)}


def test_three_managers_and_two_workers(cluster: Cluster) -> None:
    _, shells = cluster.swarm(3, 2)
    assert statuses(shells[0]) == {
        "4": "Ready Leader",
        "5": "Ready Reachable",
        "6": "Ready Reachable",
        "7": "Ready",
        "8": "Ready",
    }
    info = json.loads(shells[4].docker("info --format '{{json .Swarm}}'"))
    assert (info["LocalNodeState"], info["ControlAvailable"], info["NodeAddr"]) == ("active", False, "10.32.0.8")
    assert {manager["Addr"] for manager in info["RemoteManagers"]} == {f"10.32.0.{n}:2377" for n in (4, 5, 6)}
    assert "Cluster" not in info
    assert (
        shells[1].docker("info --format '{{.Swarm.Cluster.DefaultAddrPool}} {{.Swarm.Managers}}'")
        == "[10.128.0.0/10] 3"
    )
    [own] = [row for row in nodes(shells[1]).values() if row["Self"]]
    assert own["Hostname"] == "ip-10-32-0-5"
    inspected = json.loads(shells[0].docker("node inspect self"))[0]
    assert inspected["ManagerStatus"] == {"Leader": True, "Reachability": "reachable", "Addr": "10.32.0.4:2377"}


def test_refusals_of_init_and_join(cluster: Cluster) -> None:
    ids, shells = cluster.swarm(1, 1)
    [third] = cluster.launch(1)
    cluster.wait_booted([third])
    late = cluster.shell(third)
    token = shells[0].docker("swarm join-token -q worker")
    already = (
        'Error response from daemon: This node is already part of a swarm. Use "docker swarm leave" to leave this '
        "swarm and join another one.\n"
    )
    assert shells[0].run("sudo -n docker swarm init") == (1, "", already)
    assert shells[1].run(f"sudo -n docker swarm join --token {token} 10.32.0.4:2377") == (1, "", already)
    assert late.run("sudo -n docker swarm join --token nonsense 10.32.0.4:2377") == (
        1,
        "",
        "Error response from daemon: invalid join token\n",
    )
    old = token[:-1] + ("0" if token[-1] != "0" else "1")
    refused = late.run(f"sudo -n docker swarm join --token {old} 10.32.0.4:2377")
    assert "code = InvalidArgument desc = A valid join token is necessary to join this cluster" in refused[2]
    other_ca = "SWMTKN-1-" + "0" * 50 + token[-26:]
    assert (
        "remote CA does not match fingerprint"
        in late.run(f"sudo -n docker swarm join --token {other_ca} 10.32.0.4:2377")[2]
    )
    assert "connection refused" in late.run(f"sudo -n docker swarm join --token {token} 10.32.0.5:2377")[2]
    assert late.docker("info --format '{{.Swarm.LocalNodeState}}'") == "inactive"
    status, _, stderr = late.run("sudo -n docker node ls")
    assert (status, "This node is not a swarm manager. Use" in stderr) == (1, True)
    assert "Worker nodes can't be used to view" in shells[1].run("sudo -n docker node ls")[2]
    assert late.run("sudo -n docker swarm leave")[2] == "Error response from daemon: This node is not part of a swarm\n"
    assert ids


def test_a_rotated_token_lets_nobody_in_with_the_old_one(cluster: Cluster) -> None:
    _, shells = cluster.swarm(1, 1)
    old = shells[0].docker("swarm join-token -q worker")
    new = shells[0].docker("swarm join-token -q --rotate worker")
    assert new != old == old.strip()
    shells[1].docker("swarm leave")
    assert (
        "A valid join token is necessary" in shells[1].run(f"sudo -n docker swarm join --token {old} 10.32.0.4:2377")[2]
    )
    shells[1].docker(f"swarm join --token {new} 10.32.0.4:2377")
    assert sorted(statuses(shells[0]).values()) == ["Ready", "Ready Leader"]
    rows = shells[0].docker("node ls --format '{{.Hostname}} {{.Status}}'").splitlines()
    assert sorted(rows) == ["ip-10-32-0-4 Ready", "ip-10-32-0-5 Down", "ip-10-32-0-5 Ready"]


def test_the_join_over_the_engines_socket(cluster: Cluster) -> None:
    _, shells = cluster.swarm(1, 0)
    [node] = cluster.launch(1)
    cluster.wait_booted([node])
    curl = (
        "sudo -n curl --silent --show-error --max-time 60 --unix-socket /var/run/docker.sock --header "
        "'Content-Type: application/json' --data-binary @- --write-out '\\n%{http_code}' http://localhost/swarm/join"
    )
    body = {
        "RemoteAddrs": ["10.32.0.99:2377", "10.32.0.4:2377"],
        "AdvertiseAddr": "10.32.0.5:2377",
        "JoinToken": "wrong",
    }
    shell = cluster.shell(node)
    refused = shell.ok(curl, json.dumps(body).encode())
    assert refused == '{"message":"invalid join token"}\n\n400'
    body["JoinToken"] = shells[0].docker("swarm join-token -q manager")
    assert shell.ok(curl, json.dumps(body).encode()) == "\n200"
    assert shell.ok(curl, json.dumps(body).encode()).endswith("\n503")
    assert statuses(shell)["5"] == "Ready Reachable"


def test_the_leader_loses_its_power_and_comes_back(slow_cluster: Cluster) -> None:
    ids, shells = slow_cluster.swarm(3, 1)
    slow_cluster.driver.power_cut(ids[0])
    assert shells[1].run("sudo -n docker node ls") == (1, "", NO_LEADER)
    eventually(lambda: statuses(shells[1]).get("5") == "Ready Leader")
    assert statuses(shells[1])["7"] == "Unknown", "workers register with the new leader first"
    eventually(
        lambda: (
            statuses(shells[1])
            == {
                "4": "Down Unreachable",
                "5": "Ready Leader",
                "6": "Ready Reachable",
                "7": "Ready",
            }
        )
    )
    slow_cluster.driver.reboot(ids[0])
    slow_cluster.wait_booted([ids[0]])
    eventually(lambda: statuses(shells[1])["4"] == "Ready Reachable")
    assert statuses(slow_cluster.shell(ids[0]))["5"] == "Ready Leader"


def test_without_a_quorum_nothing_is_read_or_changed(cluster: Cluster) -> None:
    ids, shells = cluster.swarm(3, 1)
    for node in ids[:2]:
        cluster.driver.power_cut(node)
    eventually(lambda: shells[2].run("sudo -n docker node ls")[0] == 1)
    assert shells[2].run("sudo -n docker service ls") == (1, "", NO_LEADER)
    info = json.loads(shells[2].docker("info --format '{{json .Swarm}}'"))
    assert (info["LocalNodeState"], info["ControlAvailable"]) == ("active", True)
    assert "does not have a leader" in info["Error"]
    shells[2].docker("swarm init --force-new-cluster")
    assert statuses(shells[2])["6"] == "Ready Leader"
    assert set(statuses(shells[2])) == {"6", "7"}


def test_two_managers_cut_and_one_back_is_a_quorum_again(cluster: Cluster) -> None:
    ids, shells = cluster.swarm(3, 0)
    for node in ids[:2]:
        cluster.driver.power_cut(node)
    eventually(lambda: shells[2].run("sudo -n docker node ls")[0] == 1)
    cluster.driver.reboot(ids[1])
    eventually(lambda: "Leader" in " ".join(statuses(shells[2]).values()))


def test_a_worker_without_power_is_down_after_its_heartbeat(slow_cluster: Cluster) -> None:
    ids, shells = slow_cluster.swarm(1, 1)
    slow_cluster.driver.power_cut(ids[1])
    assert statuses(shells[0])["5"] == "Ready"
    eventually(lambda: statuses(shells[0])["5"] == "Down")


def test_a_global_service_follows_the_workers_and_drain(slow_cluster: Cluster) -> None:
    ids, shells = slow_cluster.swarm(1, 2)
    shells[0].docker(
        "service create --detach --name web --mode global --constraint node.role==worker "
        "--publish mode=host,target=80,published=8080 nginx"
    )
    assert set(tasks(shells[0], "web").values()) == {"Preparing"}
    eventually(lambda: tasks(shells[0], "web") == {"5": "Running", "6": "Running"})
    assert shells[0].docker("service ls --format '{{.Name}} {{.Mode}} {{.Replicas}}'") == "web global 2/2"
    assert shells[1].docker("ps --format '{{.Image}} {{.Ports}}'") == "nginx:latest 0.0.0.0:8080->80/tcp"
    assert shells[0].docker("node update --availability drain ip-10-32-0-5") == "ip-10-32-0-5"
    first = json.loads(shells[0].docker("node ps --format '{{json .}}' ip-10-32-0-5"))
    assert (first["DesiredState"], first["CurrentState"].split()[0]) == ("Shutdown", "Running")
    eventually(
        lambda: "Shutdown" in json.loads(shells[0].docker("node ps --format '{{json .}}' ip-10-32-0-5"))["CurrentState"]
    )
    assert shells[1].docker("ps -q") == ""
    assert tasks(shells[0], "web") == {"6": "Running"}
    shells[0].docker("node update --availability active ip-10-32-0-5")
    eventually(lambda: tasks(shells[0], "web") == {"5": "Running", "6": "Running"})
    slow_cluster.driver.power_cut(ids[2])
    eventually(lambda: tasks(shells[0], "web") == {"5": "Running"})


def test_replicas_spread_move_and_wait(cluster: Cluster) -> None:
    ids, shells = cluster.swarm(1, 2)
    shells[0].docker("service create --name api --replicas 3 traefik/whoami")
    assert sorted(tasks(shells[0], "api")) == ["4", "5", "6"]
    cluster.driver.power_cut(ids[2])
    eventually(lambda: len(nodes(shells[0])) == 3 and "6" not in tasks(shells[0], "api"))
    eventually(lambda: shells[0].docker("service ls --format '{{.Replicas}}'") == "3/3")
    shells[0].docker("service scale api=1")
    assert shells[0].docker("service ls --format '{{.Replicas}}'") == "1/1"
    shells[0].docker("service create --detach --name nowhere --constraint node.labels.disk==ssd redis")
    pending = json.loads(shells[0].docker("service ps --no-trunc --format '{{json .}}' nowhere"))
    assert pending["CurrentState"].startswith("Pending")
    assert "no suitable node (scheduling constraints not satisfied on 3 nodes)" in pending["Error"]
    shells[0].docker("node update --label-add disk=ssd ip-10-32-0-5")
    eventually(lambda: tasks(shells[0], "nowhere") == {"5": "Running"})
    shells[0].docker("service rm api nowhere")
    assert shells[0].docker("service ls -q") == ""
    eventually(lambda: shells[1].docker("ps -q") == "")


def test_an_update_replaces_the_tasks(cluster: Cluster) -> None:
    _, shells = cluster.swarm(1, 0)
    shells[0].docker("service create --name web --publish 8080:80 nginx:1")
    first = shells[0].docker("service ps -q web")
    shells[0].docker("service update --image nginx:2 --replicas 2 web")
    images = shells[0].docker("service ps --filter desired-state=running --format '{{.Image}}' web").splitlines()
    assert images == ["nginx:2", "nginx:2"]
    assert first in shells[0].docker("service ps -q --filter desired-state=shutdown web")
    taken = shells[0].run("sudo -n docker service create --name other -p 8080:80 httpd")
    assert "port '8080' is already in use by service 'web'" in taken[2]
    twice = shells[0].run("sudo -n docker service create --name web httpd")
    assert "service web already exists" in twice[2]
    missing = shells[0].run("sudo -n docker service create --name what nosuch/image")
    assert "pull access denied for nosuch/image" in missing[2]


def test_removal_demotion_and_promotion(slow_cluster: Cluster) -> None:
    ids, shells = slow_cluster.swarm(3, 1)
    lead = shells[0]
    worker_id = nodes(lead)["7"]["ID"]
    status, _, stderr = lead.run(f"sudo -n docker node rm {worker_id}")
    assert (status, stderr) == (
        1,
        "Error response from daemon: rpc error: code = FailedPrecondition desc = node "
        f"{worker_id} is not down and can't be removed\n",
    )
    assert (
        "is a cluster manager and is a member of the raft cluster"
        in lead.run("sudo -n docker node rm --force ip-10-32-0-5")[2]
    )
    assert lead.run("sudo -n docker node rm nosuch")[2] == "Error response from daemon: node nosuch not found\n"
    assert "You are attempting to leave the swarm" in shells[1].run("sudo -n docker swarm leave")[2]
    assert lead.docker("node promote ip-10-32-0-7") == "Node ip-10-32-0-7 promoted to a manager in the swarm."
    assert lead.docker("node promote ip-10-32-0-7") == "Node ip-10-32-0-7 is already a manager."
    assert statuses(shells[3])["7"] == "Ready Reachable"
    assert lead.docker("node demote ip-10-32-0-4") == "Manager ip-10-32-0-4 demoted in the swarm."
    assert statuses(shells[1])["5"] == "Ready Leader"
    assert "Worker nodes can't be used" in lead.run("sudo -n docker node ls")[2]
    slow_cluster.driver.destroy(ids[3])
    assert "loss of quorum" not in shells[1].run("sudo -n docker node demote ip-10-32-0-7")[2]
    assert shells[1].docker(f"node rm --force {worker_id}") == worker_id
    assert "7" not in nodes(shells[1])
    shells[0].docker("swarm leave")
    eventually(lambda: statuses(shells[1])["4"] == "Down")
    shells[1].docker("node rm ip-10-32-0-4")
    assert set(nodes(shells[1])) == {"5", "6"}


def test_demotion_keeps_the_quorum_and_the_last_manager(cluster: Cluster) -> None:
    ids, shells = cluster.swarm(3, 0)
    cluster.driver.power_cut(ids[2])
    eventually(lambda: statuses(shells[0]).get("6") == "Down Unreachable")
    refused = shells[0].run("sudo -n docker node demote ip-10-32-0-5")
    assert (refused[0], "this would result in a loss of quorum" in refused[2]) == (1, True)
    shells[0].docker("node demote ip-10-32-0-6")
    shells[0].docker("node demote ip-10-32-0-5")
    assert (
        "attempting to demote the last manager of the swarm"
        in shells[0].run("sudo -n docker node demote ip-10-32-0-4")[2]
    )


@pytest.mark.parametrize("closed", [("tcp", 2377)])
def test_a_forgotten_rule_shows_at_the_join(cluster: Cluster, closed: tuple[str, int]) -> None:
    cluster.ports = [port for port in SWARM_PORTS if port != closed]
    first, second = cluster.launch(2)
    cluster.wait_booted([first, second])
    cluster.shell(first).docker("swarm init")
    token = cluster.shell(first).docker("swarm join-token -q worker")
    late = cluster.shell(second)
    status, _, stderr = late.run(f"sudo -n docker swarm join --token {token} 10.32.0.4:2377")
    assert status == 1
    assert "Timeout was reached before node joined. The attempt to join the swarm will continue" in stderr
    assert late.docker("info --format '{{.Swarm.LocalNodeState}}'") == "pending"
    cluster.ports = SWARM_PORTS
    cluster.apply()
    eventually(lambda: late.docker("info --format '{{.Swarm.LocalNodeState}}'") == "active")
    assert statuses(cluster.shell(first)) == {"4": "Ready Leader", "5": "Ready"}


def test_a_rule_taken_away_puts_workers_down(cluster: Cluster) -> None:
    _, shells = cluster.swarm(1, 1)
    cluster.ports = ()
    cluster.apply()
    eventually(lambda: statuses(shells[0]) == {"4": "Ready Leader", "5": "Down"})
    cluster.ports = SWARM_PORTS
    cluster.apply()
    eventually(lambda: statuses(shells[0])["5"] == "Ready")


def test_public_addresses_do_not_match_rules_that_name_groups(cluster: Cluster) -> None:
    first, second = cluster.launch(2)
    cluster.wait_booted([first, second])
    public = cluster.specs[first].public_ip
    cluster.shell(first).docker(f"swarm init --advertise-addr {public}")
    token = cluster.shell(first).docker("swarm join-token -q worker")
    assert (
        "Timeout was reached"
        in cluster.shell(second).run(f"sudo -n docker swarm join --token {token} {public}:2377")[2]
    )


def test_the_engine_stopped_and_started(cluster: Cluster) -> None:
    _, shells = cluster.swarm(1, 1)
    shells[1].ok("sudo -n systemctl stop docker")
    assert shells[1].run("sudo -n docker node ls")[2].startswith("Cannot connect to the Docker daemon")
    version = shells[1].run("sudo -n docker version --format '{{json .}}'")
    assert (version[0], json.loads(version[1])["Server"]) == (1, None)
    assert json.loads(shells[1].docker("info --format '{{json .}}'"))["ServerErrors"]
    eventually(lambda: statuses(shells[0])["5"] == "Down")
    shells[1].ok("sudo -n systemctl start docker")
    eventually(lambda: statuses(shells[0])["5"] == "Ready")
