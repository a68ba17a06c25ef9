"""The lab's network on real machines: a snapshot of the API becomes namespaces, cables, rules, names and balancers."""

from __future__ import annotations

import asyncio
import functools
import socket
import threading
from collections.abc import Mapping

from dockeree.lab.network import addresses, names, namespaces
from dockeree.lab.network.balancers import Balancers
from dockeree.lab.network.cleanup import remove_network
from dockeree.lab.network.hosts import HOSTS_FILE, set_host_names
from dockeree.lab.network.links import Links
from dockeree.lab.network.loop import LoopThread
from dockeree.lab.network.metadata_server import PORT as METADATA_PORT
from dockeree.lab.network.metadata_server import MetadataServer
from dockeree.lab.network.plan import Plan, make_plan
from dockeree.lab.network.resolver import PORT as RESOLVER_PORT
from dockeree.lab.network.resolver import Resolver
from dockeree.lab.settings import LabSettings
from dockeree.lab.world import InstanceNetwork, LabError, Region, Snapshot, Target, TargetHealth


class MachineWiring:
    """The network of one lab (a `Wiring`). Needs root, iproute2 and nftables.

    Every server runs in this process, on sockets that were opened inside the namespaces: when the process ends,
    however it ends, nothing answers any more. What then remains, `remove_network(tag)` takes away.
    """

    def __init__(self, settings: LabSettings, region: Region | None = None) -> None:
        """Clear what an earlier lab of this name left, and connect the router to the host. Raises LabError.

        `region` is who the metadata services ask; it may be set later.
        """
        self.region = region
        self.settings = settings
        self.tag = settings.tag
        self.router_namespace = addresses.router_namespace(self.tag)
        self.operator_address = addresses.operator_address(settings.public_network)
        self.service_address = addresses.service_address(settings.public_network)
        """Where *.amazonaws.com leads, as nodes see it; `listen` opens servers there."""
        self._lock = threading.RLock()
        self._snapshot = Snapshot()
        self._without_power: frozenset[str] = frozenset()
        self._told_names: dict[str, str] = {}
        self._names: dict[str, names.VpcNames] = {}
        self._servers: dict[str, tuple[Resolver, MetadataServer]] = {}
        remove_network(self.tag)
        self._links = Links(self.tag, settings.public_network)
        try:
            self._links.make_router()
        except LabError:
            remove_network(self.tag)
            raise
        self._loop = LoopThread(f"network-{settings.name}")
        self._balancers = Balancers(self.tag, settings.time_scale)

    # -- what the Wiring protocol asks for

    def apply(self, snapshot: Snapshot) -> None:
        """Make the network look like `snapshot`. Raises LabError; calling it again goes on where it stopped."""
        with self._lock:
            self._snapshot = snapshot
            self._without_power &= {instance.instance_id for instance in snapshot.instances}
            plan = make_plan(snapshot, self.tag, self._without_power)
            self._loop.call(self._balancers.stop_missing(snapshot))
            self._loop.call(self._stop_servers(self._links.vpcs_to_remove(plan)))
            self._links.take_away(plan)
            self._links.add(plan)
            self._set_names()
            self._loop.call(self._start_servers(plan))
            try:
                self._loop.call(self._balancers.update(snapshot))
            except OSError as error:
                raise LabError(f"a balancer could not listen: {error}") from error
            try:
                set_host_names(self.tag, self._host_names())
            except OSError as error:
                raise LabError(f"balancers' names could not be written to {HOSTS_FILE}: {error}") from error

    def target_health(self, target_group_arn: str, target: Target) -> TargetHealth:
        """What the balancers' checks last said of a target, in EC2's words."""
        return self._balancers.target_health(target_group_arn, target)

    def close(self) -> None:
        """Stop every server and take the whole network away. Calling it again is fine."""
        with self._lock:
            if not self._loop.is_closed:
                self._loop.call(self._stop_everything())
                self._loop.close()
            remove_network(self.tag)

    # -- what the nodes' driver asks for

    def node_namespace(self, instance_id: str) -> str:
        """The name (below /run/netns) of the namespace that an instance's node boots into: `eth0` is cabled and has
        its address. Raises LabError before `apply` has seen the instance."""
        name = addresses.instance_namespace(self.tag, instance_id)
        if not namespaces.exists(name):
            raise LabError(f"{instance_id} has no network yet")
        return name

    def renew_namespace(self, instance_id: str) -> str:
        """Replace a node's namespace by a fresh one of the same name: a boot begins without the bridges, rules and
        connections of the boot before. The node is off when this is called; afterwards it is plugged in.
        Raises LabError."""
        with self._lock:
            self.plug(instance_id)
            self._links.renew_port(self._instance(instance_id).interface.id)
        return self.node_namespace(instance_id)

    def resolver_of(self, instance_id: str) -> str:
        """The address of the resolver that an instance uses: its VPC's base address + 2. Raises LabError."""
        with self._lock:
            subnet_id = self._instance(instance_id).interface.subnet_id
            vpc_id = next(subnet.vpc_id for subnet in self._snapshot.subnets if subnet.id == subnet_id)
            return addresses.vpc_resolver(next(vpc.cidr for vpc in self._snapshot.vpcs if vpc.id == vpc_id))

    def unplug(self, instance_id: str) -> None:
        """Let nothing from or to an instance pass any more, not even a refusal: a power cut."""
        self._set_power(self._without_power | {instance_id})

    def plug(self, instance_id: str) -> None:
        """Undo `unplug`."""
        self._set_power(self._without_power - {instance_id})

    # -- what the lab's own servers ask for

    def listen(self, port: int) -> socket.socket:
        """A listening TCP socket at the service address, for a server of the lab that nodes reach by AWS's names (the
        API) or by told names (registry, packages). The caller closes it. Raises OSError."""
        return namespaces.listening_socket(self.router_namespace, self.service_address, port)

    def tell_names(self, told: Mapping[str, str]) -> None:
        """Names of the Internet that the lab plays, and their addresses, for every VPC's resolver from now on."""
        with self._lock:
            self._told_names = dict(told)
            self._set_names()

    # --

    def _instance(self, instance_id: str) -> InstanceNetwork:
        found = [entry for entry in self._snapshot.instances if entry.instance_id == instance_id]
        if not found:
            raise LabError(f"{instance_id} has no network yet")
        return found[0]

    def _set_power(self, without_power: frozenset[str]) -> None:
        with self._lock:
            if without_power == self._without_power:
                return
            self._without_power = without_power
            self._links.add(make_plan(self._snapshot, self.tag, without_power))

    def _set_names(self) -> None:
        self._names = {
            vpc.id: names.vpc_names(
                self._snapshot,
                vpc.id,
                self.service_address,
                self._told_names,
                self._balancers.addresses_of,
            )
            for vpc in self._snapshot.vpcs
        }

    def _names_of(self, vpc_id: str) -> names.VpcNames:
        return self._names.get(vpc_id, names.VpcNames())

    def _host_names(self) -> list[tuple[str, str]]:
        """The operator sees balancers that face the Internet, by name."""
        return [
            (address, balancer.dns_name)
            for balancer in self._snapshot.balancers
            if balancer.internet_facing
            for address in names.balancer_addresses(balancer)
        ]

    async def _start_servers(self, plan: Plan) -> None:
        for vpc_id, cidr in plan.vpcs.items():
            if vpc_id in self._servers:
                continue
            namespace = addresses.vpc_namespace(self.tag, vpc_id)
            resolver_address = addresses.vpc_resolver(cidr)
            resolver = Resolver(functools.partial(self._names_of, vpc_id))
            metadata = MetadataServer(vpc_id, lambda: self.region)
            try:
                await resolver.start(
                    namespaces.datagram_socket(namespace, resolver_address, RESOLVER_PORT),
                    namespaces.listening_socket(namespace, resolver_address, RESOLVER_PORT),
                )
                await metadata.start(namespaces.listening_socket(namespace, addresses.METADATA_ADDRESS, METADATA_PORT))
            except OSError as error:
                await resolver.stop()
                raise LabError(f"resolver and metadata service of {vpc_id} could not listen: {error}") from error
            self._servers[vpc_id] = (resolver, metadata)

    async def _stop_servers(self, vpc_ids: set[str]) -> None:
        for vpc_id in vpc_ids & self._servers.keys():
            resolver, metadata = self._servers.pop(vpc_id)
            await resolver.stop()
            await metadata.stop()
        await asyncio.sleep(0)  # Transports close their sockets in the loop's next round.

    async def _stop_everything(self) -> None:
        await self._balancers.stop()
        await self._stop_servers(set(self._servers))
