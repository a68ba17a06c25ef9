"""What every call passes before its service sees it: the caller's permission, and EC2's dry run.

moto checks signatures and policies, but answers a refusal in one format for all services; AWS answers each in its
own protocol and with its own code (UnauthorizedOperation, AccessDenied, AccessDeniedException). moto's dry runs
of many EC2 calls really execute; here none reaches EC2's code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.exceptions import AccessDeniedError, InvalidClientTokenIdError, SignatureDoesNotMatchError, _RESTError
from moto.core.responses import BaseResponse
from moto.ec2.responses import EC2Response
from moto.iam.access_control import IAMRequestBase

from dockeree.lab.aws.core import Lab
from dockeree.lab.aws.wire_errors import JSON_SERVICES, Refusal

_JSON_CODES = {
    AccessDeniedError: "AccessDeniedException",
    SignatureDoesNotMatchError: "InvalidSignatureException",
    InvalidClientTokenIdError: "UnrecognizedClientException",
}

_SERVER_ERRORS = {"InsufficientInstanceCapacity": 500, "InsufficientAddressCapacity": 500, "InternalError": 500}
"""EC2's errors that are the server's: SDKs try such calls again by themselves."""

Check = Callable[[Any], None]


class Ec2Checks:
    """What is asked of each EC2 call once its caller may make it and it is no dry run.

    A check gets moto's EC2Response (`_get_action()`, `_get_param(NAME)`) and raises Refusal.
    """

    def __init__(self, _lab: Lab) -> None:
        self.checks: list[Check] = []


def install(lab: Lab) -> None:
    """Put the gate in front of every call."""

    @lab.extend(BaseResponse, "_authenticate_and_authorize_normal_action")
    def authorize(original: Any, response: Any, resource: str = "*") -> None:
        # The body as it was signed: moto keeps none of a form, and would sign its own rendering of it.
        response.raw_body = response.normalized_request.environ["lab.body"]
        try:
            original(response, resource)
        except _RESTError as error:
            raise _in_own_protocol(response.boto3_service_name, error) from error

    @lab.extend(EC2Response, "_authenticate_and_authorize_normal_action")
    def admit(original: Any, response: Any, resource: str = "*") -> None:
        original(response, resource)
        if response._get_param("DryRun", False):
            raise Refusal("ec2", "DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
        for check in lab.part(Ec2Checks).checks:
            check(response)

    @lab.extend(EC2Response, "serialized")
    def serialized(original: Any, response: Any, action_result: Any) -> Any:
        status, headers, body = original(response, action_result)
        return _SERVER_ERRORS.get(getattr(action_result.result, "code", ""), status), headers, body

    @lab.extend(IAMRequestBase, "_create_aws_request")
    def signed_request(original: Any, request: Any) -> Any:
        # Where a request has no body, moto would hash its parameters in the body's place, and no GET would verify.
        if not request._body:
            request._data = b""
        return original(request)


def _in_own_protocol(service: str, error: _RESTError) -> Refusal:
    code = error.error_type
    message = error.message
    if service == "ec2" and isinstance(error, AccessDeniedError):
        code, message = "UnauthorizedOperation", f"You are not authorized to perform this operation. {message}"
    elif service.replace("-", "") in JSON_SERVICES:
        code = _JSON_CODES.get(type(error), code)
    return Refusal(service.replace("-", ""), code, message, error.code)
