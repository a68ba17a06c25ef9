"""What a lab is put together from: a network and nodes, real or simulated."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from dockeree.lab.settings import LabSettings
from dockeree.lab.world import NodeDriver, Region, Wiring

API_PORT = 80
"""Nodes reach AWS at the service address, where every AWS name of the lab's resolver leads."""
PACKAGES_PORT = 8080


@dataclass
class LabParts:
    """The parts, started. `meet` introduces the API's side to them, `tell_endpoint` the operator's endpoint."""

    driver: NodeDriver
    wiring: Wiring
    operator_address: str
    """The address by which nodes see the operator's machine."""
    ssh_port: int
    node_socket: socket.socket | None
    """Where nodes reach the API, listening; None where they use the operator's endpoint."""
    meet: Callable[[Region], None]
    tell_endpoint: Callable[[str], None]


def machine_parts(settings: LabSettings, stack: ExitStack, say: Callable[[str], None]) -> LabParts:
    """Real nodes in a real network. Builds what images are missing, saying so. Raises LabError."""
    from dockeree.lab.network import MachineWiring  # noqa: PLC0415 - needs root and Linux
    from dockeree.lab.nodes.machines import (  # noqa: PLC0415
        MachineDriver,
        PackageRepository,
        Registry,
        Surroundings,
        ensure_image,
        ensure_small_images,
    )
    from dockeree.lab.standins.images import ensure_standin_images  # noqa: PLC0415

    ensure_image("baked", say)
    ensure_small_images()
    ensure_standin_images(say)
    wiring = MachineWiring(settings)
    stack.callback(wiring.close)
    registry = Registry(settings, namespace=wiring.router_namespace, address=wiring.service_address)
    registry.start()
    stack.callback(registry.close)
    packages = PackageRepository(wiring.listen(PACKAGES_PORT), say)
    packages.start()
    stack.callback(packages.close)
    driver = MachineDriver(
        settings,
        namespace_of=wiring.renew_namespace,
        power_lost=wiring.unplug,
        resolver_of=lambda spec: wiring.resolver_of(spec.instance_id),
        surroundings=Surroundings(
            endpoint_url=f"http://{wiring.service_address}:{API_PORT}",
            registry_url=registry.url,
            apt_url=f"http://{wiring.service_address}:{PACKAGES_PORT}",
            search_domain="ec2.internal",
        ),
        say=say,
    )
    stack.callback(driver.close)

    def meet(region: Region) -> None:
        wiring.region = region

    node_socket = wiring.listen(API_PORT)
    stack.callback(node_socket.close)
    return LabParts(driver, wiring, wiring.operator_address, 22, node_socket, meet, lambda url: None)


def simulated_parts(settings: LabSettings, stack: ExitStack) -> LabParts:
    """Nodes as SSH servers over a model of docker, on loopback; no root needed."""
    from dockeree.lab.nodes.simulated import SimulatedDriver, SimulatedWiring  # noqa: PLC0415

    wiring = SimulatedWiring(settings)
    stack.callback(wiring.close)
    driver = SimulatedDriver(settings, wiring=wiring)
    stack.callback(driver.close)

    def meet(region: Region) -> None:
        driver.region = region

    def tell_endpoint(endpoint_url: str) -> None:
        driver.endpoint_url = endpoint_url

    return LabParts(driver, wiring, "127.0.0.1", driver.ssh_port, None, meet, tell_endpoint)
