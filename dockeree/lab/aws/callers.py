"""Who signed a call, which policies speak for and against them, and what conditions can ask of the request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from moto.core.utils import utcnow
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from dockeree.lab.aws.wire_errors import Refusal
from dockeree.lab.settings import ACCOUNT_ID


@dataclass(frozen=True)
class Caller:
    """Who a call comes from. `boundary` and `session` are None where there is none."""

    arn: str
    principal_arn: str
    identity: tuple[str, ...]
    boundary: tuple[str, ...] | None
    session: tuple[str, ...] | None
    context: Mapping[str, tuple[str, ...]]


def identify(signed: Any, response: Any) -> Caller:
    """Who signed, and every policy that speaks for and against them. A session that has run out is ExpiredToken."""
    key = signed._access_key
    backend = iam_backends[ACCOUNT_ID]["aws"]
    session = sts_backends[ACCOUNT_ID]["aws"].get_assumed_role_from_access_key(key._access_key_id)
    if session is not None and session.expiration < utcnow():
        raise Refusal(signed._service, "ExpiredToken", "The security token included in the request is expired", 403)
    if session is not None:
        model: Any = backend.get_role_by_arn(session.role_arn)
        principal_arn = model.arn
    else:
        model = backend.get_user(key._owner_user_name)
        principal_arn = key.arn
    boundary = getattr(model, "permissions_boundary_arn", None)
    context = _context(response, signed, principal_arn)
    if session is None:
        context["aws:username"] = (model.name,)
    return Caller(
        arn=key.arn,
        principal_arn=principal_arn,
        identity=tuple(_documents(key.collect_policies())),
        boundary=(_managed_document(backend, boundary),) if boundary else None,
        session=(session.policy,) if session is not None and session.policy else None,
        context=context,
    )


def _documents(policies: Iterable[Any]) -> Iterable[str]:
    for policy in policies:
        if isinstance(policy, str):
            yield policy
        elif isinstance(policy, dict):
            yield policy["policy_document"]
        else:
            yield next(version.document for version in policy.versions if version.is_default)


def _managed_document(backend: Any, arn: str) -> str:
    versions = backend.get_policy(arn).versions
    return str(next(version.document for version in versions if version.is_default))


def _context(response: Any, signed: Any, principal_arn: str) -> dict[str, tuple[str, ...]]:
    """The keys that conditions can ask for. The lab's endpoint stands for AWS's HTTPS one: SecureTransport is true."""
    context: dict[str, tuple[str, ...]] = {
        "lab:service": (signed._service,),
        "aws:principalarn": (principal_arn,),
        "aws:principalaccount": (ACCOUNT_ID,),
        "aws:requestedregion": (signed._region,),
        "aws:securetransport": ("true",),
        "aws:currenttime": (utcnow().strftime("%Y-%m-%dT%H:%M:%SZ"),),
        "aws:useragent": (response.headers.get("User-Agent", ""),),
        "ec2:region": (signed._region,),
    }
    address = response.normalized_request.environ.get("REMOTE_ADDR")
    if address:
        context["aws:sourceip"] = (address,)
    if signed._service == "iam" and response._get_param("AWSServiceName"):
        context["iam:awsservicename"] = (response._get_param("AWSServiceName"),)
    if signed._service == "iam" and response._get_param("PermissionsBoundary"):
        context["iam:permissionsboundary"] = (response._get_param("PermissionsBoundary"),)
    if signed._service == "s3" and response.querystring.get("prefix"):
        context["s3:prefix"] = (response.querystring["prefix"][0],)
    context.update(_requested_tags(response, signed._service))
    return context


def _requested_tags(response: Any, service: str) -> dict[str, tuple[str, ...]]:
    if service == "s3":
        return {}
    given = [tag for tag in response._get_param("Tags", None) or [] if isinstance(tag, dict)]
    for specification in response._get_param("TagSpecifications", None) or []:
        given += specification.get("Tags", [])
    if not given:
        return {}
    keys: dict[str, tuple[str, ...]] = {"aws:tagkeys": tuple(tag["Key"] for tag in given)}
    keys.update({f"aws:requesttag/{tag['Key'].lower()}": (tag.get("Value", ""),) for tag in given})
    return keys
