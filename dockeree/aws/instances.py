"""EC2 instances: the managers, launched one by one, and the workers that the group launches."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from dockeree.aws.tags import ROLE_TAG, Owner, as_dict, filters
from dockeree.aws.waits import Waits, is_not_found
from dockeree.errors import AwsError

if TYPE_CHECKING:
    from dockeree.aws.session import Aws

MANAGER_ROLES = ("manager-a", "manager-b", "manager-c")
WORKER_ROLE = "worker"
ALIVE = ("pending", "running", "stopping", "stopped", "shutting-down")
"""Every state but `terminated`: a terminated instance stays listed, with its tags, for about an hour."""
PROFILE_SECONDS = 120.0
"""How long a new instance profile may be unknown to EC2."""


@dataclass(frozen=True)
class Instance:
    """An instance that is not terminated. Addresses are None where it has none (a stopped one has no public one)."""

    id: str
    role: str
    state: str
    zone: str
    private_ip: str | None
    public_ip: str | None
    subnet_id: str | None
    image_id: str
    instance_type: str
    launched_at: str
    tags: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def name(self) -> str:
        """What people call it: `manager-a`, or `worker-` and the end of its id."""
        return self.role if self.role in MANAGER_ROLES else f"{self.role}-{self.id[-5:]}"


@dataclass(frozen=True)
class InstanceType:
    """An instance type's size; `architectures` as AWS calls them (x86_64, arm64)."""

    name: str
    vcpus: int
    memory_mib: int
    architectures: tuple[str, ...]


@dataclass(frozen=True)
class LaunchSpec:
    """What RunInstances needs to know of one node, and a launch template of all."""

    image_id: str
    root_device: str
    instance_type: str
    volume_gib: int
    key_name: str
    group_ids: tuple[str, ...]
    profile_name: str
    user_data: bytes
    """As given to the node, not base64."""
    hop_limit: int


def find_instances(aws: Aws, owner: Owner, role: str | None = None) -> list[Instance]:
    """The cluster's instances in any state but `terminated`, by role and age."""
    return _find(aws, owner.filters(role, instance_state_name=ALIVE))


def find_managers(aws: Aws, owner: Owner) -> dict[str, Instance]:
    """The managers by role (`manager-a`, …). Raises AwsError when there are two of one."""
    managers: dict[str, Instance] = {}
    for instance in find_instances(aws, owner):
        if instance.role in managers and instance.role in MANAGER_ROLES:
            both = f"{managers[instance.role].id}, {instance.id}"
            raise AwsError(
                f"there are two instances {instance.role} of {owner.cluster}: {both}",
                "Terminate the one that is not in the swarm.",
                code="Duplicate",
            )
        if instance.role in MANAGER_ROLES and instance.state != "shutting-down":
            managers[instance.role] = instance
    return managers


def find_workers(aws: Aws, owner: Owner) -> list[Instance]:
    """The workers that are not on their way out."""
    return [item for item in find_instances(aws, owner, WORKER_ROLE) if item.state != "shutting-down"]


def launch(
    aws: Aws, owner: Owner, spec: LaunchSpec, *, role: str, subnet_id: str, zone: str, token: str, waits: Waits
) -> str:
    """Launch one manager: its instance id. The same `token` answers with the same instance.

    Raises AwsError: InsufficientInstanceCapacity names the zone and the type, IdempotentInstanceTerminated asks for a
    new token, VcpuLimitExceeded for more quota.
    """

    def run() -> str:
        answer = aws.ec2.run_instances(
            **launch_parameters(spec),
            MinCount=1,
            MaxCount=1,
            SubnetId=subnet_id,
            SecurityGroupIds=list(spec.group_ids),
            IamInstanceProfile={"Name": spec.profile_name},
            DisableApiTermination=True,
            ClientToken=token,
            UserData=spec.user_data,  # type: ignore[arg-type]  # botocore takes bytes, and makes them base64
            TagSpecifications=owner.tag_specifications(role, "instance", "volume", "network-interface"),
        )
        return answer["Instances"][0]["InstanceId"]

    try:
        return waits.retry(run, is_profile_not_ready, awaited=spec.profile_name, timeout_seconds=PROFILE_SECONDS)
    except AwsError as error:
        if error.code == "InsufficientInstanceCapacity":
            raise no_capacity(spec.instance_type, zone, error) from error
        raise


def launch_parameters(spec: LaunchSpec) -> dict[str, Any]:
    """What RunInstances and a launch template's data have in common."""
    return {
        "ImageId": spec.image_id,
        "InstanceType": spec.instance_type,
        "KeyName": spec.key_name,
        "BlockDeviceMappings": [
            {
                "DeviceName": spec.root_device,
                "Ebs": {
                    "VolumeSize": spec.volume_gib,
                    "VolumeType": "gp3",
                    "Encrypted": True,
                    "DeleteOnTermination": True,
                },
            }
        ],
        "MetadataOptions": {
            "HttpEndpoint": "enabled",
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": spec.hop_limit,
        },
    }


def is_profile_not_ready(error: AwsError) -> bool:
    """Whether EC2 does not know a new instance profile yet (or a new id of what is named beside it)."""
    return (error.code == "InvalidParameterValue" and "Instance Profile" in error.message) or is_not_found(error)


def no_capacity(instance_type: str, zone: str, error: AwsError) -> AwsError:
    """AWS has no machine of the type left in the zone at this moment."""
    return AwsError(
        f"AWS has no {instance_type} left in {zone} at this moment ({error.code})",
        "Run `dockeree up` again later, or choose another `instance_type`, or other `availability_zones` before the "
        "first subnet stands.",
        code=error.code,
        operation=error.operation,
    )


