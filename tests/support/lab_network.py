"""A lab's real network for tests, and plain processes inside its namespaces that talk through it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace

from dockeree.lab.network import MachineWiring
from dockeree.lab.settings import LabSettings
from dockeree.lab.world import (
    Balancer,
    HealthCheck,
    InstanceNetwork,
    Interface,
    Listener,
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

SERVER = """
import socket, sys
listener = socket.create_server(("", int(sys.argv[1])))
print("ready", flush=True)
while True:
    connection, (address, port) = listener.accept()
    connection.sendall((sys.argv[2] + " " + address).encode())
    connection.close()
"""

CLIENT = """
import socket, sys
try:
    connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3]))
    text = b""
    while part := connection.recv(4096):
        text += part
    print(text.decode())
except TimeoutError:
    print("timeout")
except OSError as error:
    print(type(error).__name__)
"""


def why_not() -> str:
    """Why no network can be made here, empty where it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [tool for tool in ("ip", "nft") if shutil.which(tool) is None]
    return f"{', '.join(missing)} not installed" if missing else ""


def free_slot() -> int:
    """A slot whose range no other lab on this host uses."""
    routes = subprocess.run(["ip", "route"], capture_output=True, text=True, check=True).stdout
    first = os.getpid() % 100
    return next(slot for slot in range(100 + first, 256) if f"198.18.{slot}." not in routes)


class Net:
    """A wiring and the processes a test starts in it."""

    def __init__(self, name: str, slot: int) -> None:
        self.settings = LabSettings(name, "machines", slot, time_scale=0.01)
        self.wiring = MachineWiring(self.settings)
        self._processes: list[subprocess.Popen[str]] = []

    def public(self, number: int) -> str:
        return f"198.18.{self.settings.slot}.{number}"

    @property
    def balancer_name(self) -> str:
        """Its own in each lab: the host knows the balancers of all."""
        return f"demo-{self.settings.tag}112233445566aa.elb.us-east-1.amazonaws.com"

    @property
    def operator(self) -> str:
        return self.public(2)

    def instance(
        self, number: int, groups: tuple[str, ...], *, subnet: str = "subnet-a", vpc: str = "1", public: bool = True
    ) -> InstanceNetwork:
        """Instance i-VPC00NUMBER at 10.32.{0,1,2}.NUMBER, public address .(20 + NUMBER) (VPC 1) or .(120 + …)."""
        third = {"a": 0, "b": 1, "c": 2}[subnet[-1]]
        address = f"10.32.{third}.{number}"
        public_ip = self.public((20 if vpc == "1" else 120) + number) if public else None
        interface = Interface(
            f"eni-{vpc}{number:016x}",
            f"i-{vpc}{number:016x}",
            f"{subnet[:-1]}{vpc}{subnet[-1]}",
            address,
            public_ip,
            groups,
        )
        hostname = "ip-" + address.replace(".", "-")
        return InstanceNetwork(interface.owner, interface, hostname, f"us-east-1{subnet[-1]}", True)

    def run(self, namespace: str | None, *argv: str, timeout: float = 20) -> str:
        prefix = ["ip", "netns", "exec", namespace] if namespace else []
        done = subprocess.run([*prefix, *argv], capture_output=True, text=True, timeout=timeout)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def python(self, namespace: str | None, program: str, *argv: str, timeout: float = 20) -> str:
        return self.run(namespace, sys.executable, "-I", "-S", "-c", program, *argv, timeout=timeout)

    def start(self, namespace: str | None, program: str, *argv: str) -> subprocess.Popen[str]:
        """Start a Python program that prints a line when it is ready."""
        prefix = ["ip", "netns", "exec", namespace] if namespace else []
        process = subprocess.Popen(
            [*prefix, sys.executable, "-I", "-S", "-c", program, *argv], stdout=subprocess.PIPE, text=True
        )
        self._processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        return process

    def node(self, instance: InstanceNetwork) -> str:
        return self.wiring.node_namespace(instance.instance_id)

    def serve(self, instance: InstanceNetwork, port: int) -> subprocess.Popen[str]:
        """A server in a node that says its instance's id and who it is talking to."""
        return self.start(self.node(instance), SERVER, str(port), instance.instance_id)

    def ask(self, source: InstanceNetwork | None, address: str, port: int, timeout: float = 0.7) -> str:
        """What a server says to `source` (None: to the operator): "ID CLIENT-ADDRESS", "timeout" or an error's name."""
        namespace = self.node(source) if source else None
        return self.python(namespace, CLIENT, address, str(port), str(timeout))

    def end(self, process: subprocess.Popen[str]) -> None:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        if process in self._processes:
            self._processes.remove(process)

    def close(self) -> None:
        for process in list(self._processes):
            self.end(process)
        self.wiring.close()


