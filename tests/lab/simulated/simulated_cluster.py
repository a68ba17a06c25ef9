"""A small world for tests of simulated nodes: a driver, a snapshot with security groups, and paramiko clients."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import StringIO
from typing import Any

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from dockeree.lab.nodes.simulated import SimulatedDriver, SimulatedWiring
from dockeree.lab.settings import LabSettings
from dockeree.lab.world import (
    Balancer,
    Credentials,
    HealthCheck,
    InstanceNetwork,
    Interface,
    Listener,
    Metadata,
    NodeSpec,
    Rule,
    SecurityGroup,
    Snapshot,
    Subnet,
    Target,
    TargetGroup,
    Vpc,
)

ANYWHERE = ("0.0.0.0/0",)
ALL_OUT = (Rule("-1", None, None, ANYWHERE),)


def ssh_rule(port: int) -> Rule:
    """The operator may reach sshd, which listens elsewhere than on 22 where this process may not listen there."""
    return Rule("tcp", port, port, ("203.0.113.0/24",))


SWARM_PORTS = (("tcp", 2377), ("tcp", 7946), ("udp", 7946), ("udp", 4789))
SLOTS = range(64, 128)
"""Labs take the lower ones."""
BALANCER = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/apps/1"


def private_key() -> tuple[paramiko.PKey, str]:
    """A new key: paramiko's form, and the public half in OpenSSH's."""
    key = ed25519.Ed25519PrivateKey.generate()
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    ).decode()
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return paramiko.Ed25519Key.from_private_key(StringIO(text)), public.decode()


class FakeRegion:
    """An account without metadata and credentials."""

    def metadata_by_address(self, vpc_id: str, private_ip: str) -> Metadata | None:
        return None

    def role_credentials(self, instance_id: str) -> Credentials | None:
        return None


@dataclass
class Shell:
    """One paramiko connection."""

    client: paramiko.SSHClient

    def run(self, command: str, stdin: bytes = b"", timeout: float = 30.0) -> tuple[int, str, str]:
        """Exit status, standard output, standard error."""
        into, out, err = self.client.exec_command(command, timeout=timeout)
        into.write(stdin)
        into.channel.shutdown_write()
        stdout, stderr = out.read().decode(), err.read().decode()
        return out.channel.recv_exit_status(), stdout, stderr

    def ok(self, command: str, stdin: bytes = b"") -> str:
        """Standard output of a command that must succeed."""
        status, stdout, stderr = self.run(command, stdin)
        assert status == 0, f"{command}: {status}: {stderr}{stdout}"
        return stdout

    def docker(self, command: str) -> str:
        """`sudo -n docker COMMAND`, stripped."""
        return self.ok(f"sudo -n docker {command}").strip()


@dataclass
class Cluster:
    """The world. `ports` are what managers and workers let in from each other."""

    driver: SimulatedDriver
    wiring: SimulatedWiring
    settings: LabSettings
    key: paramiko.PKey
    public_key: str
    specs: dict[str, NodeSpec] = field(default_factory=dict)
    ports: Sequence[tuple[str, int]] = SWARM_PORTS
    extra_rules: Sequence[Rule] = ()
    targets: tuple[Target, ...] = ()
    check: HealthCheck = field(default_factory=lambda: HealthCheck("TCP", None, "/", 10, 6, 2, 2))
    clients: list[paramiko.SSHClient] = field(default_factory=list)

    def launch(self, count: int, **changes: Any) -> list[str]:
        """Start instances and return their ids; the snapshot knows them first, as in the lab."""
        network = self.settings.public_network.removesuffix(".0.0/16")
        ids = []
        for number in range(len(self.specs) + 1, len(self.specs) + count + 1):
            instance_id = f"i-{number:017x}"
            spec = NodeSpec(
                instance_id=instance_id,
                image_id="ami-1",
                image_variant="baked",
                instance_type="m5.large",
                zone="us-east-1a",
                subnet_id="subnet-1",
                vpc_id="vpc-1",
                private_ip=f"10.32.0.{number + 3}",
                public_ip=f"{network}.1.{number}",
                hostname=f"ip-10-32-0-{number + 3}",
                user_data=b"",
                authorized_key=self.public_key,
                root_volume_gib=50,
            )
            self.specs[instance_id] = replace(spec, **changes)
            ids.append(instance_id)
        self.apply()
        for instance_id in ids:
            self.driver.launch(self.specs[instance_id])
        return ids

    def apply(self) -> None:
        """Tell the wiring of everything as it is now."""
        rules = tuple(Rule(protocol, port, port, group_ids=("sg-nodes",)) for protocol, port in self.ports)
        from_balancer = Rule("tcp", 1, 65535, group_ids=("sg-balancer",))
        self.wiring.apply(
            Snapshot(
                vpcs=(Vpc("vpc-1", "10.32.0.0/16", True),),
                subnets=(Subnet("subnet-1", "vpc-1", "10.32.0.0/20", "us-east-1a", True),),
                security_groups=(
                    SecurityGroup("sg-nodes", "vpc-1", (*rules, *self.extra_rules, from_balancer), ALL_OUT),
                    SecurityGroup("sg-balancer", "vpc-1", (), ALL_OUT),
                ),
                instances=tuple(
                    InstanceNetwork(spec.instance_id, self._interface(spec), spec.hostname, spec.zone, True)
                    for spec in self.specs.values()
                ),
                balancers=(self._balancer(),),
                target_groups=(TargetGroup("arn:group", "TCP", self.check, self.targets, False),),
            )
        )

    def _interface(self, spec: NodeSpec) -> Interface:
        return Interface(
            f"eni-{spec.instance_id}",
            spec.instance_id,
            spec.subnet_id,
            spec.private_ip,
            spec.public_ip,
            ("sg-nodes",),
        )

    def _balancer(self) -> Balancer:
        face = Interface("eni-b", BALANCER, "subnet-1", "10.32.15.9", None, ("sg-balancer",))
        listener = Listener("arn:listener", 80, "TCP", "arn:group")
        return Balancer(BALANCER, "apps", "apps.elb", "vpc-1", True, True, True, (face,), (listener,))

    def shell(self, instance_id: str, key: paramiko.PKey | None = None, timeout: float = 10.0) -> Shell:
        """Log in as ubuntu."""
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        self.clients.append(client)
        client.connect(
            self.specs[instance_id].public_ip or "",
            self.driver.ssh_port,
            "ubuntu",
            pkey=key or self.key,
            timeout=timeout,
            banner_timeout=timeout,
            allow_agent=False,
            look_for_keys=False,
        )
        return Shell(client)

    def wait_booted(self, ids: Sequence[str]) -> None:
        """Wait until cloud-init has ended everywhere, as the console tells."""
        eventually(lambda: all("login:" in self.driver.console_output(each) for each in ids))

    def swarm(self, managers: int, workers: int) -> tuple[list[str], list[Shell]]:
        """Boot nodes and join them; ids and shells, managers first."""
        ids = self.launch(managers + workers)
        self.wait_booted(ids)
        shells = [self.shell(instance_id) for instance_id in ids]
        shells[0].docker("swarm init --advertise-addr 10.32.0.4:2377 --default-addr-pool 10.128.0.0/10")
        for position, shell in enumerate(shells[1:], 1):
            role = "manager" if position < managers else "worker"
            token = shells[0].docker(f"swarm join-token --quiet {role}")
            answer = shell.docker(f"swarm join --token {token} 10.32.0.4:2377")
            assert answer == f"This node joined a swarm as a {role}."
        return ids, shells


def eventually(condition: Callable[[], Any], seconds: float = 15.0) -> Any:
    """Wait until a condition holds, and return its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return value


