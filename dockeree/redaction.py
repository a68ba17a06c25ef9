"""Keeps secrets off the screen and out of the logs, whoever writes them there.

Secrets go to nodes by standard input and never into a command; this is the net below: what is registered here, and
what looks like a swarm token or a private key, is replaced wherever a report or a log file writes.
"""

from __future__ import annotations

import re
import threading

HIDDEN = "***"
SHORTEST_SECRET = 6
"""Shorter strings would blot out ordinary words."""

_TELLTALE = re.compile(
    r"SWMTKN-1-[0-9a-z]+-[0-9a-z]+"  # a join token
    r"|SWMKEY-1-[0-9A-Za-z+/]+"  # the key of a locked swarm
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_secrets: set[str] = set()
_mutex = threading.Lock()


def register_secret(secret: str) -> None:
    """Hide `secret` from now on in everything that is written to a screen or a log."""
    if len(secret) >= SHORTEST_SECRET:
        with _mutex:
            _secrets.add(secret)


def redact(text: str) -> str:
    """`text` with every secret in it replaced by `***`."""
    with _mutex:
        longest_first = sorted(_secrets, key=len, reverse=True)
    for secret in longest_first:
        text = text.replace(secret, HIDDEN)
    return _TELLTALE.sub(HIDDEN, text)
