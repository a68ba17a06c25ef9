"""The machine image: Ubuntu's current one by its public parameter, and what EC2 knows of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockeree.aws.parameters import get_parameter
from dockeree.aws.waits import is_not_found
from dockeree.errors import AwsError

if TYPE_CHECKING:
    from dockeree.aws.session import Aws

UBUNTU_PARAMETER = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
"""Canonical's public parameter; what is behind it changes every few weeks, so it is read once a cluster."""


@dataclass(frozen=True)
class Image:
    """A machine image. `root_device` is its own name for it: a volume mapped to another name is a second disk."""

    id: str
    root_device: str
    architecture: str
    root_volume_gib: int


def current_ubuntu(aws: Aws) -> str:
    """The id of Ubuntu 24.04's current AMI in the region."""
    parameter = get_parameter(aws, UBUNTU_PARAMETER)
    if parameter is None:
        raise AwsError(
            f"the region {aws.region} has no {UBUNTU_PARAMETER}",
            "Set `image.ami` in the configuration.",
            code="ParameterNotFound",
        )
    return parameter.value


def describe_image(aws: Aws, image_id: str) -> Image:
    """What EC2 knows of an image. Raises AwsError when there is no such image in the region, or it is not usable."""
    try:
        images = aws.ec2.describe_images(ImageIds=[image_id])["Images"]
    except AwsError as error:
        if is_not_found(error) or error.code.startswith("InvalidAMIID"):
            raise _no_image(aws, image_id, error.code) from error
        raise
    if not images:
        raise _no_image(aws, image_id, "InvalidAMIID.NotFound")
    image = images[0]
    root_device = image["RootDeviceName"]
    sizes = [
        mapping["Ebs"].get("VolumeSize", 0)
        for mapping in image.get("BlockDeviceMappings", ())
        if mapping.get("DeviceName") == root_device and "Ebs" in mapping
    ]
    return Image(image["ImageId"], root_device, image.get("Architecture", ""), sizes[0] if sizes else 0)


def _no_image(aws: Aws, image_id: str, code: str) -> AwsError:
    return AwsError(
        f"there is no machine image {image_id} in {aws.region} that this account may use",
        "An AMI id belongs to one region. Leave `image.ami` out for Ubuntu 24.04's current one.",
        code=code,
        operation="DescribeImages",
    )
