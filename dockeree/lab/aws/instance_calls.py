"""The calls on instances that are there already: start, stop, reboot, terminate, attributes, status, console."""

from __future__ import annotations

import base64
from typing import Any

from moto.autoscaling.models import autoscaling_backends
from moto.core.responses import ActionResult, EmptyResult
from moto.core.types import Base64EncodedString
from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError, InvalidSecurityGroupNotFoundError
from moto.ec2.models import EC2Backend
from moto.ec2.models.instances import MetadataOptions
from moto.ec2.responses.general import General
from moto.ec2.responses.instances import InstanceResponse
from moto.ec2.utils import filter_dict_attribute_mapping
from moto.elbv2.models import elbv2_backends

from dockeree.lab.aws.core import Lab
from dockeree.lab.aws.launch_plan import check_type
from dockeree.lab.aws.lifecycle import Lifecycle, Transition
from dockeree.lab.aws.user_data import check_user_data

INITIALIZING_SECONDS = 120.0
CONSOLE_LIMIT = 64 * 1024
_STOPPED_ONLY = ("InstanceType", "UserData", "Kernel", "Ramdisk", "EbsOptimized", "SriovNetSupport")


def install(lab: Lab) -> None:
    """Put the calls as EC2 does them in front of moto's."""
    # A filter of EC2's that moto does not know.
    filter_dict_attribute_mapping.setdefault("client-token", "client_token")
    filter_dict_attribute_mapping.setdefault("instance-lifecycle", "lifecycle")
    _install_transitions(lab)
    _install_answers(lab)
    _install_attributes(lab)
    _install_status(lab)


def _install_transitions(lab: Lab) -> None:
    @lab.extend(EC2Backend, "start_instances")
    def start(_original: Any, backend: Any, instance_ids: list[str]) -> list[Transition]:
        return lab.part(Lifecycle).start(backend, instance_ids)

    @lab.extend(EC2Backend, "stop_instances")
    def stop(_original: Any, backend: Any, instance_ids: list[str]) -> list[Transition]:
        return lab.part(Lifecycle).stop(backend, instance_ids)

    @lab.extend(EC2Backend, "reboot_instances")
    def reboot(_original: Any, backend: Any, instance_ids: list[str]) -> list[Any]:
        return lab.part(Lifecycle).reboot(backend, instance_ids)

    @lab.extend(EC2Backend, "terminate_instances")
    def terminate(_original: Any, backend: Any, instance_ids: list[str]) -> list[Transition]:
        return lab.part(Lifecycle).terminate(backend, instance_ids)


def _install_answers(lab: Lab) -> None:
    """moto answers fixed states; an instance that was terminated before is not shutting down again."""

    @lab.extend(InstanceResponse, "terminate_instances")
    def terminate(_original: Any, response: Any) -> ActionResult:
        ids = response._get_param("InstanceIds", [])
        transitions = response.ec2_backend.terminate_instances(ids)
        _notify_terminated(response, ids)
        return _answer("TerminatingInstances", transitions)

    @lab.extend(InstanceResponse, "stop_instances")
    def stop(_original: Any, response: Any) -> ActionResult:
        return _answer("StoppingInstances", response.ec2_backend.stop_instances(response._get_param("InstanceIds", [])))

    @lab.extend(InstanceResponse, "start_instances")
    def start(_original: Any, response: Any) -> ActionResult:
        return _answer(
            "StartingInstances", response.ec2_backend.start_instances(response._get_param("InstanceIds", []))
        )


def _notify_terminated(response: Any, instance_ids: list[str]) -> None:
    for backends in (autoscaling_backends, elbv2_backends):
        backends[response.current_account][response.region].notify_terminate_instances(instance_ids)


def _answer(key: str, transitions: list[Transition]) -> ActionResult:
    return ActionResult(
        {
            key: [
                {
                    "InstanceId": instance.id,
                    "CurrentState": {"Code": instance._state.code, "Name": instance._state.name},
                    "PreviousState": {"Code": before.code, "Name": before.name},
                }
                for instance, before in transitions
            ]
        }
    )


