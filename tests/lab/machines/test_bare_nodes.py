"""A bare node, as Canonical ships its image: the tool's own boot script installs the engine while dpkg is locked."""

import time
from collections.abc import Iterator

import pytest
import yaml
from lab.machines.tiny_network import BRIDGE_ADDRESS, TinyNetwork

from dockeree import config
from dockeree.lab.network.namespaces import listening_socket
from dockeree.lab.nodes.machines import MachineDriver, PackageRepository, ensure_packages, why_not
from dockeree.node import boot

reason = why_not()
pytestmark = [pytest.mark.machines, pytest.mark.skipif(reason is not None, reason=str(reason))]

LOCKED_SECONDS = 60
LOCK = f"""
import fcntl, time
held = open('/var/lib/dpkg/lock-frontend', 'w')
fcntl.lockf(held, fcntl.LOCK_EX)
time.sleep({LOCKED_SECONDS})
"""


@pytest.fixture
def packages(network: TinyNetwork) -> Iterator[None]:
    ensure_packages()
    repository = PackageRepository(listening_socket(network.router, BRIDGE_ADDRESS, 8080))
    repository.start()
    yield
    repository.close()


@pytest.mark.usefixtures("packages")
def test_engine_is_installed_while_another_holds_dpkgs_lock(driver: MachineDriver, network: TinyNetwork) -> None:
    document = yaml.safe_load(
        boot.cloud_config(
            role="worker",
            cluster_name="demo",
            cluster_id="0a1b2c3d",
            region="us-east-1",
            engine=config.Engine(),
            join_parameter="/dockeree/demo/worker/join",
        )
    )
    # As unattended-upgrades does on a real instance: from before anything else can install.
    document["bootcmd"] = [["sh", "-c", f'exec python3 -c "{LOCK}" >/dev/null 2>&1 </dev/null &']]
    spec = network.add(50, "#cloud-config\n" + yaml.safe_dump(document), image_variant="bare")
    started = time.monotonic()
    driver.launch(spec)
    network.await_ssh(spec)
    assert "docker" not in network.ssh(spec, "ls /usr/bin")
    assert "Could not get lock" in network.ssh(spec, "sudo apt-get -y install tini", check=False)
    assert network.ssh(spec, "systemctl is-enabled apt-daily.timer apt-daily-upgrade.timer").split() == ["enabled"] * 2
    assert "status: done" in network.ssh(spec, "cloud-init status --wait", timeout=180)
    assert time.monotonic() - started > LOCKED_SECONDS
    assert f"http://{BRIDGE_ADDRESS}:5000/" in network.ssh(spec, "sudo docker info")
    network.ssh(spec, "python3 -c 'import boto3'")
    assert "the engine answers" in driver.console_output(spec.instance_id)
