"""The lab as `/lab/status` tells it."""

from __future__ import annotations

from typing import Any

from moto.ec2.models import ec2_backends
from moto.elbv2.models import elbv2_backends

from dockeree.lab.aws.core import Lab
from dockeree.lab.settings import ACCOUNT_ID


def lab_status(lab: Lab, endpoint_url: str) -> dict[str, Any]:
    """Name, node driver, endpoint, instances and balancers of every region in use, as plain values for JSON."""
    with lab.lock:
        regions = sorted(ec2_backends[ACCOUNT_ID])
        return {
            "name": lab.settings.name,
            "node_driver": lab.driver.name,
            "endpoint_url": endpoint_url,
            "instances": [entry for region in regions for entry in _instances(region)],
            "balancers": [entry for region in sorted(elbv2_backends[ACCOUNT_ID]) for entry in _balancers(region)],
        }


def _instances(region: str) -> list[dict[str, Any]]:
    backend = ec2_backends[ACCOUNT_ID][region]
    return [
        {
            "instance_id": instance.id,
            "state": instance.state,
            "private_ip": instance.private_ip,
            "public_ip": instance.public_ip,
            "name": backend.tags.get(instance.id, {}).get("Name", ""),
        }
        for instance in backend.all_instances()
    ]


def _balancers(region: str) -> list[dict[str, Any]]:
    interfaces = ec2_backends[ACCOUNT_ID][region].enis.values()
    entries = []
    for balancer in elbv2_backends[ACCOUNT_ID][region].load_balancers.values():
        # Elastic Load Balancing describes its interfaces as "ELB net/NAME/ID": the end of the balancer's ARN.
        description = f"ELB {balancer.arn.partition('loadbalancer/')[2]}"
        addresses = [eni.public_ip or eni.private_ip_address for eni in interfaces if eni.description == description]
        entries.append({"name": balancer.name, "dns_name": balancer.dns_name, "addresses": sorted(addresses)})
    return entries
