"""The licence file (docker_subscription.lic): its three fields, and what its signed part says of itself."""

from __future__ import annotations

import base64
import json
from typing import Any

FIELDS = ("key_id", "private_key", "authorization")


class LicenseError(Exception):
    """Not a licence."""


def read_license(text: str) -> dict[str, str]:
    """The fields of a licence file. Raises LicenseError."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise LicenseError(f"the license is not JSON: {error}") from error
    return check_license(document)


def check_license(document: Any) -> dict[str, str]:
    """The same of a document. Raises LicenseError naming what is missing."""
    if not isinstance(document, dict):
        raise LicenseError("the license is not a JSON object")
    missing = [name for name in FIELDS if not isinstance(document.get(name), str) or not document[name]]
    if missing:
        raise LicenseError(f"the license lacks {', '.join(missing)}")
    return {name: document[name] for name in FIELDS}


def details(license_config: dict[str, str]) -> dict[str, Any]:
    """What the authorization says (a signed JSON document in base64): expiration, tier, engines. {} when unreadable."""
    try:
        signed = json.loads(_decoded(license_config["authorization"]))
        payload = json.loads(_decoded(signed["payload"]))
    except (ValueError, KeyError, TypeError):
        return {}
    return payload if isinstance(payload, dict) else {}


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_") + "=" * (-len(text) % 4))
