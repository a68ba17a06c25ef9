"""Blots secrets out of what is logged or shown: those a caller names, and those that are known by their looks."""

from __future__ import annotations

import re
from collections.abc import Iterable

BLOT = "***"
_KNOWN_BY_THEIR_LOOKS = re.compile(
    r"SWMTKN-1-[0-9a-z]+-[0-9a-z]+"  # a join token: `docker swarm init` prints one
    r"|SWMKEY-1-[0-9A-Za-z+/]+"  # the key of a locked swarm
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` with every one of `secrets`, and every token and private key, replaced by `***`.

    Longer secrets go first, so that one that contains another leaves nothing of itself.
    """
    for secret in sorted({secret for secret in secrets if secret}, key=len, reverse=True):
        text = text.replace(secret, BLOT)
    return _KNOWN_BY_THEIR_LOOKS.sub(BLOT, text)
