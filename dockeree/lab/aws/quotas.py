"""Quotas: what Service Quotas says of them, and what EC2 answers once they are reached."""

from __future__ import annotations

from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.servicequotas.models import ServiceQuotasBackend

from dockeree.lab.aws.core import Lab

STANDARD_VCPUS = 64
VPCS = 5
ELASTIC_ADDRESSES = 5

_STANDARD_FAMILIES = frozenset("acdhimrtz")

_QUOTAS = (
    ("ec2", "L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", STANDARD_VCPUS),
    ("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs", ELASTIC_ADDRESSES),
    ("vpc", "L-F678F1CE", "VPCs per Region", VPCS),
    ("vpc", "L-A4707A72", "Internet gateways per Region", VPCS),
    ("elasticloadbalancing", "L-69A177A2", "Network Load Balancers per Region", 50),
    ("elasticloadbalancing", "L-B22855CB", "Target Groups per Region", 3000),
    ("autoscaling", "L-CDE20ADC", "Auto Scaling groups per region", 500),
)


def install(lab: Lab) -> None:
    """Answer for the quotas that the lab keeps, and keep them."""

    @lab.extend(ServiceQuotasBackend, "get_service_quota")
    def get_service_quota(original: Any, backend: Any, service_code: str, quota_code: str) -> Any:
        for quota in _QUOTAS:
            if quota[:2] == (service_code, quota_code):
                return _describe(backend, *quota)
        return original(backend, service_code, quota_code)

    @lab.extend(EC2Backend, "create_vpc")
    def create_vpc(original: Any, backend: Any, *args: Any, **kwargs: Any) -> Any:
        if len(backend.vpcs) >= VPCS:
            raise EC2ClientError("VpcLimitExceeded", "The maximum number of VPCs has been reached.")
        return original(backend, *args, **kwargs)

    @lab.extend(EC2Backend, "create_internet_gateway")
    def create_internet_gateway(original: Any, backend: Any, *args: Any, **kwargs: Any) -> Any:
        if len(backend.internet_gateways) >= VPCS:
            raise EC2ClientError(
                "InternetGatewayLimitExceeded", "The maximum number of internet gateways has been reached."
            )
        return original(backend, *args, **kwargs)


def _describe(backend: Any, service_code: str, code: str, name: str, value: int) -> dict[str, Any]:
    arn = f"arn:aws:servicequotas:{backend.region_name}:{backend.account_id}:{service_code}/{code}"
    return {
        "ServiceCode": service_code,
        "QuotaArn": arn,
        "QuotaCode": code,
        "QuotaName": name,
        "Value": float(value),
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }


def vcpus(instance_type: str) -> int:
    """The vCPUs of an instance type, as they count against the quota."""
    return int(INSTANCE_TYPES[instance_type]["VCpuInfo"]["DefaultVCpus"])


def is_standard(instance_type: str) -> bool:
    """Whether the type counts against the quota of the standard families (A, C, D, H, I, M, R, T, Z)."""
    family = instance_type.partition(".")[0]
    return family[0] in _STANDARD_FAMILIES and not family.startswith(("dl", "hpc", "inf", "trn", "mac"))


def affordable(backend: Any, instance_type: str, at_least: int, at_most: int) -> int:
    """How many instances of a type the quota allows now, between the two. Raises VcpuLimitExceeded below the first."""
    if not is_standard(instance_type):
        return at_most
    used = sum(
        vcpus(instance.instance_type)
        for instance in backend.all_instances()
        if instance.state in ("pending", "running") and is_standard(instance.instance_type)
    )
    possible = (STANDARD_VCPUS - used) // vcpus(instance_type)
    if possible < at_least:
        raise EC2ClientError(
            "VcpuLimitExceeded",
            f"You have requested more vCPU capacity than your current vCPU limit of {STANDARD_VCPUS} allows for the "
            "instance bucket that the specified instance type belongs to. Please visit "
            "http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.",
        )
    return min(possible, at_most)
