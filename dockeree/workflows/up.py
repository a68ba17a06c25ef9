"""`dockeree up`: from an account to a cluster, as a list of steps one can read top to bottom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dockeree.aws import auto_scaling, instances, load_balancers
from dockeree.aws.cost import Cost, hourly_cost
from dockeree.aws.load_balancers import BALANCER_ROLES, LoadBalancer
from dockeree.aws.lock import cluster_lock
from dockeree.config import Config
from dockeree.context import Cluster
from dockeree.steps.access import CreateKeyPair, CreateRoles
from dockeree.steps.claim import ClaimCluster
from dockeree.steps.dtr_join import JoinDtrReplicas
from dockeree.steps.dtr_master import InstallDtrMaster
from dockeree.steps.dtr_storage import ConfigureDtrStorage
from dockeree.steps.dtr_trust import TrustDtr
from dockeree.steps.dtr_verify import VerifyDtr
from dockeree.steps.engine import AwaitEngines
from dockeree.steps.enterprise_images import PullDtrImages, PullUcpImages
from dockeree.steps.found import owner_of
from dockeree.steps.images import ResolveImage
from dockeree.steps.instances import LaunchManagers
from dockeree.steps.load_balancers import (
    AwaitLoadBalancers,
    CreateListeners,
    CreateLoadBalancers,
    CreateTargetGroups,
    RegisterManagers,
)
from dockeree.steps.names import PublishNames, console_host, installed_consoles, own_domains
from dockeree.steps.networking import CreateInternetGateway, CreateRouteTable, CreateSubnets, CreateVpc
from dockeree.steps.root_ca import BackUpRootCa
from dockeree.steps.runner import RunResult, run_steps
from dockeree.steps.security_groups import CreateSecurityGroups
from dockeree.steps.step import Step
from dockeree.steps.storage import STORAGE
from dockeree.steps.swarm import AwaitWorkers, InitSwarm, JoinManagers, PublishJoin
from dockeree.steps.ucp_install import InstallUcp
from dockeree.steps.ucp_labels import LabelManagers
from dockeree.steps.ucp_password import KeepPassword
from dockeree.steps.ucp_settings import AwaitControllers, ConfigureUcp, RepublishJoin
from dockeree.steps.workers import CreateLaunchTemplate, CreateWorkerGroup, RetireTargetGroups
from dockeree.workflows.preflight import MANAGERS, Preflight, preflight, with_found

__all__ = ["UP", "Preflight", "UpSummary", "preflight", "steps_of", "up"]

CLOUD: tuple[type[Step], ...] = (
    ClaimCluster,
    CreateVpc,
    CreateInternetGateway,
    CreateSubnets,
    CreateRouteTable,
    CreateSecurityGroups,
    CreateKeyPair,
    CreateRoles,
    ResolveImage,
    LaunchManagers,
    CreateLaunchTemplate,
    CreateTargetGroups,
    CreateWorkerGroup,
    CreateLoadBalancers,
    CreateListeners,
    RegisterManagers,
    RetireTargetGroups,
    AwaitLoadBalancers,
    PublishNames,
)
"""What is done in the account: AWS alone, no node is spoken to."""

SWARM: tuple[type[Step], ...] = (AwaitEngines, InitSwarm, JoinManagers, PublishJoin, AwaitWorkers)
"""What is done on the machines."""

UCP: tuple[type[Step], ...] = (
    KeepPassword,
    PullUcpImages,
    LabelManagers,
    InstallUcp,
    RepublishJoin,
    AwaitControllers,
    ConfigureUcp,
)
"""Universal Control Plane on the swarm."""

DTR: tuple[type[Step], ...] = (
    PullDtrImages,
    InstallDtrMaster,
    ConfigureDtrStorage,
    TrustDtr,
    JoinDtrReplicas,
    VerifyDtr,
)
"""Docker Trusted Registry on UCP."""

BACKUP: tuple[type[Step], ...] = (BackUpRootCa,)
"""What a lost cluster is made anew from."""

UP: tuple[type[Step], ...] = (*CLOUD, *SWARM, *STORAGE, *UCP, *DTR, *BACKUP)
"""Every step there is, in the order of the screens: what `destroy` takes back, whatever the configuration says now."""


def steps_of(config: Config) -> tuple[type[Step], ...]:
    """The steps that a configuration asks for."""
    return (
        *CLOUD,
        *SWARM,
        *((*STORAGE, *UCP) if config.ucp.enabled else ()),
        *(DTR if config.has_dtr else ()),
        *(BACKUP if config.ucp.enabled else ()),
    )


@dataclass(frozen=True)
class UpSummary:
    """What stands at the end of `up`."""

    changed: bool
    urls: dict[str, str]
    """Where ucp, dtr and apps are reached from outside."""
    node_names: dict[str, str]
    """By what names the nodes reach ucp and dtr."""
    managers: int
    workers: int
    cost: Cost
    records_to_make: tuple[str, ...]
    """Records of the operator's own domain names that nobody has made yet, in zone file's notation."""
    next_commands: tuple[str, ...]
    result: RunResult


def up(cluster: Cluster, steps: Sequence[type[Step]] | None = None) -> UpSummary:
    """Create the cluster, or finish and mend it: by the steps of its configuration, unless others are given.

    Raises PreflightError before anything is created, StateLocked, StepsFailed; Interrupted after Ctrl-C.
    """
    found = preflight(cluster)
    cluster = with_found(cluster, found)
    _say(cluster, found)
    with cluster_lock(cluster.aws, cluster.name, "dockeree up", on_lost=stop_when_lost(cluster)):
        result = run_steps(cluster, steps_of(cluster.config) if steps is None else steps)
    return summarize(cluster, result)


def stop_when_lost(cluster: Cluster) -> Callable[[str], None]:
    """What to do when the lock in the account is lost: say so, and start nothing more."""

    def stop(reason: str) -> None:
        cluster.report.warn(f"{reason}: stopping")
        cluster.interrupted.set()

    return stop


def summarize(cluster: Cluster, result: RunResult) -> UpSummary:
    """Look at what stands."""
    owner = owner_of(cluster)
    balancers = load_balancers.find_balancers(cluster.aws, owner)
    group = auto_scaling.find_group(cluster.aws, owner)
    managers = instances.find_managers(cluster.aws, owner)
    workers = group.desired if group else 0
    return UpSummary(
        changed=result.changed,
        urls=_urls(cluster, balancers),
        node_names={
            role: console_host(cluster, balancers[role]) for role in installed_consoles(cluster) if role in balancers
        },
        managers=len(managers),
        workers=workers,
        cost=cluster_cost(cluster, workers),
        records_to_make=_records_to_make(cluster, balancers),
        next_commands=("dockeree status", "dockeree ssh manager-a", "dockeree scale-workers 5", "dockeree destroy"),
        result=result,
    )


def cluster_cost(cluster: Cluster, workers: int) -> Cost:
    """What the cluster costs an hour with so many workers."""
    config = cluster.config
    counts: dict[str, int] = {}
    for instance_type, count in ((config.managers.instance_type, MANAGERS), (config.workers.instance_type, workers)):
        counts[instance_type] = counts.get(instance_type, 0) + count
    return hourly_cost(
        region=cluster.aws.region,
        instances=counts,
        volume_gib=MANAGERS * config.managers.volume_gib + workers * config.workers.volume_gib,
        load_balancers=len(BALANCER_ROLES),
        public_addresses=MANAGERS + workers + len(BALANCER_ROLES) * 3,
    )


def _say(cluster: Cluster, found: Preflight) -> None:
    cluster.report.say(f"{cluster.name}  {found.region}  account {found.identity.account}  {found.identity.arn}")
    if found.is_address_found:
        cluster.report.say(f"admin_cidrs: auto is {', '.join(found.admin_cidrs)}")


def _urls(cluster: Cluster, balancers: dict[str, LoadBalancer]) -> dict[str, str]:
    domains = own_domains(cluster)
    hosts = {role: domains.get(role, balancer.dns_name) for role, balancer in balancers.items()}
    urls: dict[str, str] = {role: f"https://{hosts[role]}" for role in installed_consoles(cluster) if role in hosts}
    if "apps" in hosts:
        port = cluster.config.apps.ports[0]
        urls["apps"] = f"http://{hosts['apps']}" + ("" if port == 80 else f":{port}")
    return urls


def _records_to_make(cluster: Cluster, balancers: dict[str, LoadBalancer]) -> tuple[str, ...]:
    if cluster.config.dns.hosted_zone_id:
        return ()
    return tuple(
        f"{domain}. CNAME {balancers[role].dns_name}."
        for role, domain in own_domains(cluster).items()
        if role in balancers
    )
