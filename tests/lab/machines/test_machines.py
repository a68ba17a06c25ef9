"""Real machines: what a node is made of, and what power does to it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from lab.machines.tiny_network import BRIDGE_ADDRESS, TinyNetwork, eventually, sh, traces

from dockeree.lab.nodes.machines.driver import MachineDriver
from dockeree.lab.nodes.machines.leftovers import remove_machines
from dockeree.lab.nodes.machines.registry import Registry
from dockeree.lab.nodes.machines.requirements import why_not
from dockeree.lab.nodes.machines.small_images import WEB, ensure_small_images
from dockeree.lab.settings import LabSettings
from dockeree.lab.world import LabError, NodeSpec

reason = why_not()
pytestmark = [pytest.mark.machines, pytest.mark.skipif(reason is not None, reason=str(reason))]

USER_DATA = """#cloud-config
write_files:
  - path: /opt/from-user-data
    content: written
runcmd:
  - [sh, -c, "echo $AWS_ENDPOINT_URL >/opt/endpoint-in-user-data"]
  - [sh, -c, "echo user data was here >/dev/console"]
"""


@pytest.fixture(scope="module")
def node(driver: MachineDriver, network: TinyNetwork) -> NodeSpec:
    spec = network.add(10, USER_DATA)
    driver.launch(spec)
    network.await_ssh(spec)
    network.ssh(spec, "cloud-init status --wait")
    return spec


def boot_id(network: TinyNetwork, spec: NodeSpec) -> str:
    """Differs between boots of one node: when its process 1 started."""
    return network.ssh(spec, "stat -c %Y.%y /proc/1", check=False).strip()


def test_boots_as_an_ec2_instance_does(driver: MachineDriver, network: TinyNetwork, node: NodeSpec) -> None:
    assert "status: done" in network.ssh(node, "cloud-init status")
    assert network.ssh(node, "systemctl is-system-running --wait").strip() == "running"
    assert network.ssh(node, "hostname").strip() == "ip-10-99-0-10"
    assert network.ssh(node, "sudo -n id -un").strip() == "root"
    assert network.ssh(node, "cat /opt/from-user-data") == "written"
    assert node.instance_id in network.ssh(node, "cloud-init query instance_id")
    assert driver.is_on(node.instance_id)


def test_host_keys_are_its_own_and_on_the_console(driver: MachineDriver, network: TinyNetwork, node: NodeSpec) -> None:
    console = driver.console_output(node.instance_id)
    key = network.ssh(node, "cat /etc/ssh/ssh_host_ed25519_key.pub").split()[1]
    assert "-----BEGIN SSH HOST KEY KEYS-----" in console
    assert key in console
    assert "user data was here" in console


def test_knows_the_endpoint_without_being_told_in_the_user_data(network: TinyNetwork, node: NodeSpec) -> None:
    endpoint = f"http://{BRIDGE_ADDRESS}:4566"
    assert network.ssh(node, "cat /opt/endpoint-in-user-data").strip() == endpoint
    assert network.ssh(node, "echo $AWS_ENDPOINT_URL").strip() == endpoint
    asked = "import boto3; print(boto3.client('ssm', region_name='us-east-1').meta.endpoint_url)"
    assert network.ssh(node, f'python3 -c "{asked}"').strip() == endpoint
    assert network.ssh(node, f'sudo python3 -c "{asked}"').strip() == endpoint
    elsewhere = asked.replace("'ssm',", "'ssm', endpoint_url='http://10.0.0.1',")
    assert network.ssh(node, f'python3 -c "{elsewhere}"').strip() == "http://10.0.0.1"


def test_engine_pulls_through_the_mirror_and_publishes_ports(
    settings: LabSettings, network: TinyNetwork, node: NodeSpec
) -> None:
    ensure_small_images()
    registry = Registry(settings, namespace=network.router, address=BRIDGE_ADDRESS)
    registry.start()
    try:
        info = json.loads(network.ssh(node, "sudo docker info --format '{{json .}}'"))
        assert info["Driver"] == "overlay2"
        assert info["RegistryConfig"]["Mirrors"] == [f"http://{BRIDGE_ADDRESS}:5000/"]
        assert network.ssh(node, "sudo docker run --rm busybox echo hello").strip().endswith("hello")
        network.ssh(node, f"sudo docker run -d --name web --hostname me -p 8080:8080 --memory 64m {WEB}")
        asked = f"ip netns exec {network.router} curl -sS --retry 5 --retry-connrefused http://{node.private_ip}:8080/"
        assert sh(asked).strip() == "me"
        started = time.monotonic()
        network.ssh(node, "sudo docker stop web")
        assert time.monotonic() - started < 5
    finally:
        registry.close()


def test_daemon_settings_beside_the_mirror(network: TinyNetwork, node: NodeSpec) -> None:
    network.ssh(node, """echo '{"log-opts": {"max-size": "20m"}}' | sudo tee /etc/docker/daemon.json""")
    network.ssh(node, "sudo systemctl restart docker")
    assert BRIDGE_ADDRESS in network.ssh(node, "sudo docker info")


def test_stop_and_start_keep_the_disk(
    driver: MachineDriver, network: TinyNetwork, node: NodeSpec, power_losses: list[str]
) -> None:
    assert power_losses == []
    network.ssh(node, "sudo touch /root/kept; sudo docker images -q | wc -l")
    before = boot_id(network, node)
    driver.shut_down(node.instance_id)
    assert not driver.is_on(node.instance_id)
    assert power_losses == [node.instance_id]
    assert "Powering off" in driver.console_output(node.instance_id)
    with pytest.raises(LabError, match="is off"):
        driver.reboot(node.instance_id)
    driver.power_on(node)
    network.await_ssh(node)
    assert boot_id(network, node) != before
    network.ssh(node, "sudo test -f /root/kept")
    assert "busybox" in network.ssh(node, "sudo docker images")


def test_reboots_from_outside_and_from_inside(
    driver: MachineDriver, network: TinyNetwork, node: NodeSpec, power_losses: list[str]
) -> None:
    power_losses.clear()
    network.ssh(node, "sudo touch /root/kept-by-reboots")
    first = boot_id(network, node)
    driver.reboot(node.instance_id)
    network.await_ssh(node)
    second = boot_id(network, node)
    assert second != first
    network.ssh(node, "sudo systemctl reboot", check=False)
    eventually(
        lambda: (
            boot_id(network, node) not in ("", second) and "in" in network.ssh(node, "echo in", check=False).split()
        ),
        seconds=30,
        awaited="a boot",
    )
    assert driver.is_on(node.instance_id)
    network.ssh(node, "sudo test -f /root/kept-by-reboots")


def test_power_cut_and_power_on(
    driver: MachineDriver, network: TinyNetwork, node: NodeSpec, power_losses: list[str]
) -> None:
    assert power_losses == []
    network.ssh(node, "sudo sh -c 'echo synced >/root/synced; sync'")
    started = time.monotonic()
    driver.power_cut(node.instance_id)
    assert time.monotonic() - started < 3
    assert not driver.is_on(node.instance_id)
    assert power_losses == [node.instance_id]
    assert "in" not in network.ssh(node, "echo in", check=False).split()
    driver.power_on(node)
    network.await_ssh(node)
    assert network.ssh(node, "sudo cat /root/synced").strip() == "synced"


def test_shuts_itself_down(driver: MachineDriver, network: TinyNetwork, node: NodeSpec) -> None:
    network.ssh(node, "sudo poweroff", check=False)
    eventually(lambda: not driver.is_on(node.instance_id), seconds=20, awaited="power off")
    driver.power_on(node)
    assert driver.is_on(node.instance_id)


def test_destroy_is_for_good_and_may_be_repeated(
    settings: LabSettings, driver: MachineDriver, network: TinyNetwork, node: NodeSpec
) -> None:
    driver.destroy(node.instance_id)
    driver.destroy(node.instance_id)
    assert not driver.is_on(node.instance_id)
    assert driver.console_output(node.instance_id) == ""
    assert not any(node.instance_id in trace for trace in traces(settings))
    with pytest.raises(LabError, match="has no node"):
        driver.power_on(node)


def test_no_namespace_no_node(driver: MachineDriver, network: TinyNetwork) -> None:
    spec = network.add(11)
    network.namespaces[spec.instance_id], real = "not-there", network.namespaces[spec.instance_id]
    try:
        with pytest.raises(LabError, match="namespace not-there"):
            driver.launch(spec)
    finally:
        network.namespaces[spec.instance_id] = real
    driver.destroy(spec.instance_id)


def test_several_at_once_make_a_swarm(driver: MachineDriver, network: TinyNetwork) -> None:
    specs = [network.add(20 + number) for number in range(3)]
    threads = [threading.Thread(target=driver.launch, args=(spec,)) for spec in specs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for spec in specs:
        network.await_ssh(spec)
    machine_ids = {network.ssh(spec, "cat /etc/machine-id") for spec in specs}
    assert len(machine_ids) == 3
    first = specs[0]
    network.ssh(first, f"sudo docker swarm init --advertise-addr {first.private_ip}")
    token = network.ssh(first, "sudo docker swarm join-token -q worker").strip()
    for spec in specs[1:]:
        network.ssh(spec, f"sudo docker swarm join --token {token} {first.private_ip}:2377")
    assert network.ssh(first, "sudo docker node ls --format '{{.Status}}'").split() == ["Ready"] * 3
    for spec in specs:
        driver.destroy(spec.instance_id)


def test_nothing_is_left_after_kill_9_of_the_lab(network: TinyNetwork) -> None:
    settings = LabSettings(name=f"machines-killed-{os.getpid()}", nodes="machines", slot=249)
    spec = network.add(30)
    program = f"""
