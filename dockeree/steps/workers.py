"""The workers: a launch template, and an Auto Scaling group over the three subnets. They join by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockeree.aws import auto_scaling, instances, launch_templates, target_groups
from dockeree.steps.access import CreateKeyPair, CreateRoles
from dockeree.steps.balancing import listeners
from dockeree.steps.found import owner_of, subnets_of, waits_of
from dockeree.steps.images import ResolveImage
from dockeree.steps.launch_specs import worker_spec
from dockeree.steps.load_balancers import CreateListeners, CreateTargetGroups
from dockeree.steps.networking import CreateRouteTable
from dockeree.steps.security_groups import CreateSecurityGroups
from dockeree.steps.step import Step

if TYPE_CHECKING:
    from dockeree.context import Cluster


class CreateLaunchTemplate(Step):
    """What new workers are made from. A changed configuration makes a new version; workers that stand stay."""

    title = "Create the workers' launch template"
    undo_title = "Delete the launch template"
    group = "workers"
    after = (CreateSecurityGroups, CreateKeyPair, CreateRoles, ResolveImage)

    def run(self, cluster: Cluster) -> bool:
        template, changed = launch_templates.ensure_launch_template(
            cluster.aws,
            owner_of(cluster),
            worker_spec(cluster),
            token=cluster.state.token_for("launch-template"),
            waits=waits_of(cluster),
        )
        if changed and template.default_version > 1:
            cluster.report.say(f"New workers are made from version {template.default_version} of the launch template.")
        cluster.state.put("launch-template", template.id)
        if changed:
            cluster.state.new_token("launch-template")  # made again after a deletion by hand, it is another intent
        return changed

    def undo(self, cluster: Cluster) -> bool:
        return launch_templates.delete_launch_template(cluster.aws, owner_of(cluster))


class CreateWorkerGroup(Step):
    """The group. Its size is the configuration's at creation; later it is `scale-workers`' and the load's."""

    title = "Create the group of workers"
    undo_title = "Terminate the workers"
    group = "workers"
    after = (CreateLaunchTemplate, CreateRouteTable, CreateTargetGroups)

    def run(self, cluster: Cluster) -> bool:
        owner, config = owner_of(cluster), cluster.config
        groups = target_groups.find_target_groups(cluster.aws, owner)
        wanted = [groups[item.target_group.label].arn for item in listeners(config) if item.role == "apps"]
        group, changed = auto_scaling.find_group(cluster.aws, owner), False
        if group is None or group.is_being_deleted:
            changed = auto_scaling.create_group(
                cluster.aws,
                owner,
                subnet_ids=[subnet.id for subnet in subnets_of(cluster)],
                minimum=config.workers.min,
                maximum=config.workers.max,
                desired=config.workers.count,
                target_group_arns=wanted,
                waits=waits_of(cluster),
            )
            group = auto_scaling.wait_for_group(cluster.aws, owner, waits_of(cluster))
        settled = auto_scaling.ensure_settings(
            cluster.aws,
            group,
            minimum=config.workers.min,
            maximum=config.workers.max,
            target_group_arns=wanted,
            ours=[item.arn for item in groups.values()],
            waits=waits_of(cluster),
        )
        cluster.state.put("worker-group", group.name)
        return changed or settled

    def undo(self, cluster: Cluster) -> bool:
        owner, waits = owner_of(cluster), waits_of(cluster)
        deleted = auto_scaling.delete_group(cluster.aws, owner, waits)
        left = instances.find_instances(cluster.aws, owner, instances.WORKER_ROLE)
        instances.terminate(cluster.aws, left, waits)
        instances.wait_for_terminated(cluster.aws, [item.id for item in left], waits)
        return deleted or bool(left)


class RetireTargetGroups(Step):
    """Delete the target groups of application ports that the configuration no longer names."""

    title = "Retire application ports no longer configured"
    group = "balancers"
    after = (CreateListeners, CreateWorkerGroup)

    def run(self, cluster: Cluster) -> bool:
        wanted = {item.target_group.label for item in listeners(cluster.config)}
        found = target_groups.find_target_groups(cluster.aws, owner_of(cluster))
        surplus = [group for label, group in found.items() if label not in wanted]
        for group in surplus:
            target_groups.delete_target_group(cluster.aws, group, waits_of(cluster))
        return bool(surplus)
