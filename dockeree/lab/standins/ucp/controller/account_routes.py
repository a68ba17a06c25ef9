"""Logging in, and the accounts: what UCP's own API and DTR need of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dockeree.lab.standins.ucp.accounts import Account, Accounts, hashed, new_account
from dockeree.lab.standins.ucp.controller.http import Answer, HttpError, Request, Route
from dockeree.lab.standins.ucp.controller.sessions import Sessions

NAME = r"(?P<name>[^/]+)"


class AccountRoutes:
    """Below /auth, /id and /accounts."""

    def __init__(self, accounts: Accounts, sessions: Sessions) -> None:
        self._accounts, self._sessions = accounts, sessions

    def routes(self) -> list[Route]:
        """In the order to be tried."""
        return [
            Route("POST", "/auth/login", self._log_in, "anyone"),
            Route("POST", "/id/login", self._log_in, "anyone"),
            Route("POST", "/id/logout", self._log_out, "user"),
            Route("GET", "/id/?", self._me, "user"),
            Route("GET", "/accounts/?", self._list, "user"),
            Route("POST", "/accounts/?", self._create),
            Route("GET", f"/accounts/{NAME}", self._show, "user"),
            Route("PATCH", f"/accounts/{NAME}", self._update),
            Route("POST", f"/accounts/{NAME}/changePassword", self._change_password, "user"),
            Route("DELETE", f"/accounts/{NAME}", self._remove),
        ]

    def _log_in(self, request: Request, _groups: Mapping[str, str]) -> Answer:
        body = _object(request)
        account = self._accounts.log_in(str(body.get("username", "")), str(body.get("password", "")))
        if account is None:
            raise HttpError(401, "unauthorized")
        name = "auth_token" if request.path.startswith("/auth") else "sessionToken"
        return Answer({name: self._sessions.begin(account)})

    def _log_out(self, request: Request, _groups: Mapping[str, str]) -> Answer:
        self._sessions.end(request)
        return Answer(status=204)

    def _me(self, request: Request, _groups: Mapping[str, str]) -> Answer:
        return Answer(_user(request).public())

    def _list(self, _request: Request, _groups: Mapping[str, str]) -> Answer:
        found = sorted(self._accounts.all().values(), key=lambda account: account.name)
        return Answer({"accounts": [each.public() for each in found], "usersCount": len(found), "orgsCount": 0})

    def _create(self, request: Request, _groups: Mapping[str, str]) -> Answer:
        body = _object(request)
        account = new_account(
            str(body.get("name", "")),
            str(body.get("password", "")),
            is_admin=body.get("isAdmin") is True,
            full_name=str(body.get("fullName", "")),
        )
        self._accounts.create(account)
        return Answer(account.public(), 201)

    def _show(self, _request: Request, groups: Mapping[str, str]) -> Answer:
        return Answer(self._find(groups["name"]).public())

    def _update(self, request: Request, groups: Mapping[str, str]) -> Answer:
        body = _object(request)
        changes: dict[str, str | bool] = {
            field: body[name]
            for name, field in (("fullName", "full_name"), ("isAdmin", "is_admin"), ("isActive", "is_active"))
            if name in body
        }
        return Answer(self._accounts.update(self._find(groups["name"]).name, **changes).public())

    def _change_password(self, request: Request, groups: Mapping[str, str]) -> Answer:
        body, account, user = _object(request), self._find(groups["name"]), _user(request)
        if user.id != account.id and not user.is_admin:
            raise HttpError(403, "access denied: this is another user's account")
        old = str(body.get("oldPassword", ""))
        if not user.is_admin and self._accounts.log_in(account.name, old) is None:
            raise HttpError(401, "the old password is wrong")
        return Answer(self._accounts.update(account.name, password=hashed(str(body.get("newPassword", "")))).public())

    def _remove(self, _request: Request, groups: Mapping[str, str]) -> Answer:
        self._accounts.remove(self._find(groups["name"]).name)
        return Answer(status=204)

    def _find(self, name: str) -> Account:
        account = self._accounts.find(name)
        if account is None:
            raise HttpError(404, f'no account named "{name}"')
        return account


def _user(request: Request) -> Account:
    if request.user is None:
        raise HttpError(401, "unauthorized")
    return request.user


def _object(request: Request) -> dict[str, Any]:
    body = request.read_json()
    if not isinstance(body, dict):
        raise HttpError(400, "the body is not a JSON object")
    return body
