"""Whether the account, the region and this machine can hold the cluster: every reason against it at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from dockeree.aws import auto_scaling, clusters, instances, names, networking, quotas
from dockeree.aws.instances import InstanceType
from dockeree.aws.security_groups import RULES_PER_GROUP, rules_per_direction
from dockeree.aws.session import Identity
from dockeree.errors import AwsError, DockereeError, PreflightError
from dockeree.ssh import keys
from dockeree.steps.addresses import resolved_admin_cidrs
from dockeree.steps.found import owner_of
from dockeree.steps.names import own_domains
from dockeree.steps.ports import wanted_rules
from dockeree.steps.root_ca import check_keys
from dockeree.steps.storage import check_buckets
from dockeree.steps.zones import choose_zones
from dockeree.workflows.preflight_consoles import console_problems, console_warnings

if TYPE_CHECKING:
    from dockeree.context import Cluster

T = TypeVar("T")

MANAGERS = 3
UCP_MEMORY_MIB = 8 * 1024
"""What UCP's documentation asks of a manager at least."""


@dataclass(frozen=True)
class Preflight:
    """What was found: who works, where, and what the open values of the configuration mean here."""

    identity: Identity
    region: str
    zones: tuple[str, ...]
    admin_cidrs: tuple[str, ...]
    is_address_found: bool
    """Whether `admin_cidrs: auto` was resolved."""
    vcpus_needed: int
    vcpus_free: float | None
    """None where the quota cannot be read."""


def preflight(cluster: Cluster) -> Preflight:
    """Look at everything that would stop `up` half way, changing nothing in the account.

    Raises PreflightError with every problem found; AwsError when AWS cannot be asked at all (no or expired
    credentials, no network), at once.
    """
    identity = cluster.aws.identity()
    region = cluster.aws.region
    problems: list[str] = _wrong_account(cluster, identity)
    if not problems:
        _find_id(cluster, identity)
    types = _collect(problems, lambda: _instance_types(cluster)) or {}
    zones = _collect(problems, lambda: choose_zones(cluster)) or ()
    needed, free = _collect(problems, lambda: _vcpus(cluster, types, problems)) or (0, None)
    problems += _collect(problems, lambda: _check_network(cluster)) or []
    problems += _collect(problems, lambda: _check_ssh_key(cluster)) or []
    problems += _collect(problems, lambda: _check_hosted_zone(cluster)) or []
    _collect(problems, lambda: check_buckets(cluster))
    _collect(problems, lambda: check_keys(cluster))
    problems += _collect(problems, lambda: console_problems(cluster)) or []
    admin_cidrs = _collect(problems, lambda: resolved_admin_cidrs(cluster.config.admin_cidrs)) or []
    problems += _check_rules(cluster, admin_cidrs)
    if problems:
        message = f"{cluster.name} cannot be built in {region} of account {identity.account}"
        raise PreflightError(message, problems, "Nothing was created. Mend this and run `dockeree up` again.")
    for warning in console_warnings(cluster):
        cluster.report.warn(warning)
    return Preflight(
        identity=identity,
        region=region,
        zones=tuple(zones),
        admin_cidrs=tuple(admin_cidrs),
        is_address_found="auto" in cluster.config.admin_cidrs,
        vcpus_needed=needed,
        vcpus_free=free,
    )


def with_found(cluster: Cluster, found: Preflight) -> Cluster:
    """The context with `auto` replaced by what was found, so that it is asked for once a run."""
    return replace(cluster, config=cluster.config.model_copy(update={"admin_cidrs": found.admin_cidrs}))


def _collect(problems: list[str], check: Callable[[], T]) -> T | None:
    """What `check` answers; where it fails, None, and its reason becomes a problem among the others."""
    try:
        return check()
    except DockereeError as error:
        problems.append(f"{error.message}. {error.hint}" if error.hint else error.message)
        return None


def _wrong_account(cluster: Cluster, identity: Identity) -> list[str]:
    if cluster.state.account in ("", identity.account):
        return []
    return [
        f"{cluster.name} stands in account {cluster.state.account} (says {cluster.state.path}), and these credentials "
        f"are of account {identity.account} ({identity.arn})"
    ]


def _find_id(cluster: Cluster, identity: Identity) -> None:
    """A claimed name's id, so that what stands already is seen: the state file may be lost."""
    claim = clusters.find_claim(cluster.aws, cluster.name)
    if claim is not None:
        cluster.state.record_cluster(
            cluster_id=claim.id, region=cluster.aws.region, account=identity.account, created_at=claim.created_at
        )


