"""EC2 instances as system containers: the lab's `machines` driver.

Each instance gets a disk of its own over a shared image (disk.py, image.py), boots with real systemd in the network
namespace that lab/network made for it (boot.py, node.py), and keeps its processes in a cgroup by which they are found
again (cgroups.py, leftovers.py).
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from dockeree.lab.nodes.machines.cgroups import Cgroup
from dockeree.lab.nodes.machines.disk import NodeDisk, Surroundings
from dockeree.lab.nodes.machines.image import NodeImage, Say, Variant, ensure_image, image_in_use
from dockeree.lab.nodes.machines.leftovers import lab_cgroup, remove_machines
from dockeree.lab.nodes.machines.limits import raise_limits
from dockeree.lab.nodes.machines.node import Node, await_off
from dockeree.lab.settings import LabSettings
from dockeree.lab.world import LabError, NodeSpec

SHUT_DOWN_TIMEOUT_SECONDS = 60.0
"""EC2 gives a guest a few minutes before it pulls the plug."""


class MachineDriver:
    """Makes nodes of instances (world.NodeDriver)."""

    name = "machines"

    def __init__(
        self,
        settings: LabSettings,
        *,
        namespace_of: Callable[[str], str],
        resolver_of: Callable[[NodeSpec], str],
        power_lost: Callable[[str], None] = lambda instance_id: None,
        surroundings: Surroundings,
        say: Say = lambda text: None,
        shut_down_timeout_seconds: float = SHUT_DOWN_TIMEOUT_SECONDS,
    ) -> None:
        """`namespace_of(instance_id)` names the network namespace of an instance. It is asked before each boot, of
        start and reboot too, and may make a fresh one: the bridges and rules of the engine that ran before are gone
        then. `resolver_of(spec)` is the address of the VPC's resolver. `power_lost(instance_id)` is called when a node
        is off, and before the end at a power cut."""
        self._settings = settings
        self._namespace_of = namespace_of
        self._power_lost = power_lost
        self._resolver_of = resolver_of
        self._surroundings = surroundings
        self._say = say
        self._shut_down_timeout_seconds = shut_down_timeout_seconds
        self._nodes: dict[str, Node] = {}
        self._images: dict[Variant, NodeImage] = {}
        self._lock = threading.Lock()
        self._image_lock = threading.Lock()
        self._held = ExitStack()

    def launch(self, spec: NodeSpec) -> None:
        """Create the node's disk and boot it; returns when its init runs."""
        image = self._image(spec.image_variant)
        disk = NodeDisk(self._settings.disk_dir / spec.instance_id)
        with self._lock:
            if spec.instance_id in self._nodes:
                raise LabError(f"{spec.instance_id} has a node already")
            node = Node(
                machine=f"{self._settings.tag}-{spec.instance_id}",
                hostname=spec.hostname,
                namespace=functools.partial(self._namespace, spec.instance_id),
                power_lost=functools.partial(self._power_lost, spec.instance_id),
                layers=image.layers,
                disk=disk,
                cgroup=Cgroup(f"{lab_cgroup(self._settings).name}/{spec.instance_id}"),
                console_file=self._console_file(spec.instance_id),
            )
            self._nodes[spec.instance_id] = node
        disk.create(spec, self._surroundings, self._resolver_of(spec))
        node.power_on()

    def power_on(self, spec: NodeSpec) -> None:
        """Boot a stopped node from its own disk."""
        self._node(spec.instance_id).power_on()

    def shut_down(self, instance_id: str) -> None:
        """Power off by systemd, by force after a while; returns when the node is off."""
        self._node(instance_id).shut_down(self._shut_down_timeout_seconds)

    def reboot(self, instance_id: str) -> None:
        """Reboot by systemd, by force after a while; returns when the node's init runs again."""
        self._node(instance_id).reboot(self._shut_down_timeout_seconds)

    def power_cut(self, instance_id: str) -> None:
        """Kill everything in the node at once."""
        self._node(instance_id).power_cut()

    def destroy(self, instance_id: str) -> None:
        """Cut the power, delete the disk and the console. An unknown node is fine."""
        with self._lock:
            node = self._nodes.pop(instance_id, None)
        if node is None:
            return
        node.end()
        node.cgroup.remove()
        node.disk.delete()
        node.console_file.unlink(missing_ok=True)

    def is_on(self, instance_id: str) -> bool:
        """Whether the node has power. An unknown node has none."""
        with self._lock:
            node = self._nodes.get(instance_id)
        return node is not None and node.is_on()

    def console_output(self, instance_id: str) -> str:
        """The end of the serial console since the last boot, 64 KiB at most; empty for an unknown node."""
        with self._lock:
            node = self._nodes.get(instance_id)
        return node.console_output() if node else ""

    def leader_pid(self, instance_id: str) -> int | None:
        """The node's init as a pid of the host (for `nsenter --target`), None while it is off."""
        return self._node(instance_id).leader()

    def close(self) -> None:
        """Destroy every node and release the images."""
        with self._lock:
            nodes = list(self._nodes.values())
            self._nodes.clear()
        try:
            await_off(nodes, Node.end)
        finally:
            remove_machines(self._settings)
            self._held.close()

    def _node(self, instance_id: str) -> Node:
        with self._lock:
            node = self._nodes.get(instance_id)
        if node is None:
            raise LabError(f"{instance_id} has no node")
        return node

    def _namespace(self, instance_id: str) -> str:
        namespace = self._namespace_of(instance_id)
        if not Path("/run/netns", namespace).exists():
            raise LabError(f"The network namespace {namespace} of {instance_id} is not there")
        return namespace

    def _console_file(self, instance_id: str) -> Path:
        return self._settings.runtime_dir / "consoles" / f"{instance_id}.log"

    def _image(self, variant: Variant) -> NodeImage:
        with self._image_lock:
            if variant not in self._images:
                raise_limits()
                image = ensure_image(variant, self._say)
                self._held.enter_context(image_in_use(image))
                self._images[variant] = image
            return self._images[variant]