@contextmanager
def free_slot() -> Iterator[int]:
    """A slot that no other test of this machine has: held by an abstract socket, which ends with the process."""
    for slot in random.sample(SLOTS, len(SLOTS)):
        with socket.socket(socket.AF_UNIX) as hold:
            try:
                hold.bind(f"\0dockeree-simulated-slot-{slot}")
            except OSError:
                continue
            yield slot
            return
    raise AssertionError("every slot is taken")


@contextmanager
def simulated_cluster(time_scale: float = 0.01, ssh_port: int | None = None) -> Iterator[Cluster]:
    """A cluster that is taken away whole."""
    with free_slot() as slot:
        yield from _running(LabSettings(f"simulated-{slot}", "simulated", slot, time_scale), ssh_port)


def _running(settings: LabSettings, ssh_port: int | None) -> Iterator[Cluster]:
    wiring = SimulatedWiring(settings)
    driver = SimulatedDriver(
        settings, FakeRegion(), wiring=wiring, endpoint_url="http://127.0.0.1:1", ssh_port=ssh_port
    )
    cluster = Cluster(driver, wiring, settings, *private_key(), extra_rules=(ssh_rule(driver.ssh_port),))
    try:
        yield cluster
    finally:
        for client in cluster.clients:
            client.close()
        driver.close()
        wiring.close()
