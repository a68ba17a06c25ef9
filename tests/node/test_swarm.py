"""The commands as they are typed, and docker's own answers as they are read."""

from __future__ import annotations

import json

import pytest

from dockeree.errors import CommandFailed, DockereeError
from dockeree.node import engine, swarm
from dockeree.node.engine import EngineInfo, SwarmState
from dockeree.node.membership import NoManagerWorks, judge
from dockeree.ssh.remote import Result

TOKEN = "SWMTKN-1-3pu6hszjas19xyp7ghgosyx9k8atbfcr8p2is99znpy26u2lkl-1awxwuwd3z9j1z3puu7rcgdbx"

GOLDEN = {
    engine.CLOUD_INIT_STATUS: "cloud-init status",
    engine.VERSION: "sudo -n docker version --format '{{json .}}'",
    engine.INFO: "sudo -n docker info --format '{{json .}}'",
    swarm.NODE_LS: "sudo -n docker node ls --format '{{json .}}'",
    swarm.init_command("10.32.0.5", "10.128.0.0/10"): (
        "sudo -n docker swarm init --advertise-addr 10.32.0.5:2377 --default-addr-pool 10.128.0.0/10"
    ),
    swarm.JOIN: (
        "sudo -n curl --silent --show-error --max-time 60 --unix-socket /var/run/docker.sock "
        "--header 'Content-Type: application/json' --data-binary @- --write-out '\\n%{http_code}' "
        "http://localhost/swarm/join"
    ),
    swarm.leave_command(): "sudo -n docker swarm leave --force",
    swarm.join_token_command("worker"): "sudo -n docker swarm join-token --quiet worker",
    swarm.node_inspect_command(["a1", "b2"]): "sudo -n docker node inspect --format '{{json .}}' a1 b2",
    swarm.retire_command("a1"): (
        "sudo -n docker node update --availability drain --label-add dockeree.retired=true a1"
    ),
    swarm.node_ps_command("a1"): "sudo -n docker node ps --no-trunc --format '{{json .}}' a1",
    swarm.node_rm_command(["a1", "b2"]): "sudo -n docker node rm --force a1 b2",
    swarm.promote_command("a1"): "sudo -n docker node promote a1",
    swarm.demote_command("a1"): "sudo -n docker node demote a1",
}


@pytest.mark.parametrize("command", list(GOLDEN))
def test_commands_are_typed_exactly_so(command: str) -> None:
    assert command == GOLDEN[command]


def test_a_join_s_token_is_in_the_body_and_not_in_the_command() -> None:
    body = json.loads(swarm.join_body(TOKEN, "10.32.4.7", ["10.32.0.5:2377"]))
    assert body == {
        "ListenAddr": "0.0.0.0:2377",
        "AdvertiseAddr": "10.32.4.7:2377",
        "RemoteAddrs": ["10.32.0.5:2377"],
        "JoinToken": TOKEN,
    }


@pytest.mark.parametrize(
    ("stdout", "answer"),
    [
        ("\n200", (200, "")),
        ('{"message":"invalid join token"}\n\n400', (400, "invalid join token")),
        ("upstream went away\n502", (502, "upstream went away")),
    ],
)
def test_the_engine_s_answer_to_a_join(stdout: str, answer: tuple[int, str]) -> None:
    assert swarm.parse_join(stdout) == answer


def test_the_engine_s_version_and_its_absence() -> None:
    with_server = '{"Client":{"Version":"24.0.7"},"Server":{"Platform":{"Name":""},"Version":"24.0.7"}}'
    assert engine.parse_version(with_server) == "24.0.7"
    assert engine.parse_version('{"Client":{"Version":"24.0.7"},"Server":null}') is None
    assert engine.parse_version("") is None
    assert engine.parse_version("bash: docker: command not found") is None


INFO_OF_A_MANAGER = """\
{"ID":"b8c7","Name":"ip-10-32-0-5","ServerVersion":"20.10.24+dfsg1","Swarm":{"NodeID":"v4kq","NodeAddr":"10.32.0.5",\
"LocalNodeState":"active","ControlAvailable":true,"Error":"","RemoteManagers":[{"NodeID":"v4kq","Addr":"10.32.0.5:2377"}],\
"Nodes":1,"Managers":1,"Cluster":{"ID":"n1jx","DefaultAddrPool":["10.128.0.0/10"],"SubnetSize":24}}}"""
INFO_OUTSIDE = """\
{"Name":"ip-10-32-64-4","ServerVersion":"20.10.24+dfsg1","Swarm":{"NodeID":"","NodeAddr":"","LocalNodeState":"inactive",\
"ControlAvailable":false,"Error":"","RemoteManagers":null}}"""
INFO_WITHOUT_ENGINE = """\
{"ID":"","Containers":0,"Swarm":{"NodeID":"","LocalNodeState":""},\
"ServerErrors":["Cannot connect to the Docker daemon"]}"""


def test_docker_info_of_a_manager_and_of_a_node_outside() -> None:
    info = engine.parse_info(INFO_OF_A_MANAGER)
    assert (info.hostname, info.version) == ("ip-10-32-0-5", "20.10.24+dfsg1")
    assert info.swarm == SwarmState("active", "v4kq", "10.32.0.5", True, "n1jx", ("10.32.0.5:2377",), "")
    assert info.swarm.is_member
    assert engine.parse_info(INFO_OUTSIDE).swarm == SwarmState("inactive", "", "", False, "", (), "")
    with pytest.raises(ValueError, match="Cannot connect to the Docker daemon"):
        engine.parse_info(INFO_WITHOUT_ENGINE)