def vpc_parts(vpc: str = "1", cidr: str = "10.32.0.0/16") -> Snapshot:
    """A VPC with subnets a, b and c (c without a route to the Internet) and nothing in it."""
    base = cidr.rsplit(".", 2)[0]
    return Snapshot(
        vpcs=(Vpc(f"vpc-{vpc}", cidr, True),),
        subnets=tuple(
            Subnet(f"subnet-{vpc}{z}", f"vpc-{vpc}", f"{base}.{n}.0/24", f"us-east-1{z}", z != "c")
            for n, z in enumerate("abc")
        ),
    )


def group(name: str, *ingress: Rule, egress: tuple[Rule, ...] = ALL_OUT, vpc: str = "1") -> SecurityGroup:
    return SecurityGroup(name, f"vpc-{vpc}", ingress, egress)


def tcp(port: int, *, cidrs: tuple[str, ...] = (), groups: tuple[str, ...] = ()) -> Rule:
    return Rule("tcp", port, port, cidrs, groups)


def with_parts(snapshot: Snapshot, **parts: object) -> Snapshot:
    return replace(snapshot, **parts)  # type: ignore[arg-type]


BALANCER_ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/demo/00112233445566aa"
TARGET_GROUP_ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/demo/77"
TCP_CHECK = HealthCheck("TCP", None, "", 10, 6, healthy_threshold=2, unhealthy_threshold=2)


def balancer(net: Net, **changes: object) -> Balancer:
    """A balancer in subnets a and b, 443 to the target group, public addresses .90 and .91."""
    interfaces = tuple(
        Interface(f"eni-1b{n:015x}", BALANCER_ARN, f"subnet-1{zone}", f"10.32.{n}.200", net.public(90 + n), ("sg-lb",))
        for n, zone in enumerate("ab")
    )
    plain = Balancer(
        arn=BALANCER_ARN,
        name="demo",
        dns_name=net.balancer_name,
        vpc_id="vpc-1",
        internet_facing=True,
        cross_zone=True,
        active=True,
        interfaces=interfaces,
        listeners=(Listener("arn:listener/443", 443, "TCP", TARGET_GROUP_ARN),),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def target_group(*targets: Target, check: HealthCheck = TCP_CHECK, preserve_client_ip: bool = False) -> TargetGroup:
    return TargetGroup(TARGET_GROUP_ARN, "TCP", check, targets, preserve_client_ip)


def balancer_world(net: Net) -> Snapshot:
    """One node in subnet a, one in b, a balancer before both (443 to 8000); targets admit the balancer alone."""
    nodes = (net.instance(5, ("sg-node",)), net.instance(6, ("sg-node",), subnet="subnet-b"))
    return replace(
        vpc_parts(),
        security_groups=(
            group("sg-node", tcp(8000, groups=("sg-lb",))),
            group("sg-lb", tcp(443, cidrs=ANYWHERE)),
        ),
        instances=nodes,
        balancers=(balancer(net),),
        target_groups=(target_group(*(Target(node.instance_id, 8000) for node in nodes)),),
    )
