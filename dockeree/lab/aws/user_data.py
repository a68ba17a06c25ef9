"""User data: at most 16 KiB, and base64 wherever it is written."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from moto.ec2.exceptions import EC2ClientError, InvalidParameterValue

USER_DATA_LIMIT = 16 * 1024
"""Bytes, before base64."""


def decode_user_data(user_data: Any) -> bytes:
    """User data as given, not base64; empty where there is none."""
    if not user_data:
        return b""
    try:
        return base64.b64decode(str(user_data).encode(), validate=False)
    except (binascii.Error, ValueError):
        raise EC2ClientError("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.") from None


def check_user_data(user_data: Any) -> None:
    """Refuse what is too large."""
    if len(decode_user_data(user_data)) > USER_DATA_LIMIT:
        raise InvalidParameterValue(f"User data is limited to {USER_DATA_LIMIT} bytes")
