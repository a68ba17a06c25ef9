"""IAM in front of every call: who signed it, and whether the policies let this principal do this to this resource.

moto checks the action alone, always on `*`. This stands in its place: signature as moto checks it, then resources,
conditions, permissions boundary and session policy (policies.py). Behaviours ask `require` for what AWS checks besides
the call itself (iam:PassRole, kms:Decrypt, iam:CreateServiceLinkedRole).

An access key that nobody in the account has is refused: `InvalidClientTokenId`, EC2's `AuthFailure`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlparse

from moto import settings
from moto.core.authorization import ActionAuthenticatorMixin
from moto.iam.access_control import IAMRequest, S3IAMRequest
from moto.iam.models import iam_backends
from moto.s3.exceptions import (
    S3AccessDeniedError,
    S3InvalidAccessKeyIdError,
    S3InvalidTokenError,
    S3SignatureDoesNotMatchError,
)

from dockeree.lab.aws.callers import Caller, identify
from dockeree.lab.aws.core import Lab
from dockeree.lab.aws.iam_resources import Asked, resources_of
from dockeree.lab.aws.policies import Ask, Decision, authorize, evaluate
from dockeree.lab.aws.wire_errors import JSON_SERVICES, Refusal
from dockeree.lab.settings import ACCOUNT_ID

ACTION_PREFIXES = {"tagging": "tag", "monitoring": "cloudwatch"}
"""Where an action's prefix in policies is another than the signing name."""

S3_ACTIONS = {
    "encryption": "EncryptionConfiguration",
    "publicAccessBlock": "BucketPublicAccessBlock",
    "ownershipControls": "BucketOwnershipControls",
    "object-lock": "BucketObjectLockConfiguration",
}
"""S3's sub-resources whose actions moto's own table lacks."""


ResourcePolicy = Callable[[Caller, str, str], Decision]
"""What the policy of a resource says: of whom, of which action (with its prefix), of the resource of which ARN."""


class Authorization:
    """Remembers, for each thread that serves a call, who called."""

    def __init__(self, _lab: Lab) -> None:
        self._local = threading.local()
        self.resource_policies: dict[str, ResourcePolicy] = {}
        """By the service whose resources have policies of their own."""

    @property
    def caller(self) -> Caller | None:
        """The caller whose call this thread serves; None for the lab's own threads, which may do everything."""
        return getattr(self._local, "caller", None)

    @caller.setter
    def caller(self, caller: Caller | None) -> None:
        self._local.caller = caller


def is_allowed(lab: Lab, action: str, resource: str, context: Mapping[str, str] | None = None) -> bool:
    """Whether the caller of the present call may do `action` (with its prefix) on the resource of this ARN."""
    caller = lab.part(Authorization).caller
    if caller is None:
        return True
    return _decide(lab, caller, action, Asked(resource), context or {}) is Decision.ALLOWED


def add_resource_policy(lab: Lab, service: str, policy: ResourcePolicy) -> None:
    """Have the policies of a service's resources asked beside those of the callers."""
    lab.part(Authorization).resource_policies[service] = policy


def require(lab: Lab, action: str, resource: str, context: Mapping[str, str] | None = None) -> None:
    """Refuse the present call unless its caller may do `action` on the resource of this ARN.

    Raises Refusal, with the code that AWS has for the service of the call.
    """
    caller = lab.part(Authorization).caller
    if caller is None or is_allowed(lab, action, resource, context):
        return
    service = caller.context["lab:service"][0]
    message = _denied_message(caller, action, resource, Decision.NOT_ALLOWED)
    raise Refusal(service, _denied_code(service), message, 403)


def _decide(lab: Lab, caller: Caller, action: str, asked: Asked, more: Mapping[str, str]) -> Decision:
    context = dict(caller.context)
    context.update({key.lower(): (value,) for key, value in more.items()})
    service = action.partition(":")[0]
    for key, value in asked.tags.items():
        context[f"aws:resourcetag/{key.lower()}"] = (value,)
        context[f"{service}:resourcetag/{key.lower()}"] = (value,)
    decision = authorize(caller.identity, caller.boundary, caller.session, Ask(action, asked.arn, context))
    policy = lab.part(Authorization).resource_policies.get(service)
    if policy is None:
        return decision
    return _together(caller, decision, policy(caller, action, asked.arn))


def _together(caller: Caller, identity: Decision, resource: Decision) -> Decision:
    """Within an account either side may allow, either may deny; a boundary or a session's policy limits both."""
    if Decision.DENIED in (identity, resource):
        return Decision.DENIED
    is_limited = caller.boundary is not None or caller.session is not None
    return resource if resource is Decision.ALLOWED and not is_limited else identity


def _denied_code(service: str) -> str:
    if service == "ec2":
        return "UnauthorizedOperation"
    return "AccessDeniedException" if service in JSON_SERVICES else "AccessDenied"


def _denied_message(caller: Caller, action: str, resource: str, decision: Decision) -> str:
    because = (
        "with an explicit deny in an identity-based policy"
        if decision is Decision.DENIED
        else f"because no identity-based policy allows the {action} action"
    )
    return f"User: {caller.arn} is not authorized to perform: {action} on resource: {resource} {because}"


class _SignedRequest(IAMRequest):
    """moto's check of a signature, with AWS's answers in the protocol of the service."""

    def _raise_signature_does_not_match(self) -> None:
        code = "AuthFailure" if self._service == "ec2" else _unsigned_code(self._service, "SignatureDoesNotMatch")
        raise Refusal(
            self._service, code, "The request signature we calculated does not match the signature you provided.", 403
        )

    def _raise_invalid_access_key(self, _reason: str) -> None:
        code = "AuthFailure" if self._service == "ec2" else _unsigned_code(self._service, "InvalidClientTokenId")
        raise Refusal(self._service, code, "The security token included in the request is invalid.", 403)


