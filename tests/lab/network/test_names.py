"""What a VPC's resolver answers, without a network."""

from __future__ import annotations

import dns.message
import dns.rcode
import dns.rdatatype

from dockeree.lab.network.names import VpcNames, vpc_names
from dockeree.lab.network.resolver import answer
from dockeree.lab.world import (
    Balancer,
    InstanceNetwork,
    Interface,
    PrivateName,
    Snapshot,
    Subnet,
    Vpc,
)

SERVICE = "198.18.1.10"
BALANCER_NAME = "demo-ucp-0123456789abcdef.elb.us-east-1.amazonaws.com"


def instance(number: int, zone: str = "us-east-1a") -> InstanceNetwork:
    address = f"10.32.0.{number}"
    interface = Interface(f"eni-{number}", f"i-{number}", "subnet-1", address, f"198.18.1.{number}", ())
    return InstanceNetwork(f"i-{number}", interface, f"ip-10-32-0-{number}", zone, True)


def snapshot(*, zone: str = "us-east-1a", internet_facing: bool = True) -> Snapshot:
    return Snapshot(
        vpcs=(Vpc("vpc-1", "10.32.0.0/16", True), Vpc("vpc-2", "10.32.0.0/16", True)),
        subnets=(Subnet("subnet-1", "vpc-1", "10.32.0.0/24", zone, True),),
        instances=(instance(25, zone),),
        balancers=(
            Balancer(
                arn="arn:b",
                name="demo-ucp",
                dns_name=BALANCER_NAME,
                vpc_id="vpc-1",
                internet_facing=internet_facing,
                cross_zone=True,
                active=True,
                interfaces=(Interface("eni-b", "arn:b", "subnet-1", "10.32.0.9", "198.18.1.40", ()),),
                listeners=(),
            ),
        ),
        private_names=(
            PrivateName(("vpc-1",), "ucp.demo.dockeree.internal", "A", ("10.32.0.9",)),
            PrivateName(("vpc-1",), "alias.demo.dockeree.internal.", "CNAME", (f"{BALANCER_NAME}.",)),
            PrivateName(("vpc-1",), "lost.demo.dockeree.internal", "CNAME", ("nowhere.example.com",)),
            PrivateName(("vpc-1",), "loop.demo.dockeree.internal", "CNAME", ("loop.demo.dockeree.internal",)),
            PrivateName(("vpc-1",), "*.wild.dockeree.internal", "A", ("10.32.0.77",)),
            PrivateName(("vpc-1",), "console.example.com", "A", ("10.32.0.9",)),
        ),
    )


def names(world: Snapshot, vpc_id: str = "vpc-1") -> VpcNames:
    return vpc_names(world, vpc_id, SERVICE, {"archive.ubuntu.com": SERVICE, "console.example.com": "198.18.1.99"})


def test_instances_have_private_names_and_their_public_names_are_private_addresses_inside() -> None:
    known = names(snapshot())
    assert known.look_up("ip-10-32-0-25.ec2.internal").addresses == ("10.32.0.25",)
    assert known.look_up("IP-10-32-0-25.EC2.internal.").addresses == ("10.32.0.25",)
    assert known.look_up("ec2-198-18-1-25.compute-1.amazonaws.com").addresses == ("10.32.0.25",)
    assert not known.look_up("ip-10-32-0-26.ec2.internal").exists


def test_other_regions_have_another_domain() -> None:
    known = names(snapshot(zone="eu-west-1a"))
    assert known.look_up("ip-10-32-0-25.eu-west-1.compute.internal").addresses == ("10.32.0.25",)
    assert not known.look_up("ip-10-32-0-25.ec2.internal").exists


def test_a_balancer_is_public_inside_the_vpc_too() -> None:
    assert names(snapshot()).look_up(BALANCER_NAME).addresses == ("198.18.1.40",)
    assert names(snapshot(), "vpc-2").look_up(BALANCER_NAME).addresses == ("198.18.1.40",)
    assert names(snapshot(internet_facing=False)).look_up(BALANCER_NAME).addresses == ("10.32.0.9",)


def test_private_zones_are_seen_from_their_vpcs_alone_and_win() -> None:
    known, other = names(snapshot()), names(snapshot(), "vpc-2")
    assert known.look_up("ucp.demo.dockeree.internal").addresses == ("10.32.0.9",)
    assert not other.look_up("ucp.demo.dockeree.internal").exists
    assert known.look_up("console.example.com").addresses == ("10.32.0.9",)
    assert other.look_up("console.example.com").addresses == ("198.18.1.99",)
    assert known.look_up("any.wild.dockeree.internal").addresses == ("10.32.0.77",)


def test_aws_services_are_the_labs_own_and_nobodys_resources_do_not_exist() -> None:
    known = names(snapshot())
    assert known.look_up("ssm.us-east-1.amazonaws.com").addresses == (SERVICE,)
    assert known.look_up("archive.ubuntu.com").addresses == (SERVICE,)
    assert not known.look_up("other-0123.elb.us-east-1.amazonaws.com").exists
    assert not known.look_up("ec2-1-2-3-4.compute-1.amazonaws.com").exists
    assert not known.look_up("example.org").exists


def ask(name: str, kind: str = "A") -> dns.message.Message:
    wire = answer(names(snapshot()), dns.message.make_query(name, kind).to_wire(), udp=True)
    assert wire is not None
    return dns.message.from_wire(wire)


def test_a_cname_is_answered_with_what_it_leads_to() -> None:
    reply = ask("alias.demo.dockeree.internal")
    assert [dns.rdatatype.to_text(rrset.rdtype) for rrset in reply.answer] == ["CNAME", "A"]
    assert reply.answer[1].name.to_text(omit_final_dot=True) == BALANCER_NAME
    assert reply.answer[1][0].to_text() == "198.18.1.40"
    assert [r.rdtype.name for r in ask("lost.demo.dockeree.internal").answer] == ["CNAME"]
    assert ask("loop.demo.dockeree.internal").rcode() == dns.rcode.NOERROR


def test_codes_of_the_answers() -> None:
    assert ask("example.org").rcode() == dns.rcode.NXDOMAIN
    empty = ask("ip-10-32-0-25.ec2.internal", "AAAA")
    assert empty.rcode() == dns.rcode.NOERROR
    assert empty.answer == []
    assert ask("25.0.32.10.in-addr.arpa", "PTR").answer[0][0].to_text() == "ip-10-32-0-25.ec2.internal."
    assert ask("26.0.32.10.in-addr.arpa", "PTR").rcode() == dns.rcode.NXDOMAIN
    assert ask("nonsense.example", "PTR").rcode() == dns.rcode.NXDOMAIN


def test_what_is_no_query_gets_no_answer() -> None:
    known = names(snapshot())
    assert answer(known, b"nonsense", udp=True) is None
    response = dns.message.make_response(dns.message.make_query("a.b", "A"))
    assert answer(known, response.to_wire(), udp=True) is None


def test_a_long_answer_over_udp_says_that_it_is_cut() -> None:
    many = tuple(f"10.32.{n // 250}.{n % 250 + 1}" for n in range(200))
    world = Snapshot(private_names=(PrivateName(("vpc-1",), "many.internal", "A", many),))
    known = vpc_names(world, "vpc-1", SERVICE, {})
    query = dns.message.make_query("many.internal", "A").to_wire()
    short, whole = answer(known, query, udp=True), answer(known, query, udp=False)
    assert short is not None
    assert whole is not None
    assert len(short) <= 512
    assert dns.message.from_wire(short).flags & dns.flags.TC
    assert len(dns.message.from_wire(whole).answer[0]) == 200
