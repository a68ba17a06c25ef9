"""An instance's life: pending, running, stopping, stopped, shutting-down, terminated, and the node behind it.

EC2 answers at once and works afterwards. So does this: a call changes the state, a thread of its own does the work on
the node, and the state moves on when it is done (and not earlier than AWS would have it, scaled).
"""

from __future__ import annotations

import copy
import logging
import threading
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instances import InstanceState

from dockeree.lab.aws import addresses
from dockeree.lab.aws.applier import Applier
from dockeree.lab.aws.core import Lab
from dockeree.lab.aws.machine import Machine, set_state
from dockeree.lab.aws.node_specs import node_spec
from dockeree.lab.aws.termination import bury, forget
from dockeree.lab.world import LabError

log = logging.getLogger("dockeree.lab.aws")

ADDRESS_AFTER_SECONDS = 2.0
RUNNING_AFTER_SECONDS = 15.0
STOPPED_AFTER_SECONDS = 20.0
TERMINATED_AFTER_SECONDS = 20.0
LISTED_FOR_SECONDS = 3600.0
LISTED_AT_LEAST_SECONDS = 60.0
"""In real seconds: a waiter must be able to see `terminated` however fast the lab's time runs."""
POWER_POLL_SECONDS = 0.5
CLOSE_SECONDS = 60.0

Transition = tuple[Any, InstanceState]
"""An instance, and the state it was in."""


