"""The machine image of every node, decided once a cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dockeree.aws import clusters, images, instances
from dockeree.aws.images import Image
from dockeree.errors import AwsError
from dockeree.steps.claim import ClaimCluster
from dockeree.steps.found import owner_of
from dockeree.steps.step import Step

if TYPE_CHECKING:
    from dockeree.context import Cluster

IMAGE_DECISION = "image"
ROOT_DEVICE_DECISION = "root_device"


class ResolveImage(Step):
    """Ubuntu's current image, unless one is configured. It is written into the claim, so that a worker launched in a
    year, by an operator without the state, is made from the same image as the managers of today."""

    title = "Resolve the machine image"
    group = "managers"
    after = (ClaimCluster,)

    def run(self, cluster: Cluster) -> bool:
        claim = clusters.find_claim(cluster.aws, cluster.name)
        image_id = cluster.config.image.ami or (claim.image if claim else "") or _decide(cluster)
        image = images.describe_image(cluster.aws, image_id)
        _check(cluster, image)
        cluster.state.decide(IMAGE_DECISION, image.id)
        cluster.state.decide(ROOT_DEVICE_DECISION, image.root_device)
        if claim is None or claim.image == image.id:
            return False
        clusters.update_claim(cluster.aws, cluster.name, replace(claim, image=image.id))
        return True


def _decide(cluster: Cluster) -> str:
    """The image of the managers that stand already (a claim made anew), else Ubuntu's current one."""
    managers = instances.find_managers(cluster.aws, owner_of(cluster))
    for role in sorted(managers):
        return managers[role].image_id
    return images.current_ubuntu(cluster.aws)


def _check(cluster: Cluster, image: Image) -> None:
    for section, size in (("managers", cluster.config.managers), ("workers", cluster.config.workers)):
        if size.volume_gib < image.root_volume_gib:
            raise AwsError(
                f"{section}.volume_gib is {size.volume_gib}; the image {image.id} needs {image.root_volume_gib} GiB",
                f"Set {section}.volume_gib to {image.root_volume_gib} or more.",
            )
    if image.architecture not in {"x86_64", ""}:
        raise AwsError(
            f"the image {image.id} is for {image.architecture}", "UCP and DTR run on x86_64: choose such an image."
        )
