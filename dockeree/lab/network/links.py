"""Makes a plan real with namespaces, cables, routes and rulesets, one difference at a time.

Every part is made whole or not at all as far as this module's memory goes: a part counts as there only after its last
command, and making a part first clears what a failed attempt left. So an `apply` that failed can simply be repeated.
"""

from __future__ import annotations

from dockeree.lab.network import addresses, namespaces
from dockeree.lab.network.plan import Plan, Port
from dockeree.lab.world import LabError

# Spelled out for every namespace, because a new one inherits the host's own settings.
_ROUTER_SYSCTLS = [
    ("ipv4/ip_forward", "1"),
    ("ipv4/conf/all/send_redirects", "0"),
    ("ipv4/conf/default/send_redirects", "0"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
    ("ipv6/conf/all/disable_ipv6", "1"),
    ("ipv6/conf/default/disable_ipv6", "1"),
]
_VPC_SYSCTLS = [
    *_ROUTER_SYSCTLS,
    # EC2's source/destination check: an instance sends from its own address, or nothing.
    ("ipv4/conf/all/rp_filter", "1"),
    ("ipv4/conf/default/rp_filter", "1"),
    # The router answers ARP for every neighbour: so packets between neighbours pass it too.
    ("ipv4/conf/default/proxy_arp", "1"),
]
_BALANCER_SYSCTLS = [
    ("ipv4/ip_forward", "0"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
]
_NODE_SYSCTLS = [("ipv4/ip_forward", "0")]


class Links:
    """The namespaces and cables of one lab. Not thread-safe: its owner holds a lock."""

    def __init__(self, tag: str, public_network: str) -> None:
        self.tag = tag
        self.public_network = public_network
        self.router = addresses.router_namespace(tag)
        self._vpcs: dict[str, str] = {}
        self._gateways: set[str] = set()
        self._subnet_gateways: set[tuple[str, str]] = set()
        self._ports: dict[str, Port] = {}
        self._balancers: set[str] = set()
        self._public_routes: dict[str, str] = {}
        self._vpc_rulesets: dict[str, str] = {}
        self._gateway_rulesets: dict[str, str] = {}

    def make_router(self) -> None:
        """Connect the lab's router to the host, which gets one address and one route. Raises LabError."""
        link, network = addresses.host_link(self.tag), self.public_network
        router = addresses.router_address(network)
        operator = addresses.operator_address(network)
        namespaces.create([self.router], _ROUTER_SYSCTLS)
        namespaces.ip_batch(
            [
                f"link add {link} type veth peer name host netns {self.router}",
                f"addr add {operator} peer {router} dev {link}",
                f"link set {link} up",
            ]
        )
        namespaces.ip_batch(
            [
                f"addr add {router} peer {operator} dev host",
                "link set host up",
                f"addr add {addresses.service_address(network)}/32 dev lo",
                # Addresses nobody has are silent, as on the Internet; everything else is known not to be there.
                f"route add blackhole {network}",
                "route add unreachable default",
            ],
            self.router,
        )
        namespaces.ip_batch([f"route add {network} via {router} dev {link}"])

    def take_away(self, plan: Plan) -> None:
        """Remove what is there and not in `plan`, or not like that in it. Raises LabError."""
        for interface_id, port in list(self._ports.items()):
            if plan.ports.get(interface_id) != port:
                self._remove_port(port)
        for name in self._balancers - plan.balancer_namespaces:
            namespaces.delete([name])
            self._balancers.discard(name)
        for public, vpc_id in list(self._public_routes.items()):
            if plan.public_routes.get(public) != vpc_id:
                namespaces.ip_batch([f"route del {public}/32"], self.router)
                del self._public_routes[public]
        for vpc_id in self.vpcs_to_remove(plan) | (self._gateways - plan.gateways):
            self._remove_gateway(vpc_id)
        for vpc_id in self.vpcs_to_remove(plan):
            self._remove_vpc(vpc_id)

    def vpcs_to_remove(self, plan: Plan) -> set[str]:
        """The VPCs that `plan` has no more, or has with another CIDR."""
        return {vpc_id for vpc_id, cidr in self._vpcs.items() if plan.vpcs.get(vpc_id) != cidr}

    def add(self, plan: Plan) -> None:
        """Make what `plan` has and is not there. A port gets its cable after the rules that guard it.

        Raises LabError.
        """
        for vpc_id, cidr in plan.vpcs.items():
            if vpc_id not in self._vpcs:
                self._add_vpc(vpc_id, cidr)
        self._set_subnet_gateways(plan)
        for vpc_id in plan.gateways - self._gateways:
            self._add_gateway(vpc_id, plan.vpcs[vpc_id])
        self._load_rulesets(plan)
        for interface_id, port in plan.ports.items():
            if interface_id not in self._ports:
                self._add_port_or_nothing(port)
        self._add_public_routes(plan)

    def renew_port(self, interface_id: str) -> None:
        """Replace an instance's namespace by an empty one, cabled like the old. Raises LabError."""
        port = self._ports.get(interface_id)
        if port is None:
            raise LabError(f"network interface {interface_id} is not there yet")
        self._remove_port(port)
        self._add_port_or_nothing(port)

    def _vpc_namespace(self, vpc_id: str) -> str:
        return addresses.vpc_namespace(self.tag, vpc_id)

    def _add_vpc(self, vpc_id: str, cidr: str) -> None:
        namespace = self._vpc_namespace(vpc_id)
        namespaces.create([namespace], _VPC_SYSCTLS)
        namespaces.ip_batch(
            [
                f"addr add {addresses.METADATA_ADDRESS}/32 dev lo",
                f"addr add {addresses.vpc_resolver(cidr)}/32 dev lo",
                # Addresses without an interface must not be looked for on the Internet.
                f"route add blackhole {cidr}",
            ],
            namespace,
        )
        self._vpcs[vpc_id] = cidr

    def _remove_vpc(self, vpc_id: str) -> None:
        namespaces.delete([self._vpc_namespace(vpc_id)])
        self._vpcs.pop(vpc_id)
        self._vpc_rulesets.pop(vpc_id, None)
        self._subnet_gateways = {entry for entry in self._subnet_gateways if entry[0] != vpc_id}

    def _set_subnet_gateways(self, plan: Plan) -> None:
        for vpc_id, address in self._subnet_gateways - plan.subnet_gateways:
            namespaces.ip_batch([f"addr del {address}/32 dev lo"], self._vpc_namespace(vpc_id))
            self._subnet_gateways.discard((vpc_id, address))
        for vpc_id, address in plan.subnet_gateways - self._subnet_gateways:
            namespaces.ip_batch([f"addr add {address}/32 dev lo"], self._vpc_namespace(vpc_id))
            self._subnet_gateways.add((vpc_id, address))

    def _add_gateway(self, vpc_id: str, cidr: str) -> None:
        self._remove_gateway(vpc_id)
        vpc, gateway = self._vpc_namespace(vpc_id), addresses.gateway_namespace(self.tag, vpc_id)
        link = addresses.gateway_link(vpc_id)
        namespaces.create([gateway], _ROUTER_SYSCTLS)
        namespaces.ip_batch(
            [
                f"link add gw type veth peer name vpc netns {gateway}",
                f"addr add {addresses.GATEWAY_LINK_VPC}/32 dev gw",
                "link set gw up",
            ],
            vpc,
        )
        namespaces.ip_batch(
            [
                f"link add {link} type veth peer name out netns {gateway}",
                f"addr add {addresses.ROUTER_LINK_ROUTER}/32 dev {link}",
                f"link set {link} up",
            ],
            self.router,
        )
        namespaces.ip_batch(
            [
                f"addr add {addresses.GATEWAY_LINK_INSIDE}/32 dev vpc",
                f"addr add {addresses.ROUTER_LINK_GATEWAY}/32 dev out",
                "link set vpc up",
                "link set out up",
                f"route add {cidr} via {addresses.GATEWAY_LINK_VPC} dev vpc onlink",
                f"route add default via {addresses.ROUTER_LINK_ROUTER} dev out onlink",
            ],
            gateway,
        )
        namespaces.ip_batch([f"route add default via {addresses.GATEWAY_LINK_INSIDE} dev gw onlink"], vpc)
        self._gateways.add(vpc_id)

    def _remove_gateway(self, vpc_id: str) -> None:
        namespaces.delete_link(self._vpc_namespace(vpc_id), "gw")
        namespaces.delete_link(self.router, addresses.gateway_link(vpc_id))
        namespaces.delete([addresses.gateway_namespace(self.tag, vpc_id)])
        self._gateways.discard(vpc_id)
        self._gateway_rulesets.pop(vpc_id, None)

    def _load_rulesets(self, plan: Plan) -> None:
        for vpc_id, ruleset in plan.vpc_rulesets.items():
            if self._vpc_rulesets.get(vpc_id) != ruleset:
                namespaces.load_ruleset(self._vpc_namespace(vpc_id), ruleset)
                self._vpc_rulesets[vpc_id] = ruleset
        for vpc_id, ruleset in plan.gateway_rulesets.items():
            if self._gateway_rulesets.get(vpc_id) != ruleset:
                namespaces.load_ruleset(addresses.gateway_namespace(self.tag, vpc_id), ruleset)
                self._gateway_rulesets[vpc_id] = ruleset

    def _add_public_routes(self, plan: Plan) -> None:
        missing = {p: v for p, v in plan.public_routes.items() if p not in self._public_routes}
        namespaces.ip_batch(
            [
                f"route replace {public}/32 via {addresses.ROUTER_LINK_GATEWAY} "
                f"dev {addresses.gateway_link(vpc_id)} onlink"
                for public, vpc_id in missing.items()
            ],
            self.router,
        )
        self._public_routes |= missing

    def _add_port_or_nothing(self, port: Port) -> None:
        try:
            self._add_port(port)
        except LabError:
            namespaces.delete_link(self._vpc_namespace(port.vpc_id), addresses.port_link(port.interface_id))
            if not port.source_routed:
                namespaces.delete([port.namespace])
            raise

    def _add_port(self, port: Port) -> None:
        vpc, cable = self._vpc_namespace(port.vpc_id), addresses.port_link(port.interface_id)
        namespaces.delete_link(vpc, cable)
        if not port.source_routed:
            namespaces.create([port.namespace], _NODE_SYSCTLS)
        elif port.namespace not in self._balancers:
            namespaces.create([port.namespace], _BALANCER_SYSCTLS)
            self._balancers.add(port.namespace)
        namespaces.ip_batch(
            [
                f"link add {cable} type veth peer name {port.link} address {port.mac} netns {port.namespace}",
                f"link set {cable} up",
                f"route replace {port.address}/32 dev {cable}",
            ],
            vpc,
        )
        # Linux lets a proxy's answer to ARP wait for up to 0.8 s; there is no default to set in a new namespace.
        namespaces.set_sysctls(vpc, [(f"ipv4/neigh/{cable}/proxy_delay", "0")])
        namespaces.ip_batch(
            [
                f"addr add {port.address}/{port.prefix_length} dev {port.link}",
                f"link set {port.link} up",
                *_routes(port),
            ],
            port.namespace,
        )
        self._ports[port.interface_id] = port

    def _remove_port(self, port: Port) -> None:
        self._ports.pop(port.interface_id, None)
        namespaces.delete_link(self._vpc_namespace(port.vpc_id), addresses.port_link(port.interface_id))
        if port.source_routed:
            table = addresses.balancer_table(port.address)
            namespaces.ip_batch([f"rule del from {port.address} lookup {table}"], port.namespace)
        else:
            namespaces.delete([port.namespace])


def _routes(port: Port) -> list[str]:
    if not port.source_routed:
        return [f"route add default via {port.gateway} dev {port.link}"]
    table = addresses.balancer_table(port.address)
    return [
        f"route add default via {port.gateway} dev {port.link} onlink table {table}",
        f"rule add from {port.address} lookup {table}",
    ]