def _instance_types(cluster: Cluster) -> dict[str, InstanceType]:
    config = cluster.config
    types = instances.describe_types(cluster.aws, {config.managers.instance_type, config.workers.instance_type})
    for name, found in types.items():
        if "x86_64" not in found.architectures:
            raise AwsError(f"{name} is {', '.join(found.architectures)}; UCP and DTR run on x86_64")
    managers = types.get(config.managers.instance_type)
    if managers and managers.memory_mib < UCP_MEMORY_MIB:
        gib = managers.memory_mib / 1024
        cluster.report.warn(f"{managers.name} has {gib:g} GiB of memory; UCP asks for 8 GiB on each manager")
    return types


def _vcpus(cluster: Cluster, types: dict[str, InstanceType], problems: list[str]) -> tuple[int, float | None]:
    """How many vCPUs of the standard quota are still to be launched, and how many are free."""
    config = cluster.config
    managers_to_launch, workers_to_launch = _to_launch(cluster)
    wanted = ((config.managers.instance_type, managers_to_launch), (config.workers.instance_type, workers_to_launch))
    needed = sum(types[name].vcpus * count for name, count in wanted if name in types and quotas.is_standard(name))
    quota = quotas.find_quota(cluster.aws, quotas.STANDARD_VCPUS) if needed else None
    if quota is None:
        if needed:
            cluster.report.warn("The quota of vCPUs cannot be read; AWS will say so if it is too small.")
        return needed, None
    free = quota - quotas.standard_vcpus_in_use(cluster.aws)
    if needed > free:
        problems.append(
            f"{needed} vCPUs of standard instances are needed and {max(free, 0):g} of the quota's {quota:g} are free. "
            f"Ask for more: aws service-quotas request-service-quota-increase --service-code ec2 "
            f"--quota-code {quotas.STANDARD_VCPUS[1]} --desired-value {quota - free + needed:g}"
        )
    return needed, free


def _to_launch(cluster: Cluster) -> tuple[int, int]:
    """How many managers and workers `up` will launch, beside those that there are."""
    if not cluster.id:
        return MANAGERS, cluster.config.workers.count
    owner = owner_of(cluster)
    managers = MANAGERS - len(instances.find_managers(cluster.aws, owner))
    if auto_scaling.find_group(cluster.aws, owner) is not None:
        return managers, 0
    return managers, cluster.config.workers.count


def _check_network(cluster: Cluster) -> list[str]:
    vpc = networking.find_vpc(cluster.aws, owner_of(cluster)) if cluster.id else None
    wanted = cluster.config.network.vpc_cidr
    if vpc is not None:
        if vpc.cidr == wanted:
            return []
        return [f"network.vpc_cidr is {wanted}, and the VPC {vpc.id} has {vpc.cidr}, which cannot be changed"]
    quota = quotas.find_quota(cluster.aws, quotas.VPCS)
    in_use = quotas.vpcs_in_use(cluster.aws)
    if quota is None or in_use < quota:
        return []
    return [
        f"{cluster.aws.region} has {in_use} VPCs, and the quota is {quota:g}. Delete one that is not needed, or ask "
        f"for more: aws service-quotas request-service-quota-increase --service-code vpc --quota-code {quotas.VPCS[1]} "
        f"--desired-value {in_use + 1}"
    ]


def _check_ssh_key(cluster: Cluster) -> list[str]:
    if cluster.config.ssh.key:
        keys.public_key(Path(cluster.config.ssh.key).expanduser())
    return []


def _check_hosted_zone(cluster: Cluster) -> list[str]:
    zone_id = cluster.config.dns.hosted_zone_id
    if not zone_id:
        return []
    zone = names.find_public_zone(cluster.aws, zone_id)
    if zone is None:
        return [f"dns.hosted_zone_id: there is no public hosted zone {zone_id} in this account"]
    return [
        f"{role}.domain: {domain} is not in the hosted zone {zone_id}, which is {zone.name}"
        for role, domain in own_domains(cluster).items()
        if domain != zone.name and not domain.endswith(f".{zone.name}")
    ]


def _check_rules(cluster: Cluster, admin_cidrs: list[str]) -> list[str]:
    roles = ("managers", "workers", "ucp", "dtr", "apps")
    rules = wanted_rules(
        {role: f"sg-{role}" for role in roles},
        admin_cidrs=admin_cidrs,
        ssh_port=cluster.config.ssh.port,
        apps_ports=cluster.config.apps.ports,
    )
    return [
        f"the security group {role} would need {count} rules, and AWS takes {RULES_PER_GROUP}: "
        "give fewer admin_cidrs or apps.ports"
        for role in roles
        if (count := rules_per_direction(sorted(rules[role]))) > RULES_PER_GROUP
    ]
