"""ClientToken: the same request sent twice makes one thing.

lab.part(ClientTokens).answer("RunInstances", region, token, parameters)   -> what was made before, or None
lab.part(ClientTokens).made("RunInstances", region, token, parameters, thing)
"""

from __future__ import annotations

from typing import Any

from moto.ec2.exceptions import EC2ClientError

from dockeree.lab.aws.core import Lab

_NOT_COMPARED = frozenset({"ClientToken", "DryRun", "Action", "Version"})

Fingerprint = tuple[tuple[str, str], ...]


def fingerprint(response: Any) -> Fingerprint:
    """What is compared of a query request (moto's response object): every parameter but the token itself."""
    return tuple(sorted((key, str(value)) for key, value in response.data.items() if key not in _NOT_COMPARED))


class ClientTokens:
    """What was made under which token."""

    def __init__(self, _lab: Lab) -> None:
        self._made: dict[tuple[str, str, str], tuple[Fingerprint, Any]] = {}

    def answer(self, action: str, region: str, token: str | None, parameters: Fingerprint) -> Any:
        """What `token` made before, None where it is new. Raises IdempotentParameterMismatch."""
        if not token or (action, region, token) not in self._made:
            return None
        before, thing = self._made[action, region, token]
        if before != parameters:
            raise EC2ClientError(
                "IdempotentParameterMismatch",
                "The client token you have provided has been used before with other request parameters "
                f"(client token {token}).",
            )
        return thing

    def made(self, action: str, region: str, token: str | None, parameters: Fingerprint, thing: Any) -> None:
        """Remember what `token` made."""
        if token:
            self._made[action, region, token] = (parameters, thing)
