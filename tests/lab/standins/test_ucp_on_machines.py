"""The UCP stand-in on real engines: refused, installed, used, joined, changed, removed, and failed at each phase.

One test after the other on one swarm of three managers and a worker: each begins where the one before it ended.
"""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.running_lab import Operator

from dockeree.lab import control
from dockeree.lab.standins.program.certificates import issue, new_root
from dockeree.lab.standins.ucp.progress import PHASES

pytestmark = pytest.mark.machines

IMAGE, OLD_IMAGE = "mirantis/ucp:3.8.12", "docker/ucp:3.2.6"
MANAGERS = ("manager-a", "manager-b", "manager-c")
SOCKET = "-v /var/run/docker.sock:/var/run/docker.sock"
PASSWORD = "a-long-password"
CERTIFICATES = "/var/lib/docker/volumes/ucp-node-certs/_data"
OF_MANAGERS = {
    *("ucp-controller", "ucp-kv", "ucp-auth-api", "ucp-auth-store", "ucp-auth-worker", "ucp-cluster-root-ca"),
    *("ucp-client-root-ca", "ucp-swarm-manager", "ucp-metrics"),
}
OF_ALL = {"ucp-proxy", "ucp-dsinfo", "ucp-kubelet", "ucp-kube-proxy", "ucp-reconcile"}


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    name = f"ucp-{os.getpid()}"
    running = control.start(name, "machines")
    try:
        operator = Operator(running, tmp_path_factory.mktemp(name))
        operator.configure(ucp={"enabled": False}, dtr={"enabled": False}, backup={"skip": True}, workers={"count": 1})
        operator.run("up", timeout_seconds=400)
        yield operator
    finally:
        control.stop(name)


@pytest.fixture(scope="module")
def addresses(operator: Operator) -> dict[str, str]:
    status = operator.status()
    (worker,) = status["workers"]
    return {node["name"]: node["private_ip"] for node in status["managers"]} | {"worker-1": worker["private_ip"]}


def ucp(
    operator: Operator, command: str, *, node: str = "manager-a", image: str = IMAGE, code: int = 0, options: str = ""
) -> str:
    """Run the image by the documented line; both outputs. The exit code must be `code`."""
    line = f"sudo docker run --rm -i --name ucp {SOCKET} {options} {image} {command} </dev/null 2>&1"
    return operator.on(node, line, code=code)


