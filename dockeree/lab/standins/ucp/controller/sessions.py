"""Who asks: a bearer token, or a client certificate of UCP's client root CA.

Tokens are signed with a key drawn from the client root CA's, which every controller has: a token of one is good on all.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from pathlib import Path

from dockeree.lab.standins.ucp.accounts import Account, Accounts
from dockeree.lab.standins.ucp.controller.http import Request

LIFETIME_SECONDS = 60 * 60
"""As documented for UCP's sessions (`lifetime_minutes = 60`)."""
PURPOSE = b"dockeree stand-in: sessions of UCP"


class Sessions:
    """Makes tokens and reads requests."""

    def __init__(self, accounts: Accounts, client_root_key: Path) -> None:
        self._accounts, self._client_root_key = accounts, client_root_key

    def begin(self, account: Account) -> str:
        """A token for `Authorization: Bearer`."""
        content = {"sub": account.id, "exp": int(time.time()) + LIFETIME_SECONDS, "id": secrets.token_hex(8)}
        text = _encoded(json.dumps(content).encode())
        return f"{text}.{_encoded(self._signature(text))}"

    def end(self, request: Request) -> None:
        """The request's token is good no longer, on any controller. Raises ApiError."""
        content = self._read(_token(request))
        if content:
            self._accounts.revoke(str(content["id"]))

    def authenticate(self, request: Request) -> Account | None:
        """Who asks; None when nobody that is known. Raises ApiError."""
        token = _token(request)
        if token:
            content = self._read(token)
            if not content or self._accounts.is_revoked(str(content["id"])):
                return None
            account = self._accounts.find(str(content["sub"]))
        else:
            subject = [pair for part in request.stream.peer().get("subject", ()) for pair in part]
            names = [value for name, value in subject if name == "commonName"]
            account = self._accounts.find(names[0]) if names else None
        return account if account and account.is_active else None

    def _read(self, token: str) -> dict[str, object] | None:
        text, _, signature = token.partition(".")
        if not hmac.compare_digest(_encoded(self._signature(text)), signature):
            return None
        content: dict[str, object] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        expires = content["exp"]
        return content if isinstance(expires, int) and expires > time.time() else None

    def _signature(self, text: str) -> bytes:
        key = hmac.digest(self._client_root_key.read_bytes(), PURPOSE, hashlib.sha256)
        return hmac.digest(key, text.encode(), hashlib.sha256)


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
