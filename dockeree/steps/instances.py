"""The three managers, one a zone. Nothing but `destroy` ever terminates one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockeree.aws import instances
from dockeree.aws.instances import Instance, LaunchSpec
from dockeree.aws.networking import Subnet
from dockeree.errors import AwsError
from dockeree.steps.access import CreateKeyPair, CreateRoles
from dockeree.steps.found import owner_of, subnets_of, waits_of
from dockeree.steps.images import ResolveImage
from dockeree.steps.launch_specs import manager_spec
from dockeree.steps.networking import CreateRouteTable
from dockeree.steps.security_groups import CreateSecurityGroups
from dockeree.steps.step import Step

if TYPE_CHECKING:
    from dockeree.context import Cluster

APPEAR_SECONDS = 60.0
"""How long a new instance may be missing from the listings by tag."""


class LaunchManagers(Step):
    """Launch the managers that are not there, start those that are stopped, wait until all run."""

    title = "Launch three managers"
    undo_title = "Terminate the managers"
    group = "managers"
    after = (CreateRouteTable, CreateSecurityGroups, CreateKeyPair, CreateRoles, ResolveImage)

    def run(self, cluster: Cluster) -> bool:
        owner, waits = owner_of(cluster), waits_of(cluster)
        managers = instances.find_managers(cluster.aws, owner)
        ids = {role: instance.id for role, instance in managers.items()}
        launched = _launch_missing(cluster, ids)
        asleep = [item.id for item in managers.values() if item.state in {"stopped", "stopping"}]
        if asleep:
            instances.start(cluster.aws, asleep, waits)
        for role, instance_id in ids.items():
            cluster.state.put(role, instance_id)
        if launched or any(not _is_ready(item) for item in managers.values()):
            instances.wait_for_running(cluster.aws, list(ids.values()), waits)
        return launched or bool(asleep)

    def undo(self, cluster: Cluster) -> bool:
        found = [
            item
            for item in instances.find_instances(cluster.aws, owner_of(cluster))
            if item.role in instances.MANAGER_ROLES
        ]
        waits = waits_of(cluster)
        instances.terminate(cluster.aws, found, waits)
        instances.wait_for_terminated(cluster.aws, [item.id for item in found], waits)
        return bool(found)


def _is_ready(instance: Instance) -> bool:
    return instance.state == "running" and instance.public_ip is not None


def _launch_missing(cluster: Cluster, ids: dict[str, str]) -> bool:
    """Launch what is missing of the managers, and write its id into `ids` and the state."""
    missing = [role for role in instances.MANAGER_ROLES if role not in ids]
    if not missing:
        return False
    spec = manager_spec(cluster)
    subnets = {f"manager-{subnet.letter}": subnet for subnet in subnets_of(cluster)}
    for role in missing:
        cluster.check_interrupted()
        cluster.detail(f"{role} in {subnets[role].zone}")
        ids[role] = _launch(cluster, spec, role, subnets[role])
        cluster.state.put(role, ids[role])
    return True


def _launch(cluster: Cluster, spec: LaunchSpec, role: str, subnet: Subnet) -> str:
    """One launch, by the token that is in the state before the call: killed and repeated, it is still one instance."""

    def launch(token: str) -> str:
        return instances.launch(
            cluster.aws,
            owner_of(cluster),
            spec,
            role=role,
            subnet_id=subnet.id,
            zone=subnet.zone,
            token=token,
            waits=waits_of(cluster),
        )

    try:
        return launch(cluster.state.token_for(role))
    except AwsError as error:
        if error.code == "IdempotentInstanceTerminated":
            return launch(cluster.state.new_token(role))
        if error.code == "IdempotentParameterMismatch":
            return _already_launched(cluster, role) or launch(cluster.state.new_token(role))
        raise


def _already_launched(cluster: Cluster, role: str) -> str | None:
    """The instance of an earlier run whose configuration was another: it appears in the listings within a moment.

    None when it does not appear: it has been terminated, or that run was refused.
    """
    deadline = cluster.clock.now() + APPEAR_SECONDS
    while cluster.clock.now() < deadline:
        cluster.check_interrupted()
        managers = instances.find_managers(cluster.aws, owner_of(cluster))
        if role in managers:
            return managers[role].id
        cluster.clock.sleep(2.0)
    return None