def eventually(probe: Callable[[], Any], seconds: float = 60) -> Any:
    """The first true answer of `probe`; fails with its last one when the time is over."""
    deadline = time.monotonic() + seconds
    while not (answer := probe()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {answer!r}"
        time.sleep(0.5)
    return answer


def containers(operator: Operator, node: str) -> dict[str, str]:
    """Name and state of UCP's containers on a node, the services' tasks left aside."""
    listed = operator.on(node, "sudo docker ps --all --format '{{.Names}} {{.State}}'")
    pairs = dict(line.split() for line in listed.splitlines())
    return {name: state for name, state in pairs.items() if name.startswith("ucp-") and "." not in name}


def answers(operator: Operator, node: str) -> bool:
    command = "curl --silent --output /dev/null --write-out '%{http_code}' --insecure https://127.0.0.1/_ping"
    return operator.start("ssh", node, "--", command).stdout.strip() == "200"


def served_names(operator: Operator, node: str) -> set[str]:
    """What the certificate that a controller serves is for."""
    command = "openssl s_client -connect 127.0.0.1:443 </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName"
    text = operator.on(node, command).splitlines()[1]
    return {entry.partition(":")[2] for entry in text.strip().split(", ")}


def curl(operator: Operator, node: str, path: str, *options: str, token: str = "") -> str:
    """Ask a node's own controller, its certificate verified against its /ca."""
    words = ["curl", "--silent", "--show-error", "--cacert", "/tmp/ca.pem", *options, f"https://127.0.0.1{path}"]
    if token:
        words[1:1] = ["--header", f"Authorization: Bearer {token}"]
    fetch = "curl --silent --insecure --output /tmp/ca.pem https://127.0.0.1/ca"
    return operator.on(node, f"{fetch} && {shlex.join(words)}")


def log_in(operator: Operator, node: str) -> str:
    body = json.dumps({"username": "admin", "password": PASSWORD})
    token: str = json.loads(curl(operator, node, "/auth/login", "--data", body))["auth_token"]
    return token


def docker(operator: Operator, line: str, code: int = 0) -> str:
    """Run the docker command on manager-b through its controller, with a client bundle."""
    environment = "DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=/tmp/bundle DOCKER_HOST=tcp://127.0.0.1:443"
    return operator.on("manager-b", f"export {environment}; {line} 2>&1", code=code)


def pull(operator: Operator, image: str, *nodes: str) -> None:
    for node in nodes:
        operator.on(node, f"sudo docker pull --quiet {image}")


def test_what_is_refused_before_anything_is_changed(operator: Operator) -> None:
    pull(operator, IMAGE, *MANAGERS, "worker-1")
    without_socket = operator.on("manager-a", f"sudo docker run --rm --name ucp {IMAGE} install 2>&1", code=1)
    assert "stand-in" in without_socket.splitlines()[0]
    assert "unable to get valid Docker client: unable to ping Docker daemon" in without_socket
    assert "flag provided but not defined: -nothing" in ucp(operator, "install --nothing", code=1)
    assert "at least 8 characters" in ucp(operator, "install --admin-password short12", code=1)
    assert "neither an address nor an interface" in ucp(operator, "install --host-address 192.0.2.1", code=1)
    assert "is a worker" in ucp(operator, "install", node="worker-1", code=1)
    assert "lacks ca.pem, cert.pem, key.pem" in ucp(operator, "install --external-server-cert", code=1)
    assert "not JSON" in ucp(operator, "install --license nonsense", code=1)
    assert "not in this stand-in" in ucp(operator, "backup --no-passphrase", code=1)


def test_a_busy_port_is_named(operator: Operator) -> None:
    operator.on("manager-a", "sudo docker run --detach --rm --name busy --network host busybox nc -l -p 12385")
    output = ucp(operator, "install", code=1)
    operator.on("manager-a", "sudo docker rm --force busy")
    assert "The following required ports are already in use on your host - 12385." in output


def test_releases_before_3_3_want_their_name_and_log_as_on_a_terminal(operator: Operator) -> None:
    line = f"sudo docker run --rm --tty {SOCKET} {OLD_IMAGE} id"
    assert "FATA[0000] this container must be run with --name ucp" in operator.on("manager-a", line, code=1)
    streamed = operator.on("manager-a", f"sudo docker run --rm --name ucp {SOCKET} {OLD_IMAGE} id 2>/dev/null")
    assert streamed == operator.on("manager-a", "sudo docker info --format '{{.Swarm.Cluster.ID}}'")


def test_installation(operator: Operator, addresses: dict[str, str]) -> None:
    tokens = operator.on("manager-a", "sudo docker swarm join-token --quiet worker")
    for node, label in (("manager-b", "ucp.example.com,second.example.com"), ("manager-c", "ucp.example.com")):
        operator.on(node, f"sudo docker node update --label-add com.docker.ucp.SANs={label} $(hostname)")
    options = f"--env UCP_ADMIN_USER=admin --env UCP_ADMIN_PASSWORD={PASSWORD}"
    output = ucp(operator, f"install --host-address {addresses['manager-a']} --san ucp.example.com", options=options)
    assert "All Installation Steps Completed" in output
    assert PASSWORD not in output
    assert operator.on("manager-a", "sudo docker swarm join-token --quiet worker") != tokens
    root = operator.on("manager-a", "sudo cat /var/lib/docker/volumes/ucp-cluster-root-ca/_data/cert.pem")
    trusted = operator.on("manager-a", "sudo docker swarm ca")
    assert trusted.strip() == root.strip()


def test_the_documented_containers_are_there(operator: Operator) -> None:
    for node in MANAGERS:
        eventually(lambda node=node: set(containers(operator, node)) > OF_MANAGERS | OF_ALL)
    eventually(lambda: set(containers(operator, "worker-1")) == OF_ALL)
    states = containers(operator, "manager-b")
    assert states.pop("ucp-reconcile") == "exited"
    assert set(states.values()) == {"running"}
    image = operator.on("manager-b", "sudo docker inspect --format '{{.Config.Image}}' ucp-proxy")
    assert image.strip() == IMAGE
    labels = json.loads(operator.on("worker-1", "sudo docker inspect --format '{{json .Config.Labels}}' ucp-proxy"))
    assert labels["com.docker.ucp.version"] == "3.8.12"
    assert labels["dockeree.stand-in"] == "true"
    assert len(labels["com.docker.ucp.InstanceID"]) == 25


def test_each_controller_is_certified_for_its_own_names(operator: Operator, addresses: dict[str, str]) -> None:
    labelled = {"manager-a": {"ucp.example.com"}, "manager-b": {"ucp.example.com", "second.example.com"}}
    for node in MANAGERS:
        eventually(lambda node=node: answers(operator, node))
        hostname = operator.on(node, "hostname").strip()
        own = {addresses[node], "127.0.0.1", hostname}
        assert served_names(operator, node) == own | labelled.get(node, {"ucp.example.com"})


def test_a_session_of_one_controller_is_good_on_another(operator: Operator) -> None:
    token = log_in(operator, "manager-a")
    nodes = json.loads(curl(operator, "manager-c", "/nodes", token=token))
    assert [node["Status"]["State"] for node in nodes] == ["ready"] * 4
    assert "unauthorized" in curl(operator, "manager-c", "/nodes")
    assert "404" in curl(operator, "manager-c", "/_ping", "--head")


def test_it_is_not_installed_twice(operator: Operator) -> None:
    assert "UCP is already installed" in ucp(operator, f"install --admin-password {PASSWORD}", code=1)


def test_the_docker_command_works_through_a_controller(operator: Operator) -> None:
    token = log_in(operator, "manager-b")
    curl(operator, "manager-b", "/api/clientbundle", "--output", "/tmp/bundle.zip", token=token)
    operator.on("manager-b", "mkdir -p /tmp/bundle && cd /tmp/bundle && python3 -m zipfile -e ../bundle.zip .")
    assert docker(operator, "docker node ls --format '{{.Status}}'").split() == ["Ready"] * 4
    assert "ucp-agent" in docker(operator, "docker service ls")
    worker = operator.on("worker-1", "hostname").strip()
    listed = docker(operator, "docker ps --format '{{.Names}}'").split()
    assert f"{worker}/ucp-proxy" in listed
    assert sum(name.endswith("/ucp-controller") for name in listed) == 3
    assert ": downloaded" in docker(operator, "docker pull busybox")
    assert docker(operator, "echo piped | docker run --rm -i busybox cat").strip() == "piped"
    line = f"docker run --detach --name web --env constraint:node=={worker} busybox sh -c 'echo hello; sleep 600'"
    docker(operator, line)
    assert docker(operator, "docker inspect --format '{{.Node.Name}}' web").strip() == worker
    assert docker(operator, "docker logs web").strip() == "hello"
    assert docker(operator, f"docker exec {worker}/web cat /etc/hostname").strip()
    assert "is already assigned" in docker(operator, "docker create --name web busybox", code=1)
    docker(operator, "docker rm --force web")


def test_containers_land_on_managers_only_when_administrators_may(operator: Operator) -> None:
    line = "docker run --rm --env constraint:node==$(hostname) busybox hostname"
    assert "could not find any nodes on which the container could be created" in docker(operator, line, code=125)
    token = log_in(operator, "manager-b")
    text = curl(operator, "manager-b", "/api/ucp/config-toml", token=token)
    changed = text.replace("enable_admin_ucp_scheduling = false", "enable_admin_ucp_scheduling = true")
    assert changed != text
    operator.on("manager-b", f"printf %s {shlex.quote(changed)} >/tmp/config.toml")
    curl(operator, "manager-b", "/api/ucp/config-toml", "--upload-file", "/tmp/config.toml", token=token)
    # Another controller reads the same.
    assert curl(operator, "manager-c", "/api/ucp/config-toml", token=token) == changed
    docker(operator, line)


def test_engines_and_authorities_are_for_managers_only(operator: Operator, addresses: dict[str, str]) -> None:
    manager, worker = addresses["manager-a"], addresses["worker-1"]
    own = f"sudo curl --silent --insecure --cert {CERTIFICATES}/cert.pem --key {CERTIFICATES}/key.pem"
    assert operator.on("manager-a", f"{own} https://{worker}:12376/_ping") == "OK"
    assert operator.start("ssh", "worker-1", "--", f"{own} https://{manager}:12376/_ping").stdout == ""
    assert operator.start("ssh", "manager-a", "--", f"curl --insecure https://{worker}:12376/_ping").stdout == ""
    for port in (12381, 12382):
        assert "managers only" in operator.on("worker-1", f"{own} https://{manager}:{port}/")
        assert "PRIVATE KEY" in operator.on("manager-b", f"{own} https://{manager}:{port}/")


def test_a_new_label_is_a_new_certificate(operator: Operator) -> None:
    operator.on("manager-c", "sudo docker node update --label-add com.docker.ucp.SANs=third.example.com $(hostname)")
    # The controller goes on serving meanwhile.
    eventually(lambda: "third.example.com" in served_names(operator, "manager-c"), 30)
    assert "ucp.example.com" not in served_names(operator, "manager-c")


def test_a_worker_that_joins_later_gets_its_parts(operator: Operator) -> None:
    ssm = operator.client("ssm")
    name = "/dockeree/demo/worker/join"
    join = json.loads(ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])
    token = operator.on("manager-a", "sudo docker swarm join-token --quiet worker").strip()
    ssm.put_parameter(Name=name, Value=json.dumps(join | {"token": token}), Type="SecureString", Overwrite=True)
    operator.run("scale-workers", "2")
    eventually(lambda: set(containers(operator, "worker-2")) == OF_ALL)
    session = log_in(operator, "manager-b")
    eventually(
        lambda: (
            [node["Status"]["State"] for node in json.loads(curl(operator, "manager-b", "/nodes", token=session))]
            == ["ready"] * 5
        )
    )


