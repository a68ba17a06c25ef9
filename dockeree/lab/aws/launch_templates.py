"""Launch templates: idempotent, versioned, within EC2's limits, and read as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moto.core.responses import ActionResult
from moto.core.types import Base64EncodedString
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.launch_templates import LaunchTemplate
from moto.ec2.responses.launch_templates import LaunchTemplates
from moto.ec2.utils import parse_user_data

from dockeree.lab.aws import launch_plan
from dockeree.lab.aws.client_tokens import ClientTokens, fingerprint
from dockeree.lab.aws.core import Lab


@dataclass(frozen=True)
class TemplateVersion:
    """One version of a launch template, as a launch sees it. `data` has the API's own names."""

    template_id: str
    template_name: str
    number: int
    data: dict[str, Any]

    @property
    def profile(self) -> tuple[str | None, str | None]:
        """Name and ARN of the instance profile; one of them, or neither."""
        named = self.data.get("IamInstanceProfile") or {}
        return named.get("Name"), named.get("Arn")

    def tags(self, kind: str) -> dict[str, str]:
        """The tags that the template's TagSpecifications give to a kind of resource."""
        return {
            tag["Key"]: tag["Value"]
            for specification in self.data.get("TagSpecifications", [])
            if specification.get("ResourceType") == kind
            for tag in specification.get("Tags", [])
        }


def resolve(backend: Any, specification: dict[str, Any]) -> TemplateVersion:
    """The version that LaunchTemplateId or -Name and Version (`$Latest`, `$Default`, a number) name.

    Raises InvalidLaunchTemplateId.NotFound and its like.
    """
    if specification.get("LaunchTemplateId"):
        template = backend.get_launch_template(specification["LaunchTemplateId"])
    else:
        template = backend.get_launch_template_by_name(specification["LaunchTemplateName"])
    version = template.get_version(specification.get("Version") or "$Default")
    return TemplateVersion(template.id, template.name, version.number, version.data)


def _check_data(data: dict[str, Any]) -> None:
    launch_plan.check_user_data(data.get("UserData"))
    if data.get("SecurityGroupIds") and data.get("NetworkInterfaces"):
        raise EC2ClientError(
            "InvalidParameterCombination",
            "Network interfaces and an instance-level security groups may not be specified on the same request",
        )


def _create(lab: Lab, original: Any, response: Any) -> ActionResult:
    token, region, parameters = response._get_param("ClientToken"), response.region, fingerprint(response)
    tokens = lab.part(ClientTokens)
    before: ActionResult | None = tokens.answer("CreateLaunchTemplate", region, token, parameters)
    if before is not None:
        return before
    _check_data(response._get_param("LaunchTemplateData", {}))
    answer: ActionResult = original(response)
    tokens.made("CreateLaunchTemplate", region, token, parameters, answer)
    return answer


def _create_version(original: Any, response: Any) -> ActionResult:
    """moto knows neither SourceVersion nor the form that launches expect user data in."""
    data = dict(response._get_param("LaunchTemplateData", {}))
    source = response._get_param("SourceVersion")
    if source:
        named = {key: response._get_param(key) for key in ("LaunchTemplateId", "LaunchTemplateName")}
        data = {**resolve(response.ec2_backend, {**named, "Version": source}).data, **data}
    if not isinstance(data.get("UserData"), Base64EncodedString | None):
        data["UserData"] = parse_user_data(data["UserData"])
    _check_data(data)
    response.params["LaunchTemplateData"] = data
    return original(response)


def _install_backend(lab: Lab) -> None:
    @lab.extend(EC2Backend, "create_launch_template")
    def create(original: Any, backend: Any, name: str, description: str, data: Any, tag_spec: Any) -> Any:
        # moto puts the template's own tags among those that the template gives to instances.
        specifications = data.get("TagSpecifications", [])
        data["TagSpecifications"] = [s for s in specifications if s.get("ResourceType") != "launch-template"]
        return original(backend, name, description, data, tag_spec)

    @lab.extend(EC2Backend, "describe_launch_templates")
    def describe(
        original: Any, backend: Any, template_names: Any = None, template_ids: Any = None, filters: Any = None
    ) -> Any:
        for template_id in template_ids or []:
            backend.get_launch_template(template_id)
        return original(backend, template_names, template_ids, filters)

    @lab.extend(EC2Backend, "delete_launch_template")
    def delete(original: Any, backend: Any, name: str, tid: str | None) -> Any:
        if name:
            backend.get_launch_template_by_name(name)
        elif tid:
            backend.get_launch_template(tid)
        return original(backend, name, tid)

    @lab.extend(LaunchTemplate, "get_version")
    def get_version(original: Any, template: Any, number: Any) -> Any:
        text = str(number)
        if text.lower() not in ("$latest", "$default") and not (
            text.isdigit() and 1 <= int(text) <= len(template.versions)
        ):
            raise EC2ClientError(
                "InvalidLaunchTemplateId.VersionNotFound",
                f"Could not find launch template version '{number}' for launch template '{template.id}'.",
            )
        return original(template, number)


def install(lab: Lab) -> None:
    """Lay the behaviours of launch templates over moto."""
    _install_backend(lab)

    @lab.extend(LaunchTemplates, "create_launch_template")
    def create_launch_template(original: Any, response: Any) -> ActionResult:
        return _create(lab, original, response)

    @lab.extend(LaunchTemplates, "create_launch_template_version")
    def create_launch_template_version(original: Any, response: Any) -> ActionResult:
        return _create_version(original, response)