class Lifecycle:
    """Every instance's life. A part of the lab: `lab.part(Lifecycle)`.

    The methods that a call ends in are made while holding `lab.lock`, and return at once.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._machines: dict[str, Machine] = {}
        self._closing = threading.Event()
        self._applier = lab.part(Applier)
        self._watch = threading.Thread(target=self._watch_power, name="lab-power", daemon=True)
        self._watch.start()

    def close(self) -> None:
        """Stop watching, cut short what only waits, and wait for work on nodes. Nodes are their driver's to destroy."""
        self._closing.set()
        self._watch.join(timeout=10)
        for machine in list(self._machines.values()):
            if machine.work.acquire(timeout=CLOSE_SECONDS):
                machine.work.release()
            else:
                log.error("the node of %s is still being worked on", machine.instance.id)

    def launched(self, backend: Any, instance: Any) -> None:
        """A new instance: pending, its node to be made."""
        machine = self._machines[instance.id] = Machine(backend, instance)
        set_state(instance, "pending")
        self._lab.in_thread(f"launch {instance.id}", lambda: self._boot(machine, first=True))

    def start(self, backend: Any, instance_ids: list[str]) -> list[Transition]:
        """StartInstances: stopped ones become pending; running ones are left alone."""
        instances = self._in_states(backend, instance_ids, ("stopped", "running", "pending"), "started")
        transitions = []
        for instance in instances:
            before = copy.copy(instance._state)
            if instance.state == "stopped":
                set_state(instance, "pending")
                instance.launch_time = utcnow()
                machine = self._machines[instance.id]
                self._lab.in_thread(f"start {instance.id}", lambda machine=machine: self._boot(machine, first=False))  # type: ignore[misc]
            transitions.append((instance, before))
        return transitions

    def stop(self, backend: Any, instance_ids: list[str]) -> list[Transition]:
        """StopInstances: running ones become stopping."""
        instances = self._in_states(backend, instance_ids, ("running", "stopping", "stopped"), "stopped")
        for instance in instances:
            if instance.disable_api_stop:
                raise _not_permitted(instance.id, "stopped", "disableApiStop")
        return [
            (
                instance,
                self._begin_stop(
                    self._machines[instance.id], "Client.UserInitiatedShutdown", "User initiated shutdown"
                ),
            )
            for instance in instances
        ]

    def reboot(self, backend: Any, instance_ids: list[str]) -> list[Any]:
        """RebootInstances: the state stays `running`."""
        instances = self._in_states(backend, instance_ids, ("running",), "rebooted")
        for instance in instances:
            machine = self._machines[instance.id]
            self._lab.in_thread(f"reboot {instance.id}", lambda machine=machine: self._reboot(machine))  # type: ignore[misc]
        return instances

    def terminate(self, backend: Any, instance_ids: list[str]) -> list[Transition]:
        """TerminateInstances: one protected instance refuses all; those already on their way are left alone."""
        if not instance_ids:
            raise EC2ClientError("InvalidParameterCombination", "No instances specified")
        instances = backend.get_multi_instances_by_id(instance_ids)
        for instance in instances:
            if instance.disable_api_termination and instance.state not in ("shutting-down", "terminated"):
                raise _not_permitted(instance.id, "terminated", "disableApiTermination")
        return [
            (instance, self._begin_terminate(instance, "Client.UserInitiatedShutdown", "User initiated shutdown"))
            for instance in instances
        ]

    def cut_power(self, instance_id: str) -> None:
        """A hung host: the node is off, EC2 goes on saying `running`. Raises LabError where nothing runs."""
        machine = self._machines.get(instance_id)
        if machine is None or machine.state != "running":
            raise LabError(f"{instance_id} is not running")
        with machine.work:
            machine.power_is_cut = True
            self._lab.driver.power_cut(instance_id)

    def has_failed(self, instance_id: str) -> bool:
        """Whether status checks of a running instance fail: its power was cut."""
        machine = self._machines.get(instance_id)
        return machine is not None and machine.power_is_cut

    def _in_states(self, backend: Any, instance_ids: list[str], states: tuple[str, ...], done: str) -> list[Any]:
        instances: list[Any] = backend.get_multi_instances_by_id(instance_ids)
        for instance in instances:
            if instance.state not in states:
                raise EC2ClientError(
                    "IncorrectInstanceState",
                    f"The instance '{instance.id}' is not in a state from which it can be {done}.",
                )
        return instances

    def _boot(self, machine: Machine, first: bool) -> None:
        instance = machine.instance
        with machine.work:
            if self._closing.wait(self._lab.scaled(ADDRESS_AFTER_SECONDS)):
                return
            with self._lab.lock:
                if machine.state != "pending":
                    return
                for nic in instance.nics.values():
                    addresses.give_public_address(self._lab, nic)
            try:
                self._power_on(machine, first)
            except LabError as error:
                if self._closing.is_set():
                    return
                log.error("%s did not start: %s", instance.id, error)
                self._start_failed(machine, first, str(error))
                return
            self._closing.wait(self._lab.scaled(RUNNING_AFTER_SECONDS - ADDRESS_AFTER_SECONDS))
            with self._lab.lock:
                if machine.state == "pending":
                    set_state(instance, "running")
        self._lab.changed()

    def _power_on(self, machine: Machine, first: bool) -> None:
        self._lab.changed()
        self._applier.wait_applied()
        if self._closing.is_set():
            raise LabError("the lab is being closed")
        with self._lab.lock:
            spec = node_spec(machine.backend, machine.instance)
        machine.power_is_cut, machine.seen_off = False, 0
        (self._lab.driver.launch if first else self._lab.driver.power_on)(spec)

    def _start_failed(self, machine: Machine, first: bool, reason: str) -> None:
        with self._lab.lock:
            if machine.state != "pending":
                return
            if first:
                self._begin_terminate(machine.instance, "Server.InternalError", reason)
            else:
                self._begin_stop(machine, "Server.InternalError", reason)

    def _begin_stop(self, machine: Machine, code: str, message: str) -> InstanceState:
        before = copy.copy(machine.instance._state)
        if machine.state in ("running", "pending"):
            set_state(machine.instance, "stopping", code, message)
            self._lab.in_thread(f"stop {machine.instance.id}", lambda: self._stop(machine, code, message))
            self._lab.changed()
        return before

    def _stop(self, machine: Machine, code: str, message: str) -> None:
        instance = machine.instance
        with machine.work:
            try:
                if self._lab.driver.is_on(instance.id):
                    self._lab.driver.shut_down(instance.id)
            except LabError as error:
                log.error("the node of %s did not shut down: %s", instance.id, error)
            self._closing.wait(self._lab.scaled(STOPPED_AFTER_SECONDS))
            with self._lab.lock:
                if machine.state == "stopping":
                    set_state(instance, "stopped", code, message)
                    for nic in instance.nics.values():
                        addresses.take_public_address(self._lab, nic)
        self._lab.changed()

    def _reboot(self, machine: Machine) -> None:
        with machine.work:
            if machine.state == "running":
                machine.power_is_cut, machine.seen_off = False, 0
                self._lab.driver.reboot(machine.instance.id)

    def _begin_terminate(self, instance: Any, code: str, message: str) -> InstanceState:
        before = copy.copy(instance._state)
        if instance.state not in ("shutting-down", "terminated"):
            set_state(instance, "shutting-down", code, message)
            machine = self._machines[instance.id]
            self._lab.in_thread(f"terminate {instance.id}", lambda: self._terminate(machine, code, message))
            self._lab.changed()
        return before

    def _terminate(self, machine: Machine, code: str, message: str) -> None:
        instance = machine.instance
        with machine.work:
            try:
                if self._lab.driver.is_on(instance.id):
                    self._lab.driver.shut_down(instance.id)
                self._lab.driver.destroy(instance.id)
            except LabError as error:
                # EC2 takes an instance away whatever its host does; the driver's own close finds the remains.
                log.error("the node of %s could not be destroyed: %s", instance.id, error)
            self._closing.wait(self._lab.scaled(TERMINATED_AFTER_SECONDS))
            with self._lab.lock:
                bury(self._lab, machine.backend, instance)
                set_state(instance, "terminated", code, message)
        self._lab.changed()
        listed = max(self._lab.scaled(LISTED_FOR_SECONDS), LISTED_AT_LEAST_SECONDS)
        self._lab.timers.after(listed, lambda: self._forget(machine))

    def _forget(self, machine: Machine) -> None:
        with self._lab.lock:
            forget(machine.backend, machine.instance)
            self._machines.pop(machine.instance.id, None)

    def _watch_power(self) -> None:
        """A node that shuts itself down stops its instance, or terminates it, as the instance has it."""
        while not self._closing.wait(POWER_POLL_SECONDS):
            for machine in list(self._machines.values()):
                if machine.state == "running" and not machine.power_is_cut and machine.work.acquire(blocking=False):
                    try:
                        self._look_at(machine)
                    except Exception:
                        log.exception("%s could not be looked at", machine.instance.id)
                    finally:
                        machine.work.release()

    def _look_at(self, machine: Machine) -> None:
        machine.seen_off = 0 if self._lab.driver.is_on(machine.instance.id) else machine.seen_off + 1
        if machine.seen_off < 2:
            return
        with self._lab.lock:
            if machine.state != "running":
                return
            code, message = "Client.InstanceInitiatedShutdown", "Instance initiated shutdown"
            if machine.instance.instance_initiated_shutdown_behavior == "terminate":
                self._begin_terminate(machine.instance, code, message)
            else:
                self._begin_stop(machine, code, message)


def _not_permitted(instance_id: str, done: str, attribute: str) -> EC2ClientError:
    return EC2ClientError(
        "OperationNotPermitted",
        f"The instance '{instance_id}' may not be {done}. Modify its '{attribute}' instance attribute and try again.",
    )