def test_a_demoted_manager_gives_up_its_keys_and_a_promoted_node_gets_them(operator: Operator) -> None:
    hostname = operator.on("manager-c", "hostname").strip()
    operator.on("manager-a", f"sudo docker node demote {hostname}")
    eventually(lambda: set(containers(operator, "manager-c")) == OF_ALL)
    volumes = operator.on("manager-c", "sudo docker volume ls --quiet").split()
    assert "ucp-cluster-root-ca" not in volumes
    assert "ucp-client-root-ca" not in volumes
    operator.on("manager-a", f"sudo docker node promote {hostname}")
    eventually(lambda: answers(operator, "manager-c"))
    key = "sudo cat /var/lib/docker/volumes/ucp-client-root-ca/_data/key.pem"
    assert operator.on("manager-c", key) == operator.on("manager-a", key)


def test_everything_comes_back_with_the_engine(operator: Operator) -> None:
    operator.on("manager-b", "sudo systemctl restart docker")
    eventually(lambda: answers(operator, "manager-b"))
    states = containers(operator, "manager-b")
    assert {name for name, state in states.items() if state != "running"} == {"ucp-reconcile"}


def test_uninstallation_wants_the_clusters_id_and_leaves_the_swarm(operator: Operator) -> None:
    assert "is not this cluster's" in ucp(operator, "uninstall-ucp --id nonsense", code=1)
    assert "--id is required" in ucp(operator, "uninstall-ucp", code=1)
    uninstall(operator)
    for node in (*MANAGERS, "worker-1", "worker-2"):
        assert containers(operator, node) == {}
        left = operator.on(node, "sudo docker volume ls --quiet").split()
        assert [name for name in left if name.startswith("ucp-")] in ([], ["ucp-controller-server-certs"])
    assert operator.on("manager-a", "sudo docker service ls --quiet; sudo docker config ls --quiet") == ""


