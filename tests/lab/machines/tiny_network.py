"""A network just large enough to boot machines in: one namespace with a bridge, and one for each node.

The real one is lab/network's; these tests are about the machines alone.
"""

import json
import re
import shlex
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from dockeree.lab.nodes.machines.leftovers import lab_cgroup
from dockeree.lab.settings import LabSettings
from dockeree.lab.world import NodeSpec

BRIDGE_ADDRESS = "10.99.0.1"
STUB = Path(__file__).with_name("metadata_stub.py")


def sh(command: str, *, check: bool = True, timeout: float = 60) -> str:
    """A shell line; its output. Raises AssertionError with the output when it fails."""
    done = subprocess.run(
        command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False
    )
    assert not check or done.returncode == 0, f"{command}: {done.returncode}: {done.stdout}"
    return done.stdout


def eventually(
    probe: Callable[[], object], *, seconds: float, awaited: str, told: Callable[[], str] = lambda: ""
) -> object:
    """Ask until the probe gives something true; else fail, with what `told` knows of the reason."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            pytest.fail(f"{awaited}: not within {seconds} s\n{told()}")
        time.sleep(0.1)


class TinyNetwork:
    """Namespaces: TAG-net with a bridge, 10.99.0.1/24, and TAG-N for node N: 10.99.0.N on eth0, metadata on lo."""

    def __init__(self, settings: LabSettings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.router = f"{settings.tag}-net"
        self.key = folder / "key"
        self.namespaces: dict[str, str] = {}
        self.console_of: Callable[[str], str] = lambda instance_id: ""
        self.services: list[subprocess.Popen[bytes]] = []
        sh(f"ssh-keygen -q -t ed25519 -N '' -f {self.key}")
        router = f"ip -n {self.router}"
        sh(
            f"ip netns add {self.router} && {router} link set lo up && {router} link add br0 type bridge"
            f" && {router} addr add {BRIDGE_ADDRESS}/24 dev br0 && {router} link set br0 up"
        )

    def add(self, number: int, user_data: str = "#!/bin/sh\ntouch /run/user-data-ran\n", **changes: object) -> NodeSpec:
        """A namespace with a running metadata service, and the spec of its instance."""
        instance_id = f"i-{uuid.uuid4().hex[:17]}"
        name, address = f"{self.settings.tag}-{number}", f"10.99.0.{number}"
        sh(
            f"ip netns add {name} && ip -n {name} link set lo up && ip -n {name} addr add 169.254.169.254/32 dev lo"
            f" && ip -n {self.router} link add v{number} type veth peer name eth0 netns {name}"
            f" && ip -n {self.router} link set v{number} master br0 up && ip -n {name} addr add {address}/24 dev eth0"
            f" && ip -n {name} link set eth0 up && ip -n {name} route add default via {BRIDGE_ADDRESS}"
        )
        self.namespaces[instance_id] = name
        hostname = f"ip-10-99-0-{number}"
        public_key = self.key.with_suffix(".pub").read_text().strip()
        meta_data = {
            "instance-id": instance_id,
            "ami-id": "ami-1",
            "local-ipv4": address,
            "local-hostname": f"{hostname}.us-east-1.compute.internal",
            "hostname": f"{hostname}.us-east-1.compute.internal",
            "placement": {"availability-zone": "us-east-1a"},
            "public-keys": {"0": {"openssh-key": public_key}},
        }
        tree = self.folder / f"{number}.json"
        document = json.dumps({"instanceId": instance_id, "region": "us-east-1", "privateIp": address})
        dynamic = {"instance-identity": {"document": document}}
        tree.write_text(json.dumps({"meta-data": meta_data, "dynamic": dynamic, "user-data": user_data}))
        self.services.append(subprocess.Popen(["ip", "netns", "exec", name, sys.executable, str(STUB), str(tree)]))
        probe = f"ip netns exec {name} curl -sf http://169.254.169.254/latest/meta-data/instance-id"
        eventually(lambda: sh(probe, check=False) == instance_id, seconds=10, awaited="the metadata service")
        fields: dict = {
            "instance_id": instance_id,
            "image_id": "ami-1",
            "image_variant": "baked",
            "instance_type": "m5.large",
            "zone": "us-east-1a",
            "subnet_id": "subnet-1",
            "vpc_id": "vpc-1",
            "private_ip": address,
            "public_ip": None,
            "hostname": hostname,
            "user_data": user_data.encode(),
            "authorized_key": public_key,
            "root_volume_gib": 8,
        }
        return NodeSpec(**{**fields, **changes})

    def ssh(self, spec: NodeSpec, command: str, *, check: bool = True, timeout: float = 60) -> str:
        """Run a command on a node as ubuntu, over the real protocol."""
        options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ConnectTimeout=2"
        line = f"ssh -i {self.key} {options} -o BatchMode=yes ubuntu@{spec.private_ip} {shlex.quote(command)}"
        return sh(f"ip netns exec {self.router} {line}", check=check, timeout=timeout)

    def await_ssh(self, spec: NodeSpec, seconds: float = 90) -> None:
        """Wait until the node lets ubuntu in."""
        awaited = f"ssh {spec.hostname}"
        eventually(
            lambda: "in" in self.ssh(spec, "echo in", check=False).split(),
            seconds=seconds,
            awaited=awaited,
            told=lambda: self.console_of(spec.instance_id)[-3000:],
        )

    def close(self) -> None:
        for service in self.services:
            service.kill()
            service.wait()
        for name in (*self.namespaces.values(), self.router):
            sh(f"ip netns del {name}", check=False)


def traces(settings: LabSettings) -> list[str]:
    """Everything of a lab's machines that can be found on this host."""
    found = [str(pid) for pid in lab_cgroup(settings).pids()]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    found += [line for line in mounts if settings.name in line]
    found += [line for line in sh("ps -eo args").splitlines() if re.search(rf"systemd-nspawn.*{settings.tag}", line)]
    found += sh(f"find /sys/fs/cgroup -name '*{settings.tag}*' -not -path '*/proc/*'").split()
    # systemd-nspawn's locks have no names: other tests' machines must not leave any either.
    found += [
        str(path) for path in Path("/run/systemd/nspawn").rglob("*") if path.is_file() or settings.tag in path.name
    ]
    found += [str(path) for path in (settings.disk_dir, settings.runtime_dir / "consoles") if path.exists()]
    return found
