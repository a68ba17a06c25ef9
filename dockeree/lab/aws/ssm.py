"""Parameter Store: sizes, names and paths as AWS allows them, and secrets that are encrypted unless asked for."""

from __future__ import annotations

import re
from typing import Any

from cryptography.fernet import Fernet
from moto.kms.models import kms_backends
from moto.ssm.exceptions import SSMException, ValidationException
from moto.ssm.models import Parameter, SimpleSystemManagerBackend
from moto.ssm.responses import SimpleSystemManagerResponse

from dockeree.lab.aws import authorization
from dockeree.lab.aws.core import Lab
from dockeree.lab.settings import ACCOUNT_ID

STANDARD_BYTES = 4096
ADVANCED_BYTES = 8192
LEVELS = 15
DEFAULT_KEY = "alias/aws/ssm"
"""AWS's own key: whoever may read the parameter may decrypt with it."""


class ParameterKey:
    """Stands for KMS: what is stored is really encrypted, so that no listing or log shows a secret by mistake."""

    def __init__(self, _lab: Lab) -> None:
        self._fernet = Fernet(Fernet.generate_key())

    def encrypt(self, value: str) -> str:
        """Ciphertext, as base64."""
        return self._fernet.encrypt(value.encode()).decode()

    def decrypt(self, ciphertext: str) -> str:
        """The value that was encrypted."""
        return self._fernet.decrypt(ciphertext.encode()).decode()


def check_name(name: str) -> None:
    """Raise ValidationException, or HierarchyLevelLimitExceededException, for a name that AWS refuses."""
    if not re.fullmatch(r"[a-zA-Z0-9_.\-/]+", name):
        raise ValidationException(
            'Parameter name: can\'t be prefixed with "ssm" (case-insensitive). If formed as a path, it can consist of '
            "sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the "
            "following 3 symbols .-_"
        )
    if "/" in name and not name.startswith("/"):
        raise ValidationException("Parameter name must be a fully qualified name.")
    if "//" in name or (name.endswith("/")):
        raise ValidationException("Parameter name must not have empty levels, nor end with a slash.")
    if name.count("/") > LEVELS:
        raise SSMException(
            "HierarchyLevelLimitExceededException",
            f"Parameter hierarchies can have a maximum of {LEVELS} levels.",
        )


def _tier_for(tier: str | None, value: str) -> str:
    """The tier a value gets; ValidationException where it is too large for the tier asked for."""
    size = len(value.encode())
    chosen = tier or "Standard"
    if chosen == "Intelligent-Tiering":
        chosen = "Standard" if size <= STANDARD_BYTES else "Advanced"
    if chosen == "Standard" and size > STANDARD_BYTES:
        raise ValidationException(
            f"Standard tier parameters support a maximum parameter value of {STANDARD_BYTES} characters. To create a "
            "larger parameter value, upgrade the parameter to use the advanced-parameter tier."
        )
    if size > ADVANCED_BYTES:
        raise ValidationException(
            f"Advanced tier parameters support a maximum parameter value of {ADVANCED_BYTES} characters."
        )
    return chosen


def _key_arn(region: str, key_id: str) -> str:
    """The ARN of a KMS key named by id, alias or ARN. Raises InvalidKeyId."""
    backend = kms_backends[ACCOUNT_ID][region]
    named = backend.get_alias_name(key_id)
    known = backend.get_key_id_from_alias(named) if named.startswith("alias/") else backend.get_key_id(key_id)
    if known not in backend.keys:
        raise SSMException("InvalidKeyId", f"Key '{key_id}' does not exist")
    return str(backend.keys[known].arn)


def _require_key(lab: Lab, action: str, region: str, key_id: str | None) -> None:
    if key_id and not key_id.endswith(DEFAULT_KEY):
        authorization.require(lab, action, _key_arn(region, key_id))


def _check_put(lab: Lab, backend: Any, name: str, value: str, kind: str, key_id: str | None) -> None:
    check_name(name)
    if key_id and kind != "SecureString":
        raise ValidationException("KeyId is required for SecureString type parameter only.")
    if kind == "SecureString":
        _require_key(lab, "kms:Encrypt", backend.region_name, key_id)
    if not value:
        raise ValidationException("Parameter value can't be empty.")


def _install_writing(lab: Lab) -> None:
    @lab.extend(SimpleSystemManagerBackend, "put_parameter")
    def put_parameter(
        original: Any,
        backend: Any,
        name: str,
        description: str,
        value: str,
        parameter_type: str,
        allowed_pattern: str | None,
        keyid: str | None,
        *rest: Any,
        tier: str | None,
        policies: str | None,
    ) -> Any:
        _check_put(lab, backend, name, value, parameter_type, keyid)
        if allowed_pattern and not re.fullmatch(allowed_pattern, value):
            raise SSMException(
                "ParameterPatternMismatchException",
                f"Parameter value, cannot be validated against allowedPattern: {allowed_pattern}",
            )
        with lab.lock:
            return original(
                backend, name, description, value, parameter_type, allowed_pattern, keyid, *rest,
                tier=_tier_for(tier, value), policies=policies,
            )  # fmt: skip

    @lab.extend(Parameter, "encrypt")
    def encrypt(_original: Any, _parameter: Any, value: str) -> str:
        return lab.part(ParameterKey).encrypt(value)

    @lab.extend(Parameter, "decrypt")
    def decrypt(_original: Any, parameter: Any, value: str) -> str:
        return lab.part(ParameterKey).decrypt(value) if parameter.parameter_type == "SecureString" else value


def _install_reading(lab: Lab) -> None:
    @lab.extend(Parameter, "response_object")
    def response_object(original: Any, parameter: Any, decrypt: bool = False, region: str | None = None) -> Any:
        if decrypt and parameter.parameter_type == "SecureString" and region is not None:
            _require_key(lab, "kms:Decrypt", region, parameter.keyid)
        return original(parameter, decrypt, region)

    @lab.extend(SimpleSystemManagerBackend, "get_parameters_by_path")
    def by_path(original: Any, backend: Any, path: str, *args: Any, max_results: int = 10, **kwargs: Any) -> Any:
        if not path.startswith("/"):
            raise ValidationException(
                'The parameter path must begin with a slash (/). It can\'t be prefixed with "aws" or "ssm"'
            )
        with lab.lock:
            found, token = original(backend, path, *args, max_results=max_results, **kwargs)
            # moto announces another page after a last full one.
            if (
                token is not None
                and not original(backend, path, *args, **{**kwargs, "max_results": 1, "next_token": token})[0]
            ):
                token = None
        return found, token

    @lab.extend(SimpleSystemManagerResponse, "get_parameter_history")
    def history(original: Any, response: Any) -> Any:
        parameter = response.ssm_backend.get_parameter(response._get_param("Name"))
        if parameter is not None and response._get_param("WithDecryption"):
            _require_key(lab, "kms:Decrypt", response.region, parameter.keyid)
        return original(response)


def install(lab: Lab) -> None:
    """Lay Parameter Store's behaviours over moto."""
    _install_writing(lab)
    _install_reading(lab)