def uninstall(operator: Operator) -> str:
    cluster_id = ucp(operator, "id").splitlines()[-1]
    return ucp(operator, f"uninstall-ucp --id {cluster_id} --purge-config")


@pytest.mark.parametrize("phase", PHASES)
def test_it_fails_in_the_phase_that_the_tag_names(operator: Operator, phase: str) -> None:
    image = f"{IMAGE}-fail-{phase}"
    pull(operator, image, *MANAGERS, "worker-1", "worker-2")
    output = ucp(operator, f"install --admin-password {PASSWORD}", image=image, code=1)
    last = output.splitlines()[-1]
    assert "level=fatal" in last
    words = {
        "agents": "The ucp-agent task is failed",
        "reconcile": "reconcile exited with non-zero status: 1",
        "controller": "Unhealthy UCP Controller",
    }
    assert words.get(phase, f"phase {phase}") in last
    again = ucp(operator, "install --admin-password short", code=1)
    is_half_there = phase in words
    assert ("already installed" in again) == is_half_there
    if is_half_there:
        assert "has been removed from this cluster successfully" in uninstall(operator)


def test_the_operators_own_certificate_is_served(operator: Operator) -> None:
    root = new_root("Example CA")
    pair = issue(root, "ucp.example.com", server_names=["ucp.example.com"])
    operator.on("manager-a", "sudo docker volume create ucp-controller-server-certs")
    for name, content in (("ca", root.certificate_pem), ("cert", pair.certificate_pem), ("key", pair.key_pem)):
        path = f"/var/lib/docker/volumes/ucp-controller-server-certs/_data/{name}.pem"
        operator.on("manager-a", f"printf %s {shlex.quote(content.decode())} | sudo tee {path} >/dev/null")
    ucp(operator, f"install --admin-password {PASSWORD} --external-server-cert")
    assert served_names(operator, "manager-a") == {"ucp.example.com"}
    served = operator.on("manager-a", "curl --silent --insecure https://127.0.0.1/ca")
    assert served.strip() == root.certificate_pem.decode().strip()
    # The volume is this node's: the others have UCP's own.
    eventually(lambda: answers(operator, "manager-b"))
    assert "127.0.0.1" in served_names(operator, "manager-b")
