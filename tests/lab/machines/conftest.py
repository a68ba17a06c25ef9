"""Fixtures of the tests on real machines: one network and one driver a module."""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator

import pytest
from lab.machines.tiny_network import BRIDGE_ADDRESS, TinyNetwork

from dockeree.lab.nodes.machines.disk import Surroundings
from dockeree.lab.nodes.machines.driver import MachineDriver
from dockeree.lab.nodes.machines.leftovers import remove_machines
from dockeree.lab.settings import LabSettings


@pytest.fixture(scope="module")
def settings() -> LabSettings:
    return LabSettings(name=f"machines-test-{os.getpid()}-{uuid.uuid4().hex[:6]}", nodes="machines", slot=250)


@pytest.fixture(scope="module")
def network(settings: LabSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyNetwork]:
    with contextlib.closing(TinyNetwork(settings, tmp_path_factory.mktemp("network"))) as network:
        yield network


@pytest.fixture(scope="module")
def power_losses() -> list[str]:
    """The instances whose node lost power, as the driver told it."""
    return []


@pytest.fixture(scope="module")
def driver(settings: LabSettings, network: TinyNetwork, power_losses: list[str]) -> Iterator[MachineDriver]:
    surroundings = Surroundings(
        endpoint_url=f"http://{BRIDGE_ADDRESS}:4566",
        registry_url=f"http://{BRIDGE_ADDRESS}:5000",
        apt_url=f"http://{BRIDGE_ADDRESS}:8080",
        search_domain="us-east-1.compute.internal",
    )
    driver = MachineDriver(
        settings,
        namespace_of=network.namespaces.__getitem__,
        resolver_of=lambda spec: "127.0.0.1",
        power_lost=power_losses.append,
        surroundings=surroundings,
        shut_down_timeout_seconds=20,
    )
    network.console_of = driver.console_output
    try:
        yield driver
    finally:
        driver.close()
        remove_machines(settings)
        # As `lab stop` does.
        shutil.rmtree(settings.runtime_dir, ignore_errors=True)
