"""EC2 instances as SSH servers over a model of docker: the lab's `simulated` driver, for any machine and for scale."""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import asyncssh

from dockeree.lab.nodes.simulated import boot, faults, systemd
from dockeree.lab.nodes.simulated.machine import Machine, Site, log
from dockeree.lab.nodes.simulated.pace import SHUTDOWN_SECONDS, utc_now
from dockeree.lab.nodes.simulated.programs import AGENT, BOOT_SCRIPT, Agents, run_boot_script
from dockeree.lab.nodes.simulated.shell import run_program
from dockeree.lab.nodes.simulated.ssh_server import Door, SshServers, choose_port
from dockeree.lab.nodes.simulated.swarm.membership import retry_pending
from dockeree.lab.nodes.simulated.wiring import SimulatedWiring
from dockeree.lab.settings import LabSettings
from dockeree.lab.world import LabError, NodeSpec, Region


class SimulatedDriver:
    """Makes simulated nodes of instances (world.NodeDriver).

    `ssh_port` is where their sshd listens: 22 where this process may, else another one, which the operator's
    environment names as DOCKEREE_SSH_PORT.
    """

    name = "simulated"

    def __init__(
        self,
        settings: LabSettings,
        region: Region | None = None,
        *,
        wiring: SimulatedWiring,
        endpoint_url: str = "",
        ssh_port: int | None = None,
    ) -> None:
        """`region` and `endpoint_url` are what the nodes' agents ask; both may be set later, before the first launch.
        Without `ssh_port` a free one is chosen. Raises LabError when there is none."""
        self.region = region
        self.endpoint_url = endpoint_url
        self._site: Site = wiring.site
        self._keys: dict[str, list[asyncssh.SSHKey]] = {}
        self._doors = threading.Lock()
        network = ipaddress.ip_network(settings.public_network)
        self.ssh_port = ssh_port or choose_port(str(network.network_address + 1))
        self._servers = SshServers(self.ssh_port)
        agents = Agents(lambda: (self.region, self.endpoint_url))
        self._site.programs = {BOOT_SCRIPT: run_boot_script, AGENT: agents.run}
        self._site.run_program = run_program
        self._site.retry_join = retry_pending
        self._site.on_booted = self._refresh_door
        self._site.power = self._power_from_inside
        wiring.on_change = self._refresh_doors

    @property
    def unknown_commands(self) -> list[tuple[str, str]]:
        """(instance id, command) of everything that was asked and that the model does not know."""
        return list(self._site.unknown_commands)

    @property
    def commands(self) -> list[tuple[str, str, str]]:
        """(instance id, user, arguments) of every process on the nodes, oldest first."""
        return list(self._site.commands)

    def launch(self, spec: NodeSpec) -> None:
        """Create the node's disk and power it on."""
        machine = Machine(spec, self._site)
        with self._site.lock:
            if spec.instance_id in self._site.machines:
                raise LabError(f"{spec.instance_id} has a node already")
            self._site.machines[spec.instance_id] = machine
        self._keys[spec.instance_id] = boot.prepare_disk(machine)
        self._power_on(machine)

    def power_on(self, spec: NodeSpec) -> None:
        """Boot a stopped node from its own disk; `spec` carries the new public address."""
        machine = self._machine(spec.instance_id)
        if machine.is_on:
            raise LabError(f"{spec.instance_id} is on already")
        machine.spec = replace(spec, user_data=machine.spec.user_data)
        self._power_on(machine)

    def shut_down(self, instance_id: str) -> None:
        """Press the power button and wait until the node is off."""
        machine = self._machine(instance_id)
        if machine.is_on:
            machine.pause(SHUTDOWN_SECONDS)
            self._power_off(machine)

    def reboot(self, instance_id: str) -> None:
        """Reboot in place; a node whose power was cut is started anew."""
        machine = self._machine(instance_id)
        if machine.is_on:
            machine.pause(SHUTDOWN_SECONDS)
        self._power_off(machine)
        self._power_on(machine)

    def power_cut(self, instance_id: str) -> None:
        """Cut the power: nothing answers any more, and nothing says so."""
        machine = self._machine(instance_id)
        self._power_off(machine, is_cut=True)

    def destroy(self, instance_id: str) -> None:
        """Power off and delete the disk."""
        machine = self._site.machines.get(instance_id)
        if machine is None:
            return
        self._power_off(machine)
        with self._site.lock:
            self._site.machines.pop(instance_id, None)
        self._keys.pop(instance_id, None)
        self._site.faults.clear(instance_id)

    def is_on(self, instance_id: str) -> bool:
        """Whether the node has power."""
        machine = self._site.machines.get(instance_id)
        return machine is not None and machine.is_on

    def console_output(self, instance_id: str) -> str:
        """What the node wrote to its serial console since its last power on."""
        return "".join(f"{line}\n" for line in self._machine(instance_id).console)

    def add_fault(self, instance_id: str, fault: Mapping[str, Any]) -> None:
        """Let something go wrong on a node, or on every node with `*` (faults.py). Raises LabError."""
        if instance_id != faults.EVERY_NODE:
            self._machine(instance_id)
        self._site.faults.add(instance_id, faults.parse(fault))
        self._refresh_doors()

    def clear_faults(self, instance_id: str = faults.EVERY_NODE) -> None:
        """Forget the faults of a node, or all of them."""
        self._site.faults.clear(instance_id)
        self._refresh_doors()

    def close(self) -> None:
        """Destroy every node and end the servers."""
        for instance_id in list(self._site.machines):
            self.destroy(instance_id)
        self._servers.close()

    def _machine(self, instance_id: str) -> Machine:
        machine = self._site.machines.get(instance_id)
        if machine is None:
            raise LabError(f"{instance_id} has no node")
        return machine

    def _power_on(self, machine: Machine) -> None:
        machine.halted, machine.cloud_init_ended = threading.Event(), threading.Event()
        machine.console, machine.cloud_init = [], "not run"
        machine.started_at = utc_now()
        machine.is_on, machine.is_cut, machine.is_booted = True, False, False
        self._refresh_door(machine)
        threading.Thread(
            target=boot.boot, args=(machine, self._keys[machine.id]), name=f"{machine.id}-boot", daemon=True
        ).start()

    def _power_off(self, machine: Machine, *, is_cut: bool = False) -> None:
        def cut() -> None:
            machine.is_on = machine.is_booted = False
            machine.is_cut = is_cut
            machine.halted.set()
            systemd.halt(machine)

        self._site.change(cut)
        self._refresh_door(machine)
        if not is_cut:
            self._servers.drop_connections(machine.id)

    def _power_from_inside(self, machine: Machine, action: Literal["off", "reboot"]) -> None:
        """`poweroff` or `reboot`, typed on the node: its own session ends by it, so another thread does it."""
        act = self.reboot if action == "reboot" else self.shut_down

        def guarded() -> None:
            try:
                act(machine.id)
            except LabError as error:
                log.info("%s: %s: %s", machine.id, action, error)

        threading.Thread(target=guarded, name=f"{machine.id}-{action}", daemon=True).start()

    def _refresh_doors(self) -> None:
        for machine in list(self._site.machines.values()):
            self._refresh_door(machine)

    def _refresh_door(self, machine: Machine) -> None:
        keys = self._keys.get(machine.id)
        if keys is None:
            return
        with self._doors:
            try:
                self._servers.set_door(machine, self._door(machine), keys)
            except LabError as error:
                log.error("%s", error)
                machine.to_console(str(error))

    def _door(self, machine: Machine) -> Door:
        if machine.is_cut:
            return "silent"
        if not machine.is_booted or self._site.faults.has(machine.id, "refuse_ssh"):
            return "closed"
        return "open" if self._site.reachability.admits_operator(machine.id, self.ssh_port) else "silent"
