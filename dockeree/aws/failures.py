"""AWS's errors in the tool's words: what failed, AWS's own code, and what to do about it.

botocore raises two families: `ClientError` (AWS answered with an error) and `BotoCoreError` (no credentials, no
answer). Both become `AwsError` here, at the one place that every call goes through (session.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dockeree.errors import AwsError

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

EXPIRED_CODES = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
DENIED_CODES = frozenset(
    {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "UnauthorizedAccess", "AuthorizationError"}
)
INVALID_CREDENTIALS_CODES = frozenset(
    {
        "AuthFailure",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "SignatureDoesNotMatch",
        "InvalidAccessKeyId",
    }
)
THROTTLED_CODES = frozenset({"RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequestsException"})

_IAM_PREFIXES = {"elbv2": "elasticloadbalancing", "service-quotas": "servicequotas"}
_EXPIRED_SSO = frozenset(
    {"UnauthorizedSSOTokenError", "SSOTokenLoadError", "TokenRetrievalError", "LoginRefreshRequired"}
)
_NO_CREDENTIALS = frozenset(
    {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "NoAuthTokenError"}
)
_NO_ANSWER = frozenset(
    {
        "EndpointConnectionError",
        "ConnectTimeoutError",
        "ReadTimeoutError",
        "ConnectionClosedError",
        "ProxyConnectionError",
    }
)

BROKEN_DOWNLOADS = frozenset(
    {"IncompleteReadError", "ReadTimeoutError", "ResponseStreamingError", "FlexibleChecksumError"}
)
"""What reading an answer's body may end with: it broke off, or is not what its checksum says."""


def login_command(profile: str | None) -> str:
    """The command that renews the operator's credentials."""
    return f"aws sso login --profile {profile}" if profile else "aws sso login"


def from_answer(error: ClientError, service: str, profile: str | None) -> AwsError:
    """AWS answered with an error: its code, in a sentence, with a hint where the code has one."""
    details = error.response.get("Error", {})
    code, text = str(details.get("Code", "")), str(details.get("Message", ""))
    operation = error.operation_name
    message = (
        f"{_iam_action(service, operation)}: {code}: {text}" if text else f"{_iam_action(service, operation)}: {code}"
    )
    return AwsError(message, _hint(code, text, service, operation, profile), code=code, operation=operation)


def from_silence(error: BotoCoreError, service: str, operation: str, profile: str | None) -> AwsError:
    """No answer came, or none was asked for: no credentials, no network, no such profile."""
    kind = type(error).__name__
    where = f"{_iam_action(service, operation)}: " if operation else ""
    if kind in _EXPIRED_SSO:
        hint = f"Log in again: {login_command(profile)}"
    elif kind in _NO_CREDENTIALS:
        hint = "Give credentials: `aws configure`, `aws sso login`, --profile, or AWS_ACCESS_KEY_ID."
    elif kind in _NO_ANSWER | BROKEN_DOWNLOADS:
        hint = "Check the network, the region's name, and AWS_ENDPOINT_URL where it is set."
    elif kind == "ProfileNotFound":
        hint = "List the profiles there are: aws configure list-profiles"
    else:
        hint = ""
    return AwsError(f"{where}{error}", hint, code=kind, operation=operation)


@contextmanager
def translated(service: str, operation: str) -> Iterator[None]:
    """Turns what breaks while an answer's body is read into AwsError: that is done outside of the call itself."""
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - loaded with the first client, not before
    from urllib3.exceptions import HTTPError  # noqa: PLC0415 - the same; botocore lets some of these through

    try:
        yield
    except BotoCoreError as error:
        raise from_silence(error, service, operation, None) from error
    except HTTPError as error:
        message = f"{_iam_action(service, operation)}: the answer broke off: {error}"
        raise AwsError(message, code="IncompleteReadError", operation=operation) from error


def _hint(code: str, text: str, service: str, operation: str, profile: str | None) -> str:
    if code in EXPIRED_CODES:
        return f"Your credentials have expired. Log in again: {login_command(profile)}"
    if code in DENIED_CODES:
        return f"Ask for the permission `{_denied_action(text) or _iam_action(service, operation)}`."
    if code in INVALID_CREDENTIALS_CODES:
        return f"AWS does not accept these credentials. Log in again: {login_command(profile)}"
    if code == "OptInRequired":
        return "The account is not subscribed to this service or region; enable it in the AWS console."
    if code in THROTTLED_CODES:
        return "AWS still throttles after 10 attempts. Run the same command again in some minutes: it continues."
    if code == "VcpuLimitExceeded":
        return "Ask for more at Service Quotas: EC2, Running On-Demand Standard instances (L-1216C47A)."
    if code == "VpcLimitExceeded":
        return "Delete a VPC that is not needed, or ask for more at Service Quotas: VPC, VPCs per Region (L-F678F1CE)."
    return ""


def _iam_action(service: str, operation: str) -> str:
    return f"{_IAM_PREFIXES.get(service, service)}:{operation}"


def _denied_action(text: str) -> str:
    """The action that AWS names itself ("not authorized to perform: iam:PassRole"), often not the one called."""
    match = re.search(r"perform:? ([a-z0-9-]+:[A-Za-z*]+)", text)
    return match.group(1) if match else ""