NODES = """\
{"ID":"v4kq","Version":{"Index":9},"CreatedAt":"2026-11-24T03:10:00Z","Spec":{"Labels":{},"Role":"manager",\
"Availability":"active"},"Description":{"Hostname":"ip-10-32-0-5","Engine":{"EngineVersion":"20.10.24"}},"Status":\
{"State":"ready","Addr":"0.0.0.0"},"ManagerStatus":{"Leader":true,"Reachability":"reachable","Addr":"10.32.0.5:2377"}}
{"ID":"m2mm","CreatedAt":"2026-11-24T03:11:00Z","Spec":{"Labels":{},"Role":"manager","Availability":"active"},\
"Description":{"Hostname":"ip-10-32-64-4","Engine":{"EngineVersion":"20.10.24"}},"Status":{"State":"down","Addr":\
"10.32.64.4"},"ManagerStatus":{"Reachability":"unreachable","Addr":"10.32.64.4:2377"}}

{"ID":"w1ww","CreatedAt":"2026-11-24T03:12:00Z","Spec":{"Labels":{"dockeree.retired":"true"},"Role":"worker",\
"Availability":"drain"},"Description":{"Hostname":"ip-10-32-0-9","Engine":{"EngineVersion":"20.10.24"}},"Status":\
{"State":"ready","Addr":"10.32.0.9"}}
"""


def test_nodes_as_the_managers_see_them() -> None:
    leader, dead, worker = swarm.parse_nodes(NODES)
    assert (leader.address, leader.is_leader, leader.is_manager, leader.is_ready) == ("10.32.0.5", True, True, True)
    assert (dead.address, dead.reachability, dead.is_ready, dead.is_leader) == (
        "10.32.64.4",
        "unreachable",
        False,
        False,
    )
    assert (worker.role, worker.availability, worker.is_retired, worker.is_ready) == ("worker", "drain", True, True)
    assert not leader.is_retired


class Manager:
    """Answers `node ls`, and `node inspect` with what it is given."""

    name = "manager-a"

    def __init__(self, inspected: Result) -> None:
        self.inspected = inspected

    def run(self, command: str, **options: object) -> Result:
        assert options["changes"] is False
        return (
            self.inspected if "inspect" in command else Result(0, '{"ID":"v4kq"}\n{"ID":"m2mm"}\n{"ID":"w1ww"}\n', "")
        )

    def close(self) -> None: ...


def test_a_node_removed_while_the_others_are_read_is_left_out() -> None:
    lines = "\n".join(NODES.splitlines()[:1])
    nodes = swarm.read_nodes(Manager(Result(1, lines, "Error: No such node: w1ww")))
    assert [node.id for node in nodes] == ["v4kq"]
    with pytest.raises(CommandFailed, match="does not have a leader"):
        swarm.read_nodes(Manager(Result(1, "", "Error response from daemon: The swarm does not have a leader.")))


def test_tasks_that_run_and_tasks_that_are_gone() -> None:
    rows = [("web.1", "Running 5 minutes ago"), ("web.2", "Shutdown 3 seconds ago"), ("job.1", "Complete 1 hour ago"),
            ("db.1", "Starting 1 second ago"), ("web.3", "Failed less than a second ago")]  # fmt: skip
    lines = "\n".join(json.dumps({"ID": name, "Name": name, "CurrentState": state}) for name, state in rows)
    tasks = swarm.parse_tasks(lines)
    assert [task.name for task in tasks if not task.is_gone] == ["web.1", "db.1"]


@pytest.mark.parametrize(
    ("stdout", "word"),
    [
        ("status: done\n", "done"),
        ("\nstatus: running\n", "running"),
        ("status: error\nextended_status: x", "error"),
        ("", ""),
    ],
)
def test_cloud_init_s_word(stdout: str, word: str) -> None:
    assert engine.parse_cloud_init_status(stdout) == word


def _info(state: str = "inactive", *, manager: bool = False, cluster: str = "", error: str = "") -> EngineInfo:
    return EngineInfo(
        "host", "24", SwarmState(state, "id" if state != "inactive" else "", "", manager, cluster, (), error)
    )


OUT = _info()
IN = _info("active", manager=True, cluster="one")


def test_no_swarm_one_swarm_and_half_a_swarm() -> None:
    nobody = judge({"a": OUT, "b": OUT, "c": OUT})
    assert (nobody.cluster_id, nobody.active, nobody.outside) == ("", (), ("a", "b", "c"))
    some = judge({"a": OUT, "b": IN, "c": _info("pending")})
    assert (some.cluster_id, some.active, some.outside, some.half) == ("one", ("b",), ("a",), ("c",))


def test_two_swarms_are_nobody_s_to_choose_from() -> None:
    with pytest.raises(DockereeError, match="different swarms: a in one, b in two"):
        judge({"a": IN, "b": _info("active", manager=True, cluster="two"), "c": OUT})


@pytest.mark.parametrize(
    "broken",
    [
        _info("active", manager=True, error="The swarm does not have a leader"),
        _info("locked"),
        _info("pending"),
        _info("active"),
    ],
)
def test_a_swarm_in_ruins_is_not_started_anew(broken: EngineInfo) -> None:
    with pytest.raises(NoManagerWorks, match="no manager works: b says"):
        judge({"a": OUT, "b": broken, "c": OUT})
