"""UCP's accounts, for every controller the same: kept in the swarm's store, passwords as scrypt hashes."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from dockeree.lab.standins.ucp.layout import ACCOUNTS_PREFIX
from dockeree.lab.standins.ucp.swarm_store import SwarmStore

SHORTEST_PASSWORD = 8
SCRYPT = {"n": 2**14, "r": 8, "p": 1, "maxmem": 64 * 1024 * 1024}


class AccountError(Exception):
    """What was asked for cannot be done; `status` is the HTTP status that says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Account:
    """A user. `password` is SALT:HASH, both hexadecimal."""

    id: str
    name: str
    password: str
    is_admin: bool = False
    is_active: bool = True
    full_name: str = ""

    def public(self) -> dict[str, object]:
        """As the accounts API shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "fullName": self.full_name,
            "isOrg": False,
            "isAdmin": self.is_admin,
            "isActive": self.is_active,
            "isImported": False,
        }


def new_account(name: str, password: str, *, is_admin: bool = False, full_name: str = "") -> Account:
    """Raises AccountError for a name or a password that is too short."""
    if not name or not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise AccountError(400, f'invalid account name "{name}"')
    return Account(str(uuid.uuid4()), name, hashed(password), is_admin, True, full_name)


def hashed(password: str) -> str:
    """For Account.password. Raises AccountError."""
    if len(password) < SHORTEST_PASSWORD:
        raise AccountError(400, f"password must be at least {SHORTEST_PASSWORD} characters")
    salt = os.urandom(16)
    return f"{salt.hex()}:{_scrypt(password, salt).hex()}"


def is_password(account: Account, password: str) -> bool:
    """Whether it is the account's."""
    salt, _, expected = account.password.partition(":")
    return hmac.compare_digest(_scrypt(password, bytes.fromhex(salt)).hex(), expected)


class Accounts:
    """All of them, and the sessions that were ended before their time."""

    def __init__(self, store: SwarmStore) -> None:
        self._store = store

    def find(self, name_or_id: str) -> Account | None:
        """Raises ApiError."""
        found = self.all()
        return found.get(name_or_id) or next((each for each in found.values() if each.id == name_or_id), None)

    def all(self) -> dict[str, Account]:
        """By name. Raises ApiError."""
        return _read(self._store.read(ACCOUNTS_PREFIX))[0]

    def log_in(self, name: str, password: str) -> Account | None:
        """The account, when the password is right and it is active. Raises ApiError."""
        account = self.find(name)
        return account if account and account.is_active and is_password(account, password) else None

    def create(self, account: Account) -> None:
        """Raises AccountError when the name is taken, and ApiError."""

        def add(accounts: dict[str, Account], _revoked: set[str]) -> None:
            if account.name in accounts:
                raise AccountError(409, f'an account named "{account.name}" exists')
            accounts[account.name] = account

        self._change(add)

    def update(self, name: str, **changes: str | bool) -> Account:
        """Raises AccountError when there is none, and ApiError."""
        changed: list[Account] = []

        def alter(accounts: dict[str, Account], _revoked: set[str]) -> None:
            if name not in accounts:
                raise AccountError(404, f'no account named "{name}"')
            accounts[name] = replace(accounts[name], **changes)  # type: ignore[arg-type]
            changed.append(accounts[name])

        self._change(alter)
        return changed[-1]

    def remove(self, name: str) -> None:
        """Raises AccountError when there is none, and ApiError."""

        def take(accounts: dict[str, Account], _revoked: set[str]) -> None:
            if accounts.pop(name, None) is None:
                raise AccountError(404, f'no account named "{name}"')

        self._change(take)

    def revoke(self, session: str) -> None:
        """End a session before its time. Raises ApiError."""
        self._change(lambda _accounts, revoked: revoked.add(session))

    def is_revoked(self, session: str) -> bool:
        """Raises ApiError."""
        return session in _read(self._store.read(ACCOUNTS_PREFIX))[1]

    def _change(self, change: Callable[[dict[str, Account], set[str]], None]) -> None:
        def next_one(content: bytes | None) -> bytes:
            accounts, revoked = _read(content)
            change(accounts, revoked)
            document = {"accounts": [asdict(each) for each in accounts.values()], "revoked": sorted(revoked)}
            return json.dumps(document).encode()

        self._store.change(ACCOUNTS_PREFIX, next_one)


def _read(content: bytes | None) -> tuple[dict[str, Account], set[str]]:
    document = json.loads(content or b"{}")
    accounts = [Account(**each) for each in document.get("accounts", [])]
    return {account.name: account for account in accounts}, set(document.get("revoked", []))


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, **SCRYPT)