import sys, time
from dockeree.lab.nodes.machines.disk import Surroundings
from dockeree.lab.nodes.machines.driver import MachineDriver
from dockeree.lab.nodes.machines.registry import Registry
from dockeree.lab.settings import LabSettings
from dockeree.lab.world import NodeSpec
settings = {settings!r}
Registry(settings, namespace={network.router!r}, address={BRIDGE_ADDRESS!r}, port=5001).start()
driver = MachineDriver(
    settings,
    namespace_of=lambda instance_id: {network.namespaces[spec.instance_id]!r},
    resolver_of=lambda spec: "127.0.0.1",
    surroundings=Surroundings("http://10.99.0.1:4566", None, None, "internal"),
)
driver.launch({spec!r})
print("launched", flush=True)
time.sleep(600)
"""
    lab = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
    )
    assert lab.stdout is not None
    try:
        assert lab.stdout.readline().strip() == "launched"
        network.await_ssh(spec)
    finally:
        lab.send_signal(signal.SIGKILL)
        lab.wait()
        lab.stdout.close()
        found = traces(settings)
        remove_machines(settings)
        shutil.rmtree(settings.runtime_dir)
    assert len(found) > 10
    assert traces(settings) == []
    remove_machines(settings)
    assert sh(f"ip netns pids {network.namespaces[spec.instance_id]}").split() == [str(network.services[-1].pid)]


def test_nothing_is_left_after_close(settings: LabSettings, driver: MachineDriver, network: TinyNetwork) -> None:
    spec = network.add(40)
    driver.launch(spec)
    driver.close()
    assert traces(settings) == []
    assert not driver.is_on(spec.instance_id)