def wait_for_running(aws: Aws, instance_ids: Sequence[str], waits: Waits, timeout_seconds: float = 600.0) -> None:
    """Wait until all are `running` with an address. An instance that ends instead is an error with AWS's reason."""

    def probe() -> tuple[bool | None, str]:
        found = _describe(aws, instance_ids)
        for instance in found.values():
            if instance["State"]["Name"] in {"shutting-down", "terminated"}:
                raise _ended(instance)
        waiting = [
            f"{instance_id} is {found[instance_id]['State']['Name'] if instance_id in found else 'not known yet'}"
            for instance_id in instance_ids
            if instance_id not in found
            or found[instance_id]["State"]["Name"] != "running"
            or not found[instance_id].get("PublicIpAddress")
        ]
        if waiting:
            waits.detail(", ".join(waiting))
        return (None if waiting else True), ", ".join(waiting)

    waits.until(probe, awaited="instances running", timeout_seconds=timeout_seconds)


def start(aws: Aws, instance_ids: Sequence[str], waits: Waits) -> None:
    """Start stopped instances; one that is still stopping is waited for."""
    waits.retry(
        lambda: aws.ec2.start_instances(InstanceIds=list(instance_ids)),
        lambda error: error.code == "IncorrectInstanceState",
        awaited=f"starting {', '.join(instance_ids)}",
        timeout_seconds=300.0,
    )


def terminate(aws: Aws, instances: Collection[Instance], waits: Waits) -> None:
    """Lift the protection against termination and terminate; instances that are gone are fine.

    For a moment after the protection was lifted EC2 may still refuse with OperationNotPermitted.
    """
    for instance in instances:
        try:
            if instance.role in MANAGER_ROLES:
                aws.ec2.modify_instance_attribute(InstanceId=instance.id, DisableApiTermination={"Value": False})
            waits.retry(
                partial(aws.ec2.terminate_instances, InstanceIds=[instance.id]),
                lambda error: error.code == "OperationNotPermitted",
                awaited=f"terminating {instance.id}",
            )
        except AwsError as error:
            if not is_not_found(error) and error.code != "IncorrectInstanceState":
                raise


def wait_for_terminated(aws: Aws, instance_ids: Sequence[str], waits: Waits, timeout_seconds: float = 900.0) -> None:
    """Wait until none of them holds subnet, address or security group any more."""

    def probe() -> tuple[bool | None, str]:
        found = _describe(aws, instance_ids)
        waiting = [
            f"{instance_id} is {instance['State']['Name']}"
            for instance_id, instance in found.items()
            if instance["State"]["Name"] != "terminated"
        ]
        if waiting:
            waits.detail(f"{len(waiting)} of {len(instance_ids)} still end")
        return (None if waiting else True), ", ".join(waiting)

    if instance_ids:
        waits.until(probe, awaited="instances terminated", timeout_seconds=timeout_seconds)


def describe_types(aws: Aws, instance_types: Collection[str]) -> dict[str, InstanceType]:
    """What each type is. Raises AwsError (InvalidInstanceType) for one that AWS does not have in the region."""
    pages = aws.ec2.get_paginator("describe_instance_types").paginate(
        InstanceTypes=sorted(set(instance_types))  # type: ignore[arg-type]
    )
    found = [
        InstanceType(
            name=str(answer["InstanceType"]),
            vcpus=answer["VCpuInfo"]["DefaultVCpus"],
            memory_mib=answer["MemoryInfo"]["SizeInMiB"],
            architectures=tuple(map(str, answer["ProcessorInfo"]["SupportedArchitectures"])),
        )
        for page in pages
        for answer in page["InstanceTypes"]
    ]
    return {instance_type.name: instance_type for instance_type in found}


def _find(aws: Aws, wanted: list[Any]) -> list[Instance]:
    pages = aws.ec2.get_paginator("describe_instances").paginate(Filters=wanted)
    found = [
        _instance(answer)
        for page in pages
        for reservation in page["Reservations"]
        for answer in reservation["Instances"]
    ]
    return sorted(found, key=lambda item: (item.role, item.launched_at, item.id))


def _describe(aws: Aws, instance_ids: Sequence[str]) -> dict[str, Any]:
    """What EC2 says of each id; an id that it does not know (yet, or any more) is left out."""
    wanted = filters({"instance-id": instance_ids})
    pages = aws.ec2.get_paginator("describe_instances").paginate(Filters=wanted)
    return {
        answer["InstanceId"]: answer
        for page in pages
        for reservation in page["Reservations"]
        for answer in reservation["Instances"]
    }


def _instance(answer: Any) -> Instance:
    tags = as_dict(answer.get("Tags"))
    return Instance(
        id=answer["InstanceId"],
        role=tags.get(ROLE_TAG, ""),
        state=answer["State"]["Name"],
        zone=answer["Placement"]["AvailabilityZone"],
        private_ip=answer.get("PrivateIpAddress") or None,
        public_ip=answer.get("PublicIpAddress") or None,
        subnet_id=answer.get("SubnetId") or None,
        image_id=answer["ImageId"],
        instance_type=answer["InstanceType"],
        launched_at=str(answer["LaunchTime"]),
        tags=tags,
    )


def _ended(instance: Any) -> AwsError:
    reason = (
        instance.get("StateReason", {}).get("Message") or instance.get("StateTransitionReason") or "no reason given"
    )
    return AwsError(
        f"the instance {instance['InstanceId']} went from pending to {instance['State']['Name']}: {reason}",
        "Run `dockeree up` again: it launches another one.",
        code=str(instance.get("StateReason", {}).get("Code", "")),
    )
