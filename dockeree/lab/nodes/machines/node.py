"""One node: a disk, and systemd-nspawn while it has power.

A thread watches each boot. When systemd-nspawn ends because the machine asked for a reboot (from inside or through
`reboot`), the node boots again from the same disk; else it is off.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from dockeree.lab.nodes.machines.boot import (
    REBOOT_EXIT_STATUS,
    REBOOT_SIGNAL_OFFSET,
    boot_command,
    boot_environment,
    leader_of,
)
from dockeree.lab.nodes.machines.cgroups import Cgroup
from dockeree.lab.nodes.machines.disk import NodeDisk
from dockeree.lab.world import LabError

logger = logging.getLogger(__name__)

START_TIMEOUT_SECONDS = 30.0
POLL_SECONDS = 0.02
CONSOLE_KEPT_BYTES = 64 * 1024
"""GetConsoleOutput gives the last 64 KiB."""


class Node:
    """One machine. Thread-safe: each call waits for the one before it."""

    def __init__(
        self,
        *,
        machine: str,
        hostname: str,
        namespace: Callable[[], str],
        power_lost: Callable[[], None],
        layers: tuple[Path, ...],
        disk: NodeDisk,
        cgroup: Cgroup,
        console_file: Path,
    ) -> None:
        """`namespace()` names the network namespace, asked before each boot (raises LabError); `power_lost()` is told
        when the node has no power any more, and at a power cut before its processes end: their last packets too are
        lost then."""
        self.machine = machine
        self.hostname = hostname
        self._namespace = namespace
        self._power_lost = power_lost
        self.layers = layers
        self.disk = disk
        self.cgroup = cgroup
        self.console_file = console_file
        self._orders = threading.RLock()
        """Held for the length of an order: power on, shut down, reboot, cut."""
        self._changed = threading.Condition()
        """Guards what follows; told when one of them changes."""
        self._process: subprocess.Popen[bytes] | None = None
        self._boots = 0
        self._power_wanted = False
        self._boot_again = False
        self._is_plugged_in = False
        """Until the end of this boot has been told."""

    def is_on(self) -> bool:
        """Whether the node has power; a reboot does not interrupt it."""
        with self._changed:
            return self._process is not None

    def leader(self) -> int | None:
        """The node's init as a pid of the host, for `nsenter`; None while it is off."""
        with self._changed:
            return leader_of(self._process.pid) if self._process else None

    def power_on(self) -> None:
        """Boot from the disk and return when the node's init runs. Harmless when it is on.

        Raises LabError with the last lines of the console when systemd-nspawn gives up.
        """
        with self._orders:
            with self._changed:
                if self._process is not None:
                    return
                self._power_wanted = True
            self._boot(self._namespace())
            self._await_leader()

    def shut_down(self, timeout_seconds: float) -> None:
        """Press the power button and wait until the node is off; cut the power after `timeout_seconds`."""
        with self._orders:
            with self._changed:
                if self._process is None:
                    return
                self._power_wanted = False
                # systemd-nspawn passes it on to the node's init as the signal for power off.
                self._process.send_signal(signal.SIGTERM)
                off = self._changed.wait_for(lambda: self._process is None, timeout_seconds)
            if not off:
                self.power_cut()

    def reboot(self, timeout_seconds: float) -> None:
        """Ask the node's init for a reboot and return when it has booted again; by force after `timeout_seconds`."""
        with self._orders:
            with self._changed:
                if self._process is None:
                    raise LabError(f"{self.machine} is off and cannot reboot")
                leader, boots = leader_of(self._process.pid), self._boots
                self._boot_again = True
            if leader is not None:
                os.kill(leader, signal.SIGRTMIN + REBOOT_SIGNAL_OFFSET)
            if leader is None or not self._await_boot_after(boots, timeout_seconds):
                self.cgroup.kill()
                self._await_boot_after(boots, START_TIMEOUT_SECONDS)
            self._await_leader()

    def power_cut(self) -> None:
        """Take the node off the network, then end every process at once, and return when none is left."""
        with self._orders:
            self._tell_power_lost()
            self.end()

    def end(self) -> None:
        """End every process at once, and return when none is left. Nobody is told: the node is about to be no more."""
        with self._orders:
            with self._changed:
                self._power_wanted, self._is_plugged_in = False, False
            deadline = time.monotonic() + START_TIMEOUT_SECONDS
            while self.is_on():
                # Again and again: the node may have been on its way into a reboot of its own.
                self.cgroup.kill()
                with self._changed:
                    self._changed.wait_for(lambda: self._process is None, POLL_SECONDS)
                if time.monotonic() > deadline:
                    raise LabError(f"{self.machine} does not end")

    def console_output(self) -> str:
        """The end of what the node wrote to its console since its last boot."""
        try:
            content = self.console_file.read_bytes()
        except FileNotFoundError:
            return ""
        return content[-CONSOLE_KEPT_BYTES:].decode("utf-8", "replace").replace("\r\n", "\n")

    def _boot(self, namespace: str) -> None:
        """Start systemd-nspawn and its watcher."""
        self.cgroup.create()
        command = boot_command(
            machine=self.machine,
            hostname=self.hostname,
            namespace=namespace,
            layers=self.layers,
            disk=self.disk,
            cgroup=self.cgroup,
        )
        self.console_file.parent.mkdir(parents=True, exist_ok=True)
        with self.console_file.open("wb") as console:
            # A session of its own: Ctrl-C at the lab's terminal is not for the nodes.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env=boot_environment(),
                start_new_session=True,
            )
        with self._changed:
            self._process = process
            self._boots += 1
            self._boot_again, self._is_plugged_in = False, True
            self._changed.notify_all()
        threading.Thread(target=self._watch, args=(process,), name=f"watch {self.machine}", daemon=True).start()

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        status = process.wait()
        try:
            # What outlived its supervisor would hold the disk, and the cgroup of the next boot.
            self.cgroup.kill()
            with self._changed:
                boots_again = self._power_wanted and (self._boot_again or status == REBOOT_EXIT_STATUS)
            if boots_again:
                self._boot(self._namespace())
                return
        except (LabError, OSError):
            logger.exception("%s could not boot again", self.machine)
        # Before it counts as off: whoever waits for that may power it on, and plug it in, at once.
        self._tell_power_lost()
        with self._changed:
            self._process = None
            self._changed.notify_all()

    def _tell_power_lost(self) -> None:
        """Once a boot."""
        with self._changed:
            is_plugged_in, self._is_plugged_in = self._is_plugged_in, False
        if is_plugged_in:
            try:
                self._power_lost()
            except LabError:
                logger.exception("%s is still plugged in", self.machine)

    def _await_boot_after(self, boots: int, timeout_seconds: float) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._boots > boots or self._process is None, timeout_seconds)
            return self._boots > boots

    def _await_leader(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while self.leader() is None:
            if not self.is_on() or time.monotonic() > deadline:
                last_lines = " / ".join(self.console_output().strip().splitlines()[-5:])
                raise LabError(f"{self.machine} did not start: {last_lines or '(nothing on its console)'}")
            time.sleep(POLL_SECONDS)


def await_off(nodes: list[Node], order: Callable[[Node], None]) -> None:
    """Give all nodes the same order at once and return when all are done. Raises the first LabError."""
    errors: list[LabError] = []

    def obey(node: Node) -> None:
        try:
            order(node)
        except LabError as error:
            errors.append(error)

    threads = [threading.Thread(target=obey, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