class _SignedS3Request(S3IAMRequest):
    """The same for S3, whose handlers turn its own exceptions into answers."""

    def _raise_signature_does_not_match(self) -> None:
        raise S3SignatureDoesNotMatchError()

    def _raise_invalid_access_key(self, reason: str) -> None:
        raise S3InvalidTokenError() if reason == "InvalidToken" else S3InvalidAccessKeyIdError()

    def _raise_access_denied(self) -> None:
        raise S3AccessDeniedError()


def _unsigned_code(service: str, code: str) -> str:
    if service not in JSON_SERVICES:
        return code
    return {
        "InvalidClientTokenId": "UnrecognizedClientException",
        "SignatureDoesNotMatch": "InvalidSignatureException",
    }[code]


def check(lab: Lab, response: Any, request_class: type[Any], s3_resource: str) -> None:
    """Check one call before its handler runs. `response` is moto's handler. Raises Refusal, or S3's own errors."""
    authorization = lab.part(Authorization)
    authorization.caller = None
    if "Authorization" not in response.headers:
        service = response.service_name or ""
        if service == "s3":
            raise S3AccessDeniedError()
        raise Refusal(service, "MissingAuthenticationToken", "Request is missing Authentication Token", 403)
    signed = _check_signature(response, request_class)
    caller = identify(signed, response)
    authorization.caller = caller
    action = f"{ACTION_PREFIXES.get(signed._service, signed._service)}:{_action(response, signed)}"
    if action == "sts:GetCallerIdentity":
        return  # always allowed, whatever policies say
    name = action.partition(":")[2]
    resources = (
        _s3_resources(action, s3_resource) if signed._service == "s3" else resources_of(response, signed._service, name)
    )
    for asked in resources:
        decision = _decide(lab, caller, action, asked, {})
        if decision is not Decision.ALLOWED:
            _refuse(signed, caller, action, asked, decision)
        if action == "sts:AssumeRole":
            _check_trust(signed, caller, asked.arn)


def _s3_resources(action: str, arn: str) -> tuple[Asked, ...]:
    """DeleteObjects names its objects in its body: each is judged by itself when it is to go (bucket_policies.py)."""
    return () if action == "s3:DeleteObject" and "/" not in arn else (Asked(arn),)


def _check_signature(response: Any, request_class: type[Any]) -> Any:
    url = urlparse(response.uri)
    signed = request_class(
        account_id=ACCOUNT_ID,
        method=response.method,
        path=response.raw_path + (f"?{url.query}" if url.query else ""),
        data=response.data,
        body=response.raw_body,
        headers=response.headers,
        action=response._get_action(),
    )
    signed.check_signature()
    return signed


def _action(response: Any, signed: Any) -> str:
    name = str(signed._action).partition(":")[2]
    if signed._service != "s3":
        return name
    for sub_resource, suffix in S3_ACTIONS.items():
        if sub_resource in response.querystring:
            return f"{'Get' if response.method in ('GET', 'HEAD') else 'Put'}{suffix}"
    return {"ListBuckets": "ListAllMyBuckets", "HeadBucket": "ListBucket"}.get(name, name)


def _refuse(signed: Any, caller: Caller, action: str, asked: Asked, decision: Decision) -> None:
    if signed._service == "s3":
        signed._raise_access_denied()
    message = _denied_message(caller, action, asked.arn, decision)
    raise Refusal(signed._service, _denied_code(signed._service), message, 403)


def _check_trust(signed: Any, caller: Caller, role_arn: str) -> None:
    """The role's trust policy must name the caller, or the account, or anybody."""
    backend = iam_backends[ACCOUNT_ID]["aws"]
    role = next((role for role in backend.roles.values() if role.arn == role_arn), None)
    names = ("*", ACCOUNT_ID, f"arn:aws:iam::{ACCOUNT_ID}:root", caller.arn, caller.principal_arn)
    trusted = role is not None and evaluate(
        (_without_other_principals(role.assume_role_policy_document, names),),
        Ask("sts:AssumeRole", "*", caller.context),
    )
    if trusted is not Decision.ALLOWED:
        _refuse(signed, caller, "sts:AssumeRole", Asked(role_arn), Decision.NOT_ALLOWED)


def _without_other_principals(document: str, names: tuple[str, ...]) -> str:
    """A trust policy as an identity policy of whoever has one of `names`."""
    policy = json.loads(document)
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    kept = []
    for statement in statements:
        principal = statement.get("Principal", {})
        listed = principal if isinstance(principal, str) else principal.get("AWS", [])
        if any(name in names for name in ([listed] if isinstance(listed, str) else listed)):
            kept.append({**statement, "Resource": "*"})
    return json.dumps({"Version": "2012-10-17", "Statement": kept})


def install(lab: Lab) -> None:
    """Stand in the place of moto's own check."""

    @lab.extend(ActionAuthenticatorMixin, "_authenticate_and_authorize_action")
    def authenticate(_original: Any, response: Any, request_class: type[Any], resource: str = "*") -> None:
        if ActionAuthenticatorMixin.request_count < settings.INITIAL_NO_AUTH_ACTION_COUNT:
            lab.part(Authorization).caller = None
            return  # not enforced (yet): moto's own switch
        check(lab, response, _SignedS3Request if request_class is S3IAMRequest else _SignedRequest, resource)
