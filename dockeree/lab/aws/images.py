"""The machine images of the lab: Canonical's Ubuntu, in every region, found by Canonical's public SSM parameters.

The images behind the parameters are `baked` nodes (the engine is inside already); `ubuntu-24.04-bare` is what Canonical
really ships, without an engine.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.amis import Ami
from moto.ssm.models import Parameter, ParameterDict, SimpleSystemManagerBackend, ssm_backends

from dockeree.lab.aws.core import Lab
from dockeree.lab.settings import ACCOUNT_ID
from dockeree.lab.world import LabError

CANONICAL = "099720109477"
ROOT_DEVICE = "/dev/sda1"
ROOT_GIB = 8
_PARAMETERS = "/aws/service/canonical/ubuntu/server"

Variant = Literal["baked", "bare"]


@dataclass(frozen=True)
class ImageKind:
    """An image that every region has, under an id of its own. `parameter` is empty where no public one points to it."""

    name: str
    description: str
    variant: Variant
    volume_type: str
    parameter: str = ""
    created: datetime = datetime(2026, 11, 3, 6, 12, 41)

    def id_in(self, region: str) -> str:
        """The same in each lab, another in each region."""
        return "ami-0" + hashlib.sha256(f"{region}/{self.name}".encode()).hexdigest()[:16]


IMAGES = (
    ImageKind(
        name="ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20261103",
        description="Canonical, Ubuntu, 24.04, amd64 noble image",
        variant="baked",
        volume_type="gp3",
        parameter=f"{_PARAMETERS}/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
    ),
    ImageKind(
        name="ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20261103",
        description="Canonical, Ubuntu, 22.04 LTS, amd64 jammy image",
        variant="baked",
        volume_type="gp2",
        parameter=f"{_PARAMETERS}/22.04/stable/current/amd64/hvm/ebs-gp2/ami-id",
    ),
    ImageKind(
        name="ubuntu-24.04-bare",
        description="Canonical, Ubuntu, 24.04, amd64 noble image, without a container engine",
        variant="bare",
        volume_type="gp3",
    ),
)


class UbuntuImage(Ami):
    """An image whose root volume is 8 GiB and goes with the instance, as Canonical's are."""

    def __init__(self, backend: EC2Backend, kind: ImageKind) -> None:
        super().__init__(
            backend,
            kind.id_in(backend.region_name),
            name=kind.name,
            description=kind.description,
            owner_id=CANONICAL,
            owner_alias="amazon",
            public=True,
            virtualization_type="hvm",
            architecture="x86_64",
            creation_date=kind.created,
            image_location=f"{CANONICAL}/{kind.name}",
            hypervisor="xen",
            root_device_type="ebs",
            root_device_name=ROOT_DEVICE,
            region_name=f"{backend.region_name}a",
            boot_mode="uefi-preferred",
        )
        self.kind = kind

    @property
    def block_device_mappings(self) -> list[dict[str, Any]]:
        """The root volume alone."""
        ebs = {
            "SnapshotId": self.ebs_snapshot.id,
            "VolumeSize": ROOT_GIB,
            "DeleteOnTermination": True,
            "VolumeType": self.kind.volume_type,
            "Encrypted": False,
        }
        return [{"DeviceName": self.root_device_name, "Ebs": ebs}]


def install(lab: Lab) -> None:
    """Put the images into each region, and the public parameters beside them."""

    @lab.extend(EC2Backend, "_load_amis")
    def load_amis(original: Any, backend: Any) -> None:
        original(backend)
        for kind in IMAGES:
            image = UbuntuImage(backend, kind)
            backend.amis[image.id] = image

    @lab.extend(ParameterDict, "_check_loading_status")
    def load_parameters(original: Any, parameters: Any, key: Any) -> None:
        original(parameters, key)
        if not str(key or "").startswith("/aws/service/canonical"):
            return
        for kind in IMAGES:
            if kind.parameter and kind.parameter not in parameters.keys():  # noqa: SIM118 - `in` would come back here
                _add_parameter(parameters, kind.parameter, kind.id_in(parameters.region_name))

    @lab.extend(SimpleSystemManagerBackend, "describe_parameters")
    def describe_parameters(original: Any, backend: Any, *args: Any, **kwargs: Any) -> Any:
        # The public parameters are AWS's: an account's listing does not show them.
        return [found for found in original(backend, *args, **kwargs) if not found.name.startswith("/aws/service/")]


def _add_parameter(parameters: Any, name: str, image_id: str) -> None:
    versions = defaultdict.__getitem__(parameters, name)
    parameter = Parameter(
        account_id=parameters.account_id,
        name=name,
        value=image_id,
        parameter_type="String",
        description=None,
        allowed_pattern=None,
        keyid=None,
        last_modified_date=utcnow(),
        version=len(versions) + 1,
        data_type="aws:ec2:image",
    )
    versions.append(parameter)


def image_variant(image_id: str) -> Variant:
    """Which of the lab's node images stands behind an image id of any region. Raises LabError for an unknown one."""
    for backend in ec2_backends[ACCOUNT_ID].values():
        image = backend.amis.get(image_id)
        if isinstance(image, UbuntuImage):
            return image.kind.variant
        if image is not None and image.instance_id:
            return image_variant(image.instance.image_id)
    raise LabError(f"the lab has no node image for {image_id}")


def publish_images() -> list[str]:
    """Publish newer images in each region in use, as Canonical does every few weeks, and point the parameters at them.

    The older ones stay. Returns the new ids.
    """
    published = []
    for region, backend in ec2_backends[ACCOUNT_ID].items():
        parameters = ssm_backends[ACCOUNT_ID][region]._parameters
        for kind in IMAGES:
            if not kind.parameter:
                continue
            now = utcnow()
            newer = replace(kind, name=f"{kind.name}.{now:%Y%m%d%H%M%S%f}", created=now)
            image = UbuntuImage(backend, newer)
            backend.amis[image.id] = image
            parameters._check_loading_status(kind.parameter)
            _add_parameter(parameters, kind.parameter, image.id)
            published.append(image.id)
    return published


def find_image(backend: Any, image_id: str | None) -> Any:
    """The image that a launch names: an id, or `resolve:ssm:PARAMETER`. Raises what RunInstances answers."""
    if not image_id:
        raise EC2ClientError("MissingParameter", "The request must contain the parameter ImageId")
    if image_id.startswith("resolve:ssm:"):
        image_id = _resolve(backend, image_id.removeprefix("resolve:ssm:"))
    image = backend.describe_images(ami_ids=[image_id])
    if not image:
        raise EC2ClientError("InvalidAMIID.Unavailable", f"The image id '[{image_id}]' is no longer available")
    return image[0]


def _resolve(backend: Any, name: str) -> str:
    parameter = ssm_backends[ACCOUNT_ID][backend.region_name].get_parameter(name)
    if parameter is None:
        raise EC2ClientError("InvalidParameterValue", f"The parameter {name} was not found by Systems Manager.")
    return str(parameter.value)
