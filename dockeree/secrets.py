"""The password of UCP's administrator: where it comes from, and where it is kept.

It is kept in the account, as a SecureString below a path that no node can read, so that any later run and any
colleague with the permission goes on. It comes from the environment, else from a prompt, else from the machine's
random numbers; whoever asks has it registered, so that no screen and no log shows it.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dockeree.aws import parameters
from dockeree.errors import DockereeError, UsageError
from dockeree.redaction import register_secret

if TYPE_CHECKING:
    from dockeree.aws.session import Aws

PASSWORD_VARIABLE = "DOCKEREE_UCP_PASSWORD"
SHORTEST = 8
"""UCP takes no shorter one."""
GENERATED_LENGTH = 24
_ALPHABET = string.ascii_letters + string.digits
"""A generated one is typed and pasted into shells and forms: nothing that any of them would read as its own."""


def given_password(environment: Mapping[str, str]) -> str | None:
    """The password in the environment. Raises UsageError when UCP would not take it."""
    password = environment.get(PASSWORD_VARIABLE)
    if not password:
        return None
    register_secret(password)
    if problem := password_problem(password):
        raise UsageError(f"{PASSWORD_VARIABLE}: {problem}")
    return password


def password_problem(password: str) -> str:
    """Why UCP, or the way to it, would not take a password; empty when they would."""
    if len(password) < SHORTEST:
        return f"UCP takes passwords of at least {SHORTEST} characters"
    if any(character < " " or character == "\x7f" for character in password):
        return "a password holds no line ends or other control characters"
    return ""


def new_password() -> str:
    """A random one, of some 140 bits."""
    password = "".join(secrets.choice(_ALPHABET) for _ in range(GENERATED_LENGTH))
    register_secret(password)
    return password


def kept_password(aws: Aws, cluster: str) -> str | None:
    """The password in the account, None when there is none. Raises AwsError."""
    found = parameters.get_parameter(aws, parameters.ucp_password_name(cluster))
    if found is None:
        return None
    register_secret(found.value)
    return found.value


def current_password(aws: Aws, cluster: str, environment: Mapping[str, str]) -> str:
    """The password to log in with: the environment's, else the one in the account.

    Raises DockereeError when there is none.
    """
    password = given_password(environment) or kept_password(aws, cluster)
    if password is None:
        raise DockereeError(
            f"the password of UCP's administrator is neither in {parameters.ucp_password_name(cluster)} "
            f"nor in {PASSWORD_VARIABLE}",
            f"`dockeree up` makes one for a new cluster; for one that stands, set {PASSWORD_VARIABLE}.",
        )
    return password