def _install_attributes(lab: Lab) -> None:
    @lab.extend(InstanceResponse, "modify_instance_attribute")
    def modify(original: Any, response: Any) -> Any:
        get = response._get_param
        instance = response.ec2_backend.get_instance(get("InstanceId"))
        for attribute in _STOPPED_ONLY:
            if get(f"{attribute}.Value") is not None and instance.state != "stopped":
                raise EC2ClientError(
                    "IncorrectInstanceState", f"The instance '{instance.id}' is not in the 'stopped' state."
                )
        if get("UserData.Value") is not None:
            # moto has decoded it already, and would take it for base64 again.
            user_data = Base64EncodedString(base64.b64encode(get("UserData.Value")).decode())
            check_user_data(user_data)
            instance.user_data = user_data
            return EmptyResult()
        if get("InstanceType.Value") is not None:
            check_type(response.region, get("InstanceType.Value"), str(instance.placement.zone))
        behavior = get("InstanceInitiatedShutdownBehavior.Value")
        if behavior is not None:
            if behavior not in ("stop", "terminate"):
                raise EC2ClientError("InvalidParameterValue", f"Invalid value '{behavior}' for shutdown behavior.")
            instance.instance_initiated_shutdown_behavior = behavior
            return EmptyResult()
        return original(response)

    @lab.extend(EC2Backend, "modify_instance_security_groups")
    def set_groups(_original: Any, backend: Any, instance_id: str, group_ids: list[str]) -> Any:
        instance = backend.get_instance(instance_id)
        set_interface_groups(backend, instance.nics[0], group_ids)
        lab.changed()
        return instance

    @lab.extend(EC2Backend, "modify_network_interface_attribute")
    def modify_interface(
        original: Any, backend: Any, eni_id: str, group_ids: list[str], *args: Any, **kwargs: Any
    ) -> None:
        if group_ids:
            set_interface_groups(backend, backend.get_network_interface(eni_id), group_ids)
        original(backend, eni_id, [], *args, **kwargs)
        lab.changed()

    @lab.extend(EC2Backend, "modify_instance_metadata_options")
    def modify_metadata(_original: Any, backend: Any, instance_id: str, **asked: Any) -> MetadataOptions:
        return change_metadata_options(backend.get_instance(instance_id).metadata_options, asked)


def set_interface_groups(backend: Any, interface: Any, group_ids: list[str]) -> None:
    """Security groups stand on the interface; DescribeInstances shows those of the primary one as the instance's."""
    groups = [backend.get_security_group_from_id(group_id) for group_id in group_ids]
    for group_id, group in zip(group_ids, groups, strict=True):
        if group is None:
            raise InvalidSecurityGroupNotFoundError(group_id)
        if group.vpc_id != interface.subnet.vpc_id:
            raise EC2ClientError(
                "InvalidGroup.NotFound",
                f"You have specified two resources that belong to different networks: {group_id}",
            )
    interface._group_set = groups
    if interface.instance is not None and interface.device_index == 0:
        interface.instance.security_groups = list(groups)


def change_metadata_options(options: MetadataOptions, asked: dict[str, Any]) -> MetadataOptions:
    """Change what is asked and keep the rest, which moto would set back."""
    changes = {
        "http_tokens": asked.get("http_tokens"),
        "http_put_response_hop_limit": asked.get("hop_limit"),
        "http_endpoint": asked.get("http_endpoint"),
        "http_protocol_ipv6": asked.get("http_protocol"),
        "instance_metadata_tags": asked.get("metadata_tags"),
    }
    for name, value in changes.items():
        if value is not None:
            setattr(options, name, value)
    return options


def _install_status(lab: Lab) -> None:
    @lab.extend(InstanceResponse, "describe_instance_status")
    def describe_status(original: Any, response: Any) -> ActionResult:
        result = original(response)
        return ActionResult(
            {"InstanceStatuses": [_status(lab, instance) for instance in result._result["InstanceStatuses"]]}
        )

    @lab.extend(General, "get_console_output")
    def console(_original: Any, response: Any) -> ActionResult:
        instance = response.ec2_backend.get_instance(response._get_param("InstanceId"))
        text = ""
        if instance.state not in ("pending", "terminated"):
            text = lab.driver.console_output(instance.id).encode()[-CONSOLE_LIMIT:].decode(errors="replace")
        output = Base64EncodedString.from_raw_string(text) if text else None
        return ActionResult({"InstanceId": instance.id, "Timestamp": utcnow(), "Output": output})


def _status(lab: Lab, instance: Any) -> dict[str, Any]:
    summary = _check(lab, instance)
    return {
        "AvailabilityZone": instance.placement.zone,
        "InstanceId": instance.id,
        "InstanceState": {"Code": instance._state.code, "Name": instance._state.name},
        "InstanceStatus": summary,
        "SystemStatus": summary,
    }


def _check(lab: Lab, instance: Any) -> dict[str, Any]:
    if instance.state != "running":
        return {"Status": "not-applicable"}
    if lab.part(Lifecycle).has_failed(instance.id):
        return {"Status": "impaired", "Details": [{"Name": "reachability", "Status": "failed"}]}
    age = (utcnow() - instance.launch_time).total_seconds()
    if age < lab.scaled(INITIALIZING_SECONDS):
        return {"Status": "initializing", "Details": [{"Name": "reachability", "Status": "initializing"}]}
    return {"Status": "ok", "Details": [{"Name": "reachability", "Status": "passed"}]}
