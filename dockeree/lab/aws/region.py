"""What the network and the nodes may ask the API's side: an instance's metadata and its role's credentials."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from moto.autoscaling.models import autoscaling_backends
from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends
from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from dockeree.lab.aws.core import Lab
from dockeree.lab.aws.node_specs import authorized_key
from dockeree.lab.aws.snapshot import WITH_NODE
from dockeree.lab.aws.user_data import decode_user_data
from dockeree.lab.settings import ACCOUNT_ID
from dockeree.lab.world import Credentials, Metadata

SESSION_SECONDS = 6 * 3600
RENEW_BEFORE = timedelta(minutes=30)


class LabRegion:
    """The API's side of one lab, asked in this process; implements `dockeree.lab.world.Region`."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._sessions: dict[tuple[str, str], Any] = {}

    def metadata_by_address(self, vpc_id: str, private_ip: str) -> Metadata | None:
        """The metadata of the instance at an address of a VPC, None where there is no such instance."""
        with self._lab.lock:
            for backend in list(ec2_backends[ACCOUNT_ID].values()):
                if vpc_id not in backend.vpcs:
                    continue
                for interface in backend.enis.values():
                    instance = interface.instance
                    if (
                        interface.private_ip_address == private_ip
                        and interface.subnet.vpc_id == vpc_id
                        and instance is not None
                        and instance.state in WITH_NODE
                    ):
                        return _metadata(backend, instance, interface)
        return None

    def role_credentials(self, instance_id: str) -> Credentials | None:
        """Credentials of the instance's role that are good for half an hour at least, None without a role.

        They are STS's, so IAM checks what is signed with them against the role's policies.
        """
        with self._lab.lock:
            for backend in list(ec2_backends[ACCOUNT_ID].values()):
                instance = backend.get_instance_by_id(instance_id)
                if instance is not None:
                    role = _role(_profile(instance))
                    return self._session(instance_id, role.arn) if role is not None else None
        return None

    def _session(self, instance_id: str, role_arn: str) -> Credentials:
        session = self._sessions.get((instance_id, role_arn))
        if session is None or session.expiration < utcnow() + RENEW_BEFORE:
            session = sts_backends[ACCOUNT_ID]["aws"].assume_role(
                region_name="us-east-1",
                role_session_name=instance_id,
                role_arn=role_arn,
                policy="",
                duration=SESSION_SECONDS,
                external_id="",
            )
            self._sessions[instance_id, role_arn] = session
        return Credentials(
            access_key_id=session.access_key_id,
            secret_access_key=session.secret_access_key,
            session_token=session.session_token,
            expiration=session.expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
        )


def _profile(instance: Any) -> Any:
    association = instance.ec2_backend.iam_instance_profile_associations.get(instance.id)
    if association is None:
        return None
    try:
        return iam_backends[ACCOUNT_ID]["aws"].get_instance_profile_by_arn(association.iam_instance_profile.arn)
    except NotFoundException:
        return None


def _role(profile: Any) -> Any:
    return profile.roles[0] if profile is not None and profile.roles else None


def _metadata(backend: Any, instance: Any, interface: Any) -> Metadata:
    profile, options = _profile(instance), instance.metadata_options
    role = _role(profile)
    tags_shown = options.instance_metadata_tags == "enabled"
    return Metadata(
        instance_id=instance.id,
        image_id=instance.image_id,
        instance_type=instance.instance_type,
        region=backend.region_name,
        zone=str(instance.placement.zone),
        account_id=ACCOUNT_ID,
        private_ip=interface.private_ip_address,
        public_ip=interface.public_ip,
        hostname=str(instance.private_dns_name),
        mac=interface.mac_address,
        subnet_cidr=interface.subnet.cidr_block,
        vpc_cidr=backend.vpcs[interface.subnet.vpc_id].cidr_block,
        vpc_id=interface.subnet.vpc_id,
        subnet_id=interface.subnet.id,
        security_groups=tuple(sorted(group.name for group in interface.group_set)),
        authorized_key=authorized_key(instance),
        key_name=instance.key_name,
        user_data=decode_user_data(instance.user_data),
        tokens_required=options.http_tokens == "required",
        hop_limit=int(options.http_put_response_hop_limit),
        enabled=options.http_endpoint == "enabled",
        instance_tags=dict(backend.tags.get(instance.id, {})) if tags_shown else {},
        profile_arn=profile.arn if profile is not None else None,
        role_name=role.name if role is not None else None,
        lifecycle_state=_target_lifecycle_state(backend.region_name, instance.id),
    )


def _target_lifecycle_state(region: str, instance_id: str) -> str | None:
    """Where Auto Scaling is taking a member: `Terminated` as soon as it is on its way out, else `InService`."""
    for group in autoscaling_backends[ACCOUNT_ID][region].autoscaling_groups.values():
        for member in group.instance_states:
            if member.instance.id == instance_id:
                state = member.lifecycle_state
                if state.startswith("Terminat"):
                    return "Terminated"
                return "Detached" if state.startswith("Detach") else "Standby" if state == "Standby" else "InService"
    return None
